//! The rules of CONTRIBUTING.md that a text search can check, over the tree as it is.

use vellum_tests::checks;

#[test]
fn unsafe_stays_in_its_places() {
    assert_eq!(checks::unsafe_findings(&checks::source_files()), [""; 0]);
}

#[test]
fn lints_are_expected_not_allowed() {
    assert_eq!(checks::lint_findings(&checks::source_files()), [""; 0]);
}

#[test]
fn no_file_is_too_long() {
    assert_eq!(checks::file_length_findings(&checks::source_files()), [""; 0]);
}

#[test]
fn requirements_that_are_done_name_tests_that_exist() {
    let path = vellum_tests::tree::root().join("docs/requirements.md");
    let table = std::fs::read_to_string(path).expect("docs/requirements.md is part of the tree");
    assert_eq!(checks::requirement_findings(&table, &checks::source_files()), [""; 0]);
}

#[test]
fn every_script_that_is_kept_runs_on_the_kernel_too() {
    let root = vellum_tests::tree::root();
    let program = std::fs::read_to_string(root.join("user/src/bin/test_scripts/main.rs")).unwrap();
    let scripts = vellum_tests::tree::files(&root.join("tests/scripts"), ".txt");
    assert!(!scripts.is_empty());
    for script in scripts {
        let name = script.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(program.contains(&format!("\"{name}\"")), "test_scripts does not name {name}");
    }
}
