//! Linux processes: each has a process, an endpoint where its calls are told, and a thread here that serves
//! them. A thread for each, as a call that waits for another process keeps its server waiting.

use crate::calls::{self, Next};
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vellum_user::abi::{Action, Error, ExitKind, Handle, Registers, WaitFlags};
use vellum_user::calls as kernel;
use vellum_user::lock::Mutex;
use vellum_user::threads::{Joined, spawn};
use vellum_user::{Endpoint, Process, Thread};

/// The first process.
pub(crate) const FIRST: u64 = 1;
/// What a process that a fault ended reports: SIGSEGV.
const SEGMENTATION_FAULT: u64 = 11;
/// The first address of the heap that `brk` moves the end of.
const HEAP: u64 = 0x1000_0000;

static TABLE: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static OUTPUT: Mutex<String> = Mutex::new(String::new());
static NEXT: AtomicU64 = AtomicU64::new(FIRST);
/// Counts the ends of processes, for those who wait for one.
static ENDS: AtomicU32 = AtomicU32::new(0);

struct Entry {
    number: u64,
    parent: u64,
    status: Option<u64>,
}

/// One Linux process, as its server has it.
pub(crate) struct Task {
    pub(crate) number: u64,
    pub(crate) parent: u64,
    /// The end of the heap.
    pub(crate) heap_end: u64,
    process: Process,
    endpoint: Endpoint,
    /// Children that nobody serves yet.
    forked: Vec<Task>,
}

/// Returns the status of a process that exited, as a parent sees it.
pub(crate) const fn exited(status: u64) -> u64 {
    (status & 0xff) << 8
}

pub(crate) fn print(text: &str) {
    OUTPUT.lock().push_str(text);
}

pub(crate) fn take_output() -> String {
    core::mem::take(&mut OUTPUT.lock())
}

/// Takes the status of a process that has ended and that nobody waits for.
pub(crate) fn take_status(number: u64) -> u64 {
    NEXT.store(FIRST, Ordering::Relaxed);
    let entries = core::mem::take(&mut *TABLE.lock());
    entries.iter().find(|entry| entry.number == number).and_then(|it| it.status).unwrap_or(u64::MAX)
}

/// Waits for the end of a child, of any where none is named. Returns its number and status; `None` if there
/// is no such child.
pub(crate) fn wait(parent: u64, number: Option<u64>) -> Option<(u64, u64)> {
    loop {
        let seen = ENDS.load(Ordering::Acquire);
        let mut table = TABLE.lock();
        let is_meant = |it: &Entry| it.parent == parent && number.is_none_or(|n| n == it.number);
        let ended = table.iter().position(|it| is_meant(it) && it.status.is_some());
        if let Some(entry) = ended.map(|at| table.remove(at)) {
            return entry.status.map(|status| (entry.number, status));
        }
        table.iter().find(|it| is_meant(it))?;
        drop(table);
        kernel::address_wait(&ENDS, seen, WaitFlags::NONE);
    }
}

impl Task {
    /// Starts the first process.
    pub(crate) fn first(made: (Process, Thread)) -> Result<Task, Error> {
        Task::start(made, 0, HEAP)
    }

    fn start(made: (Process, Thread), parent: u64, heap_end: u64) -> Result<Task, Error> {
        let (process, thread) = made;
        let endpoint = Endpoint::new()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        process.set_foreign_handler(&endpoint.with_badge(number)?)?;
        thread.start()?;
        TABLE.lock().push(Entry { number, parent, status: None });
        Ok(Task { number, parent, heap_end, process, endpoint, forked: Vec::new() })
    }

    /// Makes a process with the memory and registers of the one that calls. Returns its number.
    pub(crate) fn fork(&mut self, registers: &Registers) -> Result<u64, Error> {
        let process = Process::from_handle(kernel::process_clone(Handle::CALLER)?);
        let thread = process.thread()?;
        let mut registers = *registers;
        registers.x[0] = 0;
        thread.write_registers(&registers)?;
        let vectors = kernel::thread_read_vectors(Handle::CALLER)?;
        kernel::thread_write_vectors(thread.handle(), &vectors)?;
        let child = Task::start((process, thread), self.number, self.heap_end)?;
        let number = child.number;
        self.forked.push(child);
        Ok(number)
    }

    /// Serves the process to its end.
    pub(crate) fn serve(mut self) {
        let mut children = Vec::new();
        let status = self.serve_calls(&mut children).unwrap_or(SEGMENTATION_FAULT);
        drop(children);
        _ = self.process.wait();
        if let Some(entry) = TABLE.lock().iter_mut().find(|it| it.number == self.number) {
            entry.status = Some(status);
        }
        ENDS.fetch_add(1, Ordering::Release);
        kernel::address_wake(&ENDS, u64::MAX, WaitFlags::NONE);
    }

    /// Returns the status that the process ends with.
    fn serve_calls(&mut self, children: &mut Vec<Joined<'static, ()>>) -> Result<u64, Error> {
        let mut received = self.endpoint.receive()?;
        loop {
            let is_call = received.report().is_some_and(|it| it.kind == ExitKind::ForeignCall);
            let next = if is_call { calls::serve(self)? } else { Next::End(SEGMENTATION_FAULT) };
            for child in self.forked.drain(..) {
                children.push(spawn(move || child.serve())?);
            }
            match next {
                Next::Value(value) => {
                    received = self.endpoint.reply_receive(kernel::return_value(value))?;
                }
                Next::End(status) => {
                    kernel::endpoint_reply(None, kernel::answer(Action::Kill))?;
                    return Ok(status);
                }
            }
        }
    }
}
