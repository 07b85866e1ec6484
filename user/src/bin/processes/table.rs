//! The processes that were started and not yet forgotten.
//!
//! Owns: what is known of each. Refuses to know: messages and programs. The server's thread and those that
//! wait for ends share it.

use alloc::vec::Vec;
use vellum_user::abi::{ExitReport, Handle};
use vellum_user::lock::Mutex;
use vellum_user::services::Trouble;
use vellum_user::services::processes::PART;
use vellum_user::{Notification, Process};

/// Processes at a time.
const MOST: usize = 32;

/// All processes.
pub(crate) static TABLE: Mutex<Table> = Mutex::new(Table(Vec::new()));

/// A process.
struct Entry {
    number: u64,
    /// Name and arguments, a zero byte between two.
    text: Vec<u8>,
    process: Process,
    report: Option<ExitReport>,
    watcher: Option<(Notification, u64)>,
}

/// Processes in the order of their numbers.
pub(crate) struct Table(Vec<Entry>);

/// Notes how a process ended, and tells whoever wants to know.
pub(crate) fn ended(number: u64, report: ExitReport) {
    let mut table = TABLE.lock();
    if let Ok(entry) = table.find(number) {
        entry.report = Some(report);
        if let Some((notification, bits)) = entry.watcher.take() {
            // Whoever is gone does not want to know.
            let _ = notification.raise(bits);
        }
    }
}

impl Table {
    pub(crate) fn check_room(&self) -> Result<(), Trouble> {
        if self.0.len() < MOST { Ok(()) } else { Err(Trouble::TooMany) }
    }

    pub(crate) fn add(&mut self, number: u64, text: &[u8], process: Process) {
        let text = text.to_vec();
        self.0.push(Entry { number, text, process, report: None, watcher: None });
    }

    pub(crate) fn watch(
        &mut self,
        number: u64,
        notification: Notification,
        bits: u64,
    ) -> Result<(), Trouble> {
        let entry = self.find(number)?;
        if entry.report.is_some() {
            return Ok(notification.raise(bits)?);
        }
        entry.watcher = Some((notification, bits));
        Ok(())
    }

    /// Returns a part of how a process ended.
    pub(crate) fn report(&mut self, number: u64, part: u64) -> Result<[u64; PART], Trouble> {
        let report = self.find(number)?.report.ok_or(Trouble::StillRuns)?.to_words();
        let start = part.checked_mul(PART as u64).ok_or(Trouble::Unknown)?;
        let word = |index| report.get((start as usize).saturating_add(index)).copied().unwrap_or(0);
        Ok(core::array::from_fn(word))
    }

    /// Returns the number of the next process, and whether it runs.
    pub(crate) fn next(&self, from: u64) -> Result<(u64, bool), Trouble> {
        let entry = self.0.iter().find(|entry| entry.number >= from).ok_or(Trouble::NoProcess)?;
        Ok((entry.number, entry.report.is_none()))
    }

    pub(crate) fn name(&mut self, number: u64) -> Result<Vec<u8>, Trouble> {
        Ok(self.find(number)?.text.clone())
    }

    /// Returns a handle, which lives as long as the process is known.
    pub(crate) fn handle(&mut self, number: u64) -> Result<Handle, Trouble> {
        Ok(self.find(number)?.process.handle())
    }

    pub(crate) fn kill(&mut self, number: u64) -> Result<(), Trouble> {
        let entry = self.find(number)?;
        if entry.report.is_some() {
            return Err(Trouble::HasEnded);
        }
        Ok(entry.process.kill()?)
    }

    pub(crate) fn forget(&mut self, number: u64) -> Result<Process, Trouble> {
        if self.find(number)?.report.is_none() {
            return Err(Trouble::StillRuns);
        }
        let place = self.0.iter().position(|entry| entry.number == number);
        Ok(self.0.remove(place.ok_or(Trouble::NoProcess)?).process)
    }

    pub(crate) fn kill_all(&mut self) {
        for entry in &self.0 {
            // Who has ended already cannot be ended again.
            let _ = entry.process.kill();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&mut self, number: u64) -> Result<&mut Entry, Trouble> {
        self.0.iter_mut().find(|entry| entry.number == number).ok_or(Trouble::NoProcess)
    }
}
