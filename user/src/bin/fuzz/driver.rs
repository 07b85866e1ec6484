//! A thread that makes calls without end.
//!
//! Owns: what it does in which order, and what must hold whatever comes back: a status that exists, no value
//! beside a refusal, memory that nobody else knows unchanged. Refuses to know: what becomes of its process.

use crate::arguments::{How, Kind, Row, Slot, WEIGHTS, pick, row_of};
use crate::board::{Board, Trouble, board};
use crate::slots;
use crate::values::Values;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Advice, Call, Error, Handle, Policy, Switches, TestOperation};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{calls, raw, testing};

const SELF: u64 = Handle::SELF.to_word();
/// Where each driver has memory that nobody else knows, and how far apart.
const OWN: usize = 0xa_0000_0000;
const APART: usize = 1 << 28;
/// The bytes of a range that is worked on for long, and how often there is one.
const LONG: u64 = 1 << 23;
const LONG_ONCE_IN: u64 = 8;
/// Calls between two audits.
const AUDIT: u64 = 1000;

/// Calls of this process that came back.
pub(crate) static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// One driver.
pub(crate) struct Driver {
    values: Values,
    number: u64,
    board: &'static Board,
}

impl Driver {
    pub(crate) fn new(seed: u64, worker: usize, number: u64) -> Driver {
        Driver { values: Values::new(seed, worker, number), number, board: board() }
    }

    /// Makes calls until there were enough, then ends the process.
    pub(crate) fn run(mut self) -> ! {
        while !self.board.is_over() {
            match self.values.dice.below(100) {
                0..4 => self.start(),
                4 => self.own(),
                _ => self.any(),
            }
        }
        self.board.end();
        calls::exit(0)
    }

    /// Makes any call with any arguments.
    fn any(&mut self) {
        let call = pick(self.values.dice.below(WEIGHTS));
        let row = row_of(call);
        if row.how == How::Ends && !self.values.dice.once_in(4) {
            return;
        }
        let mut arguments = self.arguments(&row);
        if !self.values.dice.once_in(LONG_ONCE_IN) {
            shorten(&row, &mut arguments);
        }
        self.make(call, arguments);
        if call == Call::ThreadCreate && !self.values.dice.once_in(16) {
            // Most may be started: one that cannot run ends its process.
            let thread = slots::newest(Slot::Thread);
            let record = self.values.draw(Kind::RegistersRecord);
            self.make(Call::ThreadWriteRegisters, [thread, record, 0, 0, 0, 0]);
        }
    }

    fn arguments(&mut self, row: &Row) -> [u64; 6] {
        let mut arguments = [0; 6];
        for (argument, kind) in arguments.iter_mut().zip(row.kinds) {
            *argument = self.values.draw(*kind);
        }
        arguments
    }

    /// Makes a call, checks its answer and keeps what it made.
    fn make(&mut self, call: Call, arguments: [u64; 6]) {
        let how = row_of(call).how;
        self.count(call);
        if how == How::Ends {
            self.board.done[call as usize].fetch_add(1, Ordering::Relaxed);
        }
        let timeout = self.values.draw(Kind::Timeout);
        let (status, value) = exchange(call, arguments, timeout);
        PROGRESS.fetch_add(1, Ordering::Relaxed);
        if status != 0 {
            return self.refused(call, status, value);
        }
        self.board.done[call as usize].fetch_add(1, Ordering::Relaxed);
        let [process, _, _, mapped, ..] = arguments;
        match call {
            Call::Map if process == SELF => self.values.note(value, mapped),
            // Where it was tells nothing, and it may be mapped still.
            Call::Remap if process == SELF => self.values.note(value, mapped),
            _ => {}
        }
        match how {
            How::Makes(slot) => slots::keep(&mut self.values.dice, slot, value),
            How::Waits if value != 0 && call != Call::NotificationWait => {
                slots::keep(&mut self.values.dice, Slot::Received, value);
            }
            _ => {}
        }
    }

    /// Counts a call, and audits now and then.
    fn count(&self, call: Call) {
        let before = self.board.calls.fetch_add(1, Ordering::Relaxed);
        self.board.made[call as usize].fetch_add(1, Ordering::Relaxed);
        if before % AUDIT == AUDIT - 1 {
            self.audit();
        }
    }

    /// Lets the kernel check this process and all that it has handles of.
    fn audit(&self) {
        let audit = |process| {
            if calls::test(TestOperation::Audit, process).is_ok() {
                self.board.audits.fetch_add(1, Ordering::Relaxed);
            }
        };
        audit(SELF);
        slots::each(Slot::Process, audit);
    }

    fn refused(&self, call: Call, status: u64, value: u64) {
        let details = [call as u64, status, value];
        match Error::from_number(status) {
            Some(error) => {
                let count = &self.board.refused[call as usize][error as usize];
                count.fetch_add(1, Ordering::Relaxed);
            }
            None => self.board.report(Trouble::UnknownStatus, details),
        }
        // How far they came: the one exception to "nothing has changed".
        let tells_how_far = matches!(
            call,
            Call::ConsoleWrite
                | Call::MemoryRead
                | Call::MemoryWrite
                | Call::MemoryTransfer
                | Call::TagsRead
                | Call::TagsWrite
                | Call::Advise
                | Call::PagerSupply
        );
        if value != 0 && !tells_how_far {
            self.board.report(Trouble::ValueOfRefusal, details);
        }
    }

    /// Starts a thread that repeats a call, here or in a process that there is a handle of. There, nobody
    /// would ever wake one that waits.
    fn start(&mut self) {
        let here = self.values.dice.below(3) != 0;
        let process = if here { SELF } else { slots::any(&mut self.values.dice, Slot::Process) };
        let call = pick(self.values.dice.below(WEIGHTS));
        let row = row_of(call);
        if row.how == How::Ends || !here && row.how == How::Waits || call == Call::Test {
            return;
        }
        let mut arguments = self.arguments(&row);
        if !here {
            // Nor end one that makes very many pages present.
            shorten(&row, &mut arguments);
        }
        let times = if call == Call::ProcessClone { 1 } else { self.values.dice.below(20) + 1 };
        let word = if self.values.dice.once_in(2) { self.values.word() } else { 0 };
        let Some(process) = Handle::from_word(process) else { return };
        self.board.calls.fetch_add(3, Ordering::Relaxed);
        // SAFETY: the values see to it that no memory changes that Rust code relies on.
        let thread = unsafe { testing::repeat_call(process, word, call, arguments, times) };
        match thread {
            Ok(thread) if self.values.dice.once_in(3) => {
                slots::keep(&mut self.values.dice, Slot::Thread, thread.to_word());
            }
            Ok(thread) => _ = plain(Call::HandleClose, &[thread.to_word()]),
            Err(_) => {}
        }
        PROGRESS.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes to memory that nobody else knows, makes some call, and looks whether all is there.
    fn own(&mut self) {
        let dice = &mut self.values.dice;
        let pages = if dice.once_in(8) { 512 } else { dice.below(40) as usize + 1 };
        let step = dice.below(5) as usize + 1;
        let switches = [Switches::NONE, Switches::BATCH, Switches::SHARED_TABLES, Switches::HUGE];
        let switches = switches[dice.below(4) as usize];
        let policy =
            if dice.once_in(4) { Policy::PatternOnAnyFault } else { Policy::ReferencePage };
        let byte = dice.below(255) as u8 + 1;
        let address = OWN + self.number as usize * APART;
        let request = MapRequest::anonymous(pages * PAGE).at(address).with(switches).under(policy);
        let Ok(mapping) = request.map() else { return };
        (0..pages).step_by(step).for_each(|page| mapping.write(page * PAGE + 5, byte));
        self.any();
        for page in (0..pages).step_by(step) {
            if mapping.read(page * PAGE + 5) != byte || mapping.read(page * PAGE + 4) != 0 {
                self.board.report(Trouble::Lost, [mapping.address() as u64, page as u64, 0]);
            }
        }
        let length = mapping.length() as u64;
        let advice = [SELF, mapping.address() as u64, length, Advice::Decommit as u64];
        let given_back = plain(Call::Advise, &advice).is_some();
        let dirty = |page: &usize| mapping.read(page * PAGE + 5) != 0;
        if given_back && (0..pages).step_by(step).any(|page| dirty(&page)) {
            self.board.report(Trouble::NotClean, [mapping.address() as u64, 0, 0]);
        }
        // Dropped by hand: what is refused may be tried again.
        let address = mapping.leak() as u64;
        while plain(Call::Unmap, &[SELF, address, length]).is_none() {}
    }
}

/// Makes ranges shorter that would take for ever to be made present.
fn shorten(row: &Row, arguments: &mut [u64; 6]) {
    for (argument, kind) in arguments.iter_mut().zip(row.kinds) {
        if *kind == Kind::Length && *argument > LONG {
            *argument %= LONG;
        }
    }
}

/// Makes a call, whatever comes back, and returns its value unless it is refused.
pub(crate) fn plain(call: Call, given: &[u64]) -> Option<u64> {
    let mut arguments = [0; 6];
    arguments[..given.len()].copy_from_slice(given);
    let (status, value) = exchange(call, arguments, 0);
    (status == 0).then_some(value)
}

/// Makes a call of any kind: messages change more registers than others.
fn exchange(call: Call, [first, second, rest @ ..]: [u64; 6], timeout: u64) -> (u64, u64) {
    // SAFETY: what the call may do to memory, the values have seen to.
    let (status, value, _, _) = unsafe { raw::exchange(call as u64, first, second, rest, timeout) };
    (status, value)
}
