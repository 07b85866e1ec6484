//! Other programs, started and waited for.
//!
//! What goes wrong here is no question of the test: it ends with a panic that says what.

use crate::entry::Arguments;
use crate::handles::Account;
use crate::loader::{BootArchive, Child};
use crate::lock::Mutex;
use vellum_abi::{ExitKind, ExitReport, Handle};

/// The archive, mapped when it is first asked for.
static ARCHIVE: Mutex<Option<BootArchive>> = Mutex::new(None);

fn arguments() -> Arguments {
    Arguments::current().expect("the first program has no arguments")
}

/// Returns the archive that this program was handed.
///
/// # Panics
/// If there is none, or it is broken.
#[must_use]
pub fn archive() -> BootArchive {
    *ARCHIVE.lock().get_or_insert_with(|| {
        let (handle, length) = arguments().archive().expect("the archive was handed over");
        match BootArchive::open(handle, length) {
            Ok(archive) => archive,
            Err(error) => panic!("archive: {error}"),
        }
    })
}

/// Loads a program, named as in the archive, stopped at its entry.
///
/// # Panics
/// As for [`run`].
#[must_use]
pub fn load(program: &str, arguments: &[&str]) -> Child {
    load_in(Handle::SELF, program, arguments)
}

/// Loads a program that an account pays for.
fn load_in(account: Handle, program: &str, arguments: &[&str]) -> Child {
    let archive = archive();
    let Some(file) = archive.find(program) else { panic!("no program {program} in the archive") };
    let all = core::iter::once(program).chain(arguments.iter().copied());
    match archive.load_paid_by(account, file, all) {
        Ok(child) => child,
        Err(error) => panic!("loading {program}: {error}"),
    }
}

/// Runs a program of the archive to its end and returns how it ended.
///
/// # Panics
/// If the program is not there or cannot be loaded, or this one was not given the archive.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> ExitReport {
    let child = load_in(Handle::SELF, program, arguments);
    child.start().expect("a new thread starts");
    child.wait().expect("a child can be waited for")
}

/// Runs this program again with other arguments to its end and returns how it ended.
///
/// # Panics
/// As for [`run`].
#[must_use]
pub fn run_self(words: &[&str]) -> ExitReport {
    run(arguments().program(), words)
}

/// Loads this program again, stopped at its entry, for a test that wants to change the child
/// first, watch it while it runs, or have several at once.
///
/// # Panics
/// As for [`run`].
#[must_use]
pub fn load_self(words: &[&str]) -> Child {
    load_in(Handle::SELF, arguments().program(), words)
}

/// Loads this program again, stopped at its entry, in an account of its own.
///
/// # Panics
/// As for [`run`].
#[must_use]
pub fn load_self_paid_by(account: &Account, words: &[&str]) -> Child {
    load_in(account.handle(), arguments().program(), words)
}

/// Returns whether a child called `exit` with this status.
#[must_use]
pub fn exited_with(report: &ExitReport, status: u64) -> bool {
    report.kind == ExitKind::Exited as u64 && report.status == status
}
