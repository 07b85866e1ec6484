//! A process that does one access or call at a time for us.

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{
    Error, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection, Registers, Stat,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Mapping, MemoryObject, Process, calls, println, system, testing};

/// Where an agent looks for requests.
const MAILBOX: u64 = 0x8_0000_0000;
/// How often an agent is given the CPU before it counts as dead.
const PATIENCE: u32 = 100_000;

/// What an agent can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    /// A system call.
    Call = 1,
    /// A load of a byte.
    Load = 2,
    /// A store of a byte.
    Store = 3,
    /// A load of a tag.
    LoadTag = 4,
    /// A store of the pointer's tag.
    StoreTag = 5,
    /// A jump.
    Execute = 6,
}

/// An agent.
pub(crate) struct Agent {
    pub(crate) process: Process,
    mailbox: Mapping,
    /// What its thread began with.
    registers: Registers,
    /// What its counters were beside what the flat model counts.
    base: Stat,
}

impl Agent {
    /// Starts an agent.
    pub(crate) fn new() -> Result<Agent, Error> {
        let child = testing::load("agent", &[]);
        let registers = child.thread.registers()?;
        let mailbox = mailbox_in(&child.process)?;
        child.start()?;
        let agent = Agent { process: child.process, mailbox, registers, base: Stat::default() };
        agent.settle();
        Ok(agent)
    }

    /// Starts an agent in a clone of this one's process.
    pub(crate) fn cloned(&self) -> Result<Agent, Error> {
        let process = Process::from_handle(calls::process_clone(self.process.handle())?);
        process.unmap(MAILBOX, PAGE_SIZE)?;
        let mailbox = mailbox_in(&process)?;
        let (registers, thread) = (self.registers, process.thread()?);
        thread.write_registers(&registers)?;
        thread.start()?;
        let agent = Agent { process, mailbox, registers, base: Stat::default() };
        agent.settle();
        // The clone took the permission to store from the first one's own pages as well.
        self.settle();
        Ok(agent)
    }

    /// Lets the agent touch every page that it uses.
    fn settle(&self) {
        let spare = MAILBOX + PAGE_SIZE / 2;
        self.ask(Request::Call, &[0]);
        self.ask(Request::Load, &[spare]);
        self.ask(Request::Store, &[spare, 1]);
        if system::tags_supported() {
            self.ask(Request::LoadTag, &[spare]);
            self.ask(Request::StoreTag, &[spare]);
        }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the mapping covers the word, and both sides access it atomically.
        unsafe { AtomicU64::from_ptr(self.mailbox.pointer(8 * index).cast()) }
    }

    /// Asks without waiting for an answer.
    pub(crate) fn begin(&self, request: Request, arguments: &[u64]) {
        for (index, argument) in arguments.iter().enumerate() {
            self.word(1 + index).store(*argument, Ordering::Relaxed);
        }
        self.word(0).store(request as u64, Ordering::Release);
    }

    /// Asks and returns status and value. An agent that has died answers with an error and a value
    /// that nothing else gives.
    pub(crate) fn ask(&self, request: Request, arguments: &[u64]) -> (u64, u64) {
        self.begin(request, arguments);
        for _ in 0..PATIENCE {
            if self.word(0).load(Ordering::Acquire) == 0 {
                let answer = |index| self.word(index).load(Ordering::Relaxed);
                return (answer(8), answer(9));
            }
            calls::yield_now();
        }
        println!("no answer to {request:?} {arguments:x?}");
        (Error::InvalidState as u64, u64::MAX)
    }

    /// Makes a call in the agent's process.
    pub(crate) fn call(&self, call: u64, arguments: &[u64]) -> Result<u64, Error> {
        let mut all = [0; 7];
        all[0] = call;
        all[1..=arguments.len()].copy_from_slice(arguments);
        calls::result(self.ask(Request::Call, &all))
    }

    /// Ends the process and waits until everything is given back.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.process.kill()?;
        self.process.wait().map(|_| ())
    }

    /// Takes the counters as they are for what the flat model counts.
    pub(crate) fn rebase(&mut self, flat: &Stat) -> Result<(), Error> {
        self.base = difference(&self.process.stat()?, flat);
        Ok(())
    }

    /// Returns what was counted for scripts.
    pub(crate) fn counted(&self) -> Result<Stat, Error> {
        Ok(difference(&self.process.stat()?, &self.base))
    }
}

fn difference(all: &Stat, part: &Stat) -> Stat {
    let (mut words, part) = (all.to_words(), part.to_words());
    words.iter_mut().zip(part).for_each(|(word, part)| *word = word.wrapping_sub(part));
    Stat::from_words(words)
}

/// Maps a page for requests into a process, and here.
fn mailbox_in(process: &Process) -> Result<Mapping, Error> {
    let object = MemoryObject::new(PAGE_SIZE)?;
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::FIXED | MapFlags::SHARED,
        ..MapOptions::default()
    };
    process.map(object.handle(), MAILBOX, PAGE_SIZE, options, 0)?;
    let mapping = MapRequest::of(object.handle(), PAGE).shared().map()?;
    // Present on this side before anything is counted.
    mapping.write_word(0, 0);
    Ok(mapping)
}

/// A handle to an object, here or in an agent's table.
#[derive(Debug)]
pub(crate) enum Held {
    /// Here.
    Here(MemoryObject),
    /// In the agent of this number.
    There(usize, Handle),
}
