//! The first program: runs the one that the archive's options name, as its only child, and turns
//! how that ended into an exit status.
//!
//! | status | means |
//! |---|---|
//! | 0 to 99 | the child's own; a larger one is printed and becomes 99 |
//! | 101 | frames are missing after the child is gone |
//! | 102 | the child was killed, most likely by a fault; the line before says which |
//! | 106 | there is nothing to run, or it is not a program |
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{Error, ExitKind, ExitReport, Handle, options};
use vellum_user::loader::ending::Ending;
use vellum_user::loader::{BootArchive, LoadError, Step};
use vellum_user::{println, testing};

vellum_user::first_program!(main);

/// The largest status that a program can give the whole system.
const LARGEST: u64 = 99;
const LEAK: u64 = 101;
const KILLED: u64 = 102;
const USAGE: u64 = 106;

fn main(archive: Result<(Handle, u64), Error>) -> u64 {
    testing::warm();
    let (handle, length) = match archive {
        Ok(archive) => archive,
        Err(error) => return refuse("archive", error.text()),
    };
    let archive = match BootArchive::open(handle, length) {
        Ok(archive) => archive,
        Err(error) => return refuse("archive", error),
    };
    let Some(name) = options::value(archive.options(), options::RUN) else {
        return refuse("options", "no program to run");
    };
    let arguments: Vec<&str> = core::iter::once(name).chain(named(archive.options())).collect();
    let before = testing::stat().free_frames;
    let status = match run(&archive, &arguments) {
        Ok(report) => status(name, &report),
        Err(reason) => reason.print(name),
    };
    let after = testing::stat().free_frames;
    if before != after {
        println!("vellum: leak: {before} frames before, {after} after");
        return LEAK;
    }
    status
}

/// Why a program did not even start.
enum Refusal {
    Unknown,
    Load(LoadError),
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Refusal {
        Refusal::Load(error)
    }
}

impl Refusal {
    fn print(self, name: &str) -> u64 {
        match self {
            Refusal::Unknown => refuse(name, "no such program in the archive"),
            Refusal::Load(error) => refuse(name, error),
        }
    }
}

/// Returns the arguments that the options give the program.
fn named(text: &str) -> impl Iterator<Item = &str> {
    options::pairs(text).filter(|(key, _)| *key == options::ARGUMENT).map(|(_, value)| value)
}

/// Runs a program, whose name is the first argument, to its end.
fn run(archive: &BootArchive, arguments: &[&str]) -> Result<ExitReport, Refusal> {
    let name = arguments.first().ok_or(Refusal::Unknown)?;
    let file = archive.find(name).ok_or(Refusal::Unknown)?;
    let child = archive.load(file, arguments.iter().copied())?;
    let ended = child.start().and_then(|()| child.wait());
    ended.map_err(|error| Refusal::Load(LoadError::Kernel(Step::Thread, error)))
}

fn refuse(name: &str, reason: impl core::fmt::Display) -> u64 {
    println!("vellum: {name}: {reason}");
    USAGE
}

fn status(name: &str, report: &ExitReport) -> u64 {
    if report.kind != ExitKind::Exited as u64 {
        println!("vellum: {name}: {}", Ending(report));
        return KILLED;
    }
    if report.status > LARGEST {
        println!("vellum: {name}: {}", Ending(report));
    }
    report.status.min(LARGEST)
}
