//! A copy of the tree to plant bugs in.

use super::Mutant;
use crate::failure::{Failure, Naming};
use crate::tree;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is not part of the source.
const LEFT_OUT: [&str; 2] = ["target", ".git"];
/// What cargo finds in the tree as well, if the copy lies in there: it would take both, and link twice by the
/// same script.
const CONFIGURATION: &str = ".cargo";

/// A copy of the tree. It stays from one use to the next, so that cargo builds only what differs.
#[derive(Debug)]
pub struct Copied {
    root: PathBuf,
}

impl Copied {
    /// Brings the copy up to date: files that are equal are not touched.
    ///
    /// # Errors
    /// `MissingTool` where a file cannot be read or written.
    pub fn new() -> Result<Copied, Failure> {
        let copied = Copied { root: tree::target().join("mutants/tree") };
        let mut wanted = BTreeSet::new();
        let is_inside = copied.root.starts_with(tree::root());
        let mut sources = source_files(&tree::root());
        sources.retain(|path| !(is_inside && path.starts_with(CONFIGURATION)));
        for path in sources {
            let bytes = fs::read(tree::root().join(&path)).naming(path.display())?;
            copied.write(&path, &bytes)?;
            wanted.insert(path);
        }
        for path in source_files(&copied.root).into_iter().filter(|path| !wanted.contains(path)) {
            fs::remove_file(copied.root.join(&path)).naming(path.display())?;
        }
        Ok(copied)
    }

    /// Returns the copy's top.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory that cargo builds the copy into.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        tree::target().join("mutants/build")
    }

    /// Plants a bug; the returned value takes it out again.
    ///
    /// # Errors
    /// `TestFailed` where it does not fit the tree any more.
    pub fn plant(&self, mutant: &Mutant) -> Result<Planted<'_>, Failure> {
        let mut planted = Planted { copied: self, before: Vec::new() };
        for file in mutant.files() {
            let before = fs::read_to_string(self.root.join(file)).naming(file)?;
            let failed = |text| Failure::new(crate::failure::Status::TestFailed, text);
            let after = mutant.plant(file, &before).map_err(failed)?;
            planted.before.push((file.into(), before));
            self.write(Path::new(file), after.as_bytes())?;
        }
        Ok(planted)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let to = self.root.join(path);
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let directory = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).naming(directory.display())?;
        fs::write(&to, bytes).naming(to.display())
    }
}

/// A bug in the copy.
#[derive(Debug)]
pub struct Planted<'a> {
    copied: &'a Copied,
    before: Vec<(PathBuf, String)>,
}

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        // The last text first, as two edits may be in one file. What fails here is repaired the
        // next time that the copy is brought up to date.
        for (path, text) in self.before.iter().rev() {
            let _ = self.copied.write(path, text.as_bytes());
        }
    }
}

/// Returns the files of a tree, as seen from its top.
fn source_files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name.to_str() == Some(left_out)) {
            continue;
        }
        let path = entry.path();
        let files = if path.is_dir() { tree::files(&path, "") } else { vec![path] };
        all.extend(files.iter().filter_map(|path| path.strip_prefix(root).ok()).map(Into::into));
    }
    all
}
