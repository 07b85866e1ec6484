//! Do arguments and exit statuses pass between parent and child as they are, whatever they are?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};
use vellum_user::abi::{Error, ExitKind, ExitReport};
use vellum_user::loader::layout::START_BLOCK_MAX;
use vellum_user::loader::{BootArchive, LoadError};
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

/// The status of a program that panicked, and of one whose `main` returned an error.
const PANICKED: u64 = 98;
const FAILED: u64 = 1;

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match arguments.at(0) {
        Some("hash") => return Ok(hash(arguments.program(), arguments.iter())),
        Some("status") => {
            return Ok(arguments.at(1).and_then(|text| text.parse().ok()).unwrap_or(2));
        }
        Some("error") => return Err(Error::Sealed),
        Some("panic") => panic!("as asked"),
        Some("check") => {
            check!("fails as asked", false);
            return Ok(0);
        }
        _ => {}
    }
    arguments_arrive(arguments);
    statuses_arrive();
    endings_have_statuses();
    too_long(arguments)
}

/// Returns the FNV-1a hash of the arguments, each ended by a byte that no UTF-8 text has.
fn hash<'a>(program: &'a str, arguments: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for text in core::iter::once(program).chain(arguments) {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

fn check_arguments(program: &str, name: &str, more: &[&str]) {
    let mut all = vec!["hash"];
    all.extend(more);
    let report = testing::run_self(&all);
    let status = hash(program, all.iter().copied());
    let want = ExitReport { kind: ExitKind::Exited as u64, status, ..ExitReport::default() };
    check!(name, report, want);
}

fn arguments_arrive(arguments: &Arguments) {
    let program = arguments.program();
    check_arguments(program, "none", &[]);
    check_arguments(program, "empty ones", &["", "", ""]);
    check_arguments(program, "spaces and signs", &[" a b ", "x=y=z", "--", "\t\n", "\0"]);
    check_arguments(program, "other scripts", &["größer", "日本語", "🦀"]);
    let long = "0123456789abcdef".repeat(2000);
    check_arguments(program, "a long one", &[&long]);
    let many: Vec<String> = (0..500).map(|number| format!("argument {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check_arguments(program, "many", &many);
}

fn statuses_arrive() {
    for status in [0, 1, 7, 77, 99, 100, 255, 256, 1 << 32, 1 << 63, u64::MAX] {
        let report = testing::run_self(&["status", &format!("{status}")]);
        let want = ExitReport { kind: ExitKind::Exited as u64, status, ..ExitReport::default() };
        check!(format_args!("status {status}"), report, want);
    }
}

fn endings_have_statuses() {
    for (ending, status) in [("error", FAILED), ("panic", PANICKED), ("check", FAILED)] {
        let report = testing::run_self(&[ending]);
        check!(ending, testing::exited_with(&report, status));
    }
}

/// Arguments that do not fit are refused before anything exists.
fn too_long(arguments: &Arguments) -> Result<u64, Error> {
    let (handle, length) = arguments.archive().expect("a test gets the archive");
    let archive = BootArchive::open(handle, length).expect("it was opened before");
    let file = archive.find(arguments.program()).expect("this program comes from there");
    let text = "x".repeat(START_BLOCK_MAX as usize + 1);
    let before = testing::stat();
    let refused = archive.load(file, [text.as_str()].into_iter()).err();
    check!("too long", refused, Some(LoadError::ArgumentsTooLong));
    let after = testing::stat();
    check!("processes", after.processes_live, before.processes_live);
    check!("handles", after.handles, before.handles);
    check!("free frames", after.free_frames, before.free_frames);
    Ok(0)
}
