//! Where things are: the source tree and what is built from it.

use std::env;
use std::path::{Path, PathBuf};

/// The variable by which `qemu-run.sh` says where the tree is.
const ROOT_VARIABLE: &str = "VELLUM_ROOT";

/// Returns the top of the source tree.
#[must_use]
pub fn root() -> PathBuf {
    let compiled = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = env::var_os(ROOT_VARIABLE).map_or_else(compiled, PathBuf::from);
    root.canonicalize().unwrap_or(root)
}

/// Returns the directory that cargo builds into.
#[must_use]
pub fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(target)
}

/// Returns `path` as seen from the top of the tree, where it lies inside.
#[must_use]
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Returns every file below `directory` whose name ends with `ending`, in a fixed order.
/// Directories that cannot be read are empty.
#[must_use]
pub fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                waiting.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
