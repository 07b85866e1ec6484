//! A program outside this tree, from an empty directory, by what `user/README.md` says.

use crate::Named;
use crate::tool::vellum;
use libtest_mimic::Failed;
use std::fs;
use std::path::Path;
use std::process::Command;
use vellum_tests::build::USER_TARGET;
use vellum_tests::tree;

pub(crate) const TESTS: &[Named] =
    &[("tool/program_from_an_empty_directory_runs", program_from_an_empty_directory_runs)];

/// The path to `user/` that the document shows.
const SHOWN_PATH: &str = "../vellum/user";

fn program_from_an_empty_directory_runs() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let cargo = |words: &[&str]| cargo(directory.path(), words);
    cargo(&["init", "--name", "prog", "."])?;
    follow_the_document(directory.path())?;
    cargo(&["build", "--release", "--target", USER_TARGET])?;
    let program = directory.path().join("target").join(USER_TARGET).join("release/prog");
    let shown = ["hello from prog", "one byte written: 1 private frame more"];
    vellum(&["run", &program.to_string_lossy()])?.ends_with(0, &shown)
}

/// Puts what the document shows where the document says.
fn follow_the_document(directory: &Path) -> Result<(), Failed> {
    let user = tree::root().join("user");
    let document = fs::read_to_string(user.join("README.md"))?;
    let dependencies = block(&document, "toml")?.replace(SHOWN_PATH, &user.to_string_lossy());
    let manifest = directory.join("Cargo.toml");
    let made = fs::read_to_string(&manifest)?.replace("[dependencies]", "");
    fs::write(manifest, made + &dependencies)?;
    fs::write(directory.join("src/main.rs"), block(&document, "rust")?)?;
    Ok(())
}

/// Returns the first block of code in a language.
fn block<'a>(document: &'a str, language: &str) -> Result<&'a str, Failed> {
    let start = format!("```{language}\n");
    let block = document.split_once(&start).and_then(|(_, rest)| rest.split_once("```"));
    block.map(|(block, _)| block).ok_or_else(|| format!("no {language} in user/README.md").into())
}

fn cargo(directory: &Path, words: &[&str]) -> Result<(), Failed> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // An outer cargo's choice: this one is to build into its own directory.
    command.env_remove("CARGO_TARGET_DIR");
    let output = command.current_dir(directory).args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into())
}
