//! A thread that does what numbers say, with whatever the others of its process have.
//!
//! Owns: what may be done, so that nothing of it reaches memory that Rust code relies on. Refuses to
//! know: what becomes of it; a refusal is an answer like any other, but for memory of the driver's own.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vellum_user::abi::{
    Advice, Call, Error, FOR_EVER, Handle, MapFlags, MapOptions, PRIORITIES, Protection,
    RemapFlags, Rights, Switches,
};
use vellum_user::mapping::PAGE;
use vellum_user::{Mapping, testing};

const SELF: u64 = Handle::SELF.to_word();
/// Where the ranges begin that all drivers share, how many there are, and how far apart.
const SHARED: u64 = 0x20_0000_0000;
const RANGES: u64 = 6;
const APART: u64 = 8 << 20;
/// The most pages that are mapped at once.
const MOST: u64 = 700;

/// Handles of anything, as the drivers leave them to each other.
static HANDLES: [AtomicU64; 12] = [const { AtomicU64::new(0) }; 12];
/// Words to wait at.
static WORDS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

/// One driver.
pub(crate) struct Driver {
    state: u64,
    buffer: [u8; 600],
}

impl Driver {
    pub(crate) fn new(seed: u64, number: u64) -> Driver {
        Driver { state: seed << 8 | number, buffer: [number as u8; 600] }
    }

    /// A number below `end` (SplitMix64).
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % end
    }

    /// Takes so many steps.
    ///
    /// # Errors
    /// What is wrong with memory that is this driver's alone.
    pub(crate) fn run(mut self, steps: u64) -> Result<(), &'static str> {
        for _ in 0..steps {
            match self.below(8) {
                0..3 => self.memory(SELF),
                3 => {
                    let process = self.any();
                    self.memory(process);
                }
                4 => self.own()?,
                5 => self.objects(),
                6 => self.threads(),
                _ => self.processes(),
            }
        }
        Ok(())
    }

    /// A handle of anything, perhaps closed by now.
    fn any(&mut self) -> u64 {
        HANDLES[self.below(HANDLES.len() as u64) as usize].load(Ordering::Relaxed)
    }

    /// Leaves a handle to all, in the place of another, which is closed.
    fn leave(&mut self, handle: u64) {
        let slot = self.below(HANDLES.len() as u64) as usize;
        let before = HANDLES[slot].swap(handle, Ordering::Relaxed);
        call(Call::HandleClose, &[before]);
    }

    fn leave_answer(&mut self, answer: Option<u64>) {
        if let Some(handle) = answer {
            self.leave(handle);
        }
    }

    /// A place of the shared ranges and a length that stays in it.
    fn place(&mut self) -> (u64, u64) {
        let pages = if self.below(4) == 0 { self.below(MOST) } else { self.below(24) } + 1;
        let offset = if self.below(2) == 0 { 0 } else { self.below(40) };
        let start = SHARED + self.below(RANGES) * APART + offset * PAGE as u64;
        (start, pages * PAGE as u64)
    }

    /// The word of how something is mapped.
    fn options(&mut self) -> u64 {
        let flags = MapFlags::FIXED | MapFlags::REPLACE;
        let protection = Protection::READ | Protection::WRITE;
        let switches = [
            Switches::NONE,
            Switches::BATCH,
            Switches::SHARED_TABLES,
            Switches::HUGE,
            Switches::HUGE | Switches::HUGE_WRITES,
        ][self.below(5) as usize];
        MapOptions { protection, flags, switches, ..MapOptions::default() }.to_word()
    }

    /// Does something to memory of a process that drivers share.
    fn memory(&mut self, process: u64) {
        let (start, length) = self.place();
        let (other, _) = self.place();
        let options = self.options();
        let buffer = self.buffer.as_mut_ptr().expose_provenance() as u64;
        let bytes = self.below(self.buffer.len() as u64);
        match self.below(12) {
            0 | 1 => {
                let anonymous = Handle::ANONYMOUS.to_word();
                call(Call::Map, &[process, anonymous, start, length, options]);
            }
            2 => {
                let (object, shared) = (self.any(), MapFlags::SHARED.bits() * self.below(2));
                let options = options & 0xffff_ffff | shared;
                call(Call::Map, &[process, object, start, length.min(8 << 12), options]);
            }
            3 => drop(call(Call::Unmap, &[process, start, length])),
            4 => {
                let protection = 1 | self.below(2) << 1;
                call(Call::Protect, &[process, start, length, protection]);
            }
            5 | 6 => {
                let advice = self.below(Advice::ALL.len() as u64);
                call(Call::Advise, &[process, start, length, advice]);
            }
            7 => {
                let flags = RemapFlags::MAYMOVE | RemapFlags::FIXED;
                let flags = flags.bits() | (RemapFlags::RETAIN.bits() * self.below(2));
                call(Call::Remap, &[process, start, length, length, flags, other]);
            }
            8 | 9 => drop(call(Call::MemoryWrite, &[process, start, buffer, bytes])),
            10 => drop(call(Call::MemoryRead, &[process, start, buffer, bytes])),
            _ => drop(call(Call::TagsWrite, &[process, start, buffer, bytes])),
        }
    }

    /// Writes to memory that nobody else knows, and looks whether it is there.
    fn own(&mut self) -> Result<(), &'static str> {
        let pages = self.below(40) as usize + 1;
        let Ok(mapping) = Mapping::anonymous(pages * PAGE) else { return Ok(()) };
        let byte = self.below(255) as u8 + 1;
        (0..pages).for_each(|page| mapping.write(page * PAGE + 5, byte));
        self.threads();
        let right = |page: usize| mapping.read(page * PAGE + 5) == byte;
        if !(0..pages).all(right) {
            return Err("a page lost what was written");
        }
        if mapping.decommit(0..pages * PAGE) != Ok(()) {
            return Err("decommit was refused");
        }
        if mapping.first_other(0..pages * PAGE, 0).is_some() {
            return Err("a page still has what was given back");
        }
        mapping.unmap().map_err(|_: Error| "unmap was refused")
    }

    /// Makes, copies and closes handles.
    fn objects(&mut self) {
        let (some, process) = (self.any(), if self.below(2) == 0 { SELF } else { self.any() });
        let answer = match self.below(8) {
            0 => call(Call::MemoryCreate, &[(self.below(64) + 1) << 12, self.below(2)]),
            1 => call(Call::RefpageCreateTag, &[self.below(16), 0]),
            2 | 3 => {
                let copy = call(Call::HandleCopy, &[process, some, Rights::ALL.bits()]);
                copy.filter(|_| process == SELF)
            }
            4 => call(Call::EndpointCreate, &[]),
            5 => call(Call::EndpointBadge, &[some, 7]),
            6 => call(Call::NotificationCreate, &[]),
            _ => {
                call(Call::NotificationRaise, &[some, 1 + self.below(8)]);
                call(Call::HandleClose, &[some]);
                None
            }
        };
        self.leave_answer(answer);
    }

    /// Starts, steers, ends and wakes threads of this process.
    fn threads(&mut self) {
        let word = &WORDS[self.below(WORDS.len() as u64) as usize];
        let word = word.as_ptr().expose_provenance() as u64;
        match self.below(8) {
            0 | 1 => self.start(SELF, word),
            2 => drop(call(Call::ThreadKill, &[self.any()])),
            3 => {
                let thread = if self.below(3) == 0 { SELF } else { self.any() };
                call(Call::ThreadSetPriority, &[thread, self.below(PRIORITIES)]);
            }
            4 | 5 => drop(call(Call::AddressWake, &[word, self.below(5), self.below(2)])),
            6 => drop(call(Call::Yield, &[])),
            _ => {
                let buffer = self.buffer.as_mut_ptr().expose_provenance() as u64;
                call(Call::ThreadReadRegisters, &[self.any(), buffer]);
            }
        }
    }

    /// Starts a thread that repeats a call.
    fn start(&mut self, process: u64, word: u64) {
        let (start, length) = self.place();
        let (options, target) = (self.options(), self.any());
        let anonymous = Handle::ANONYMOUS.to_word();
        // Nobody would ever wake or end one of a clone.
        let kinds = if process == SELF { 11 } else { 4 };
        let (call, arguments) = match self.below(kinds) {
            0 => (Call::Map, [SELF, anonymous, start, length, options, 0]),
            1 => (Call::Advise, [SELF, start, length, self.below(3), 0, 0]),
            2 => (Call::Unmap, [SELF, start, length, 0, 0, 0]),
            3 => (Call::MemoryRead, [SELF, start, start, length, 0, 0]),
            4 => (Call::AddressWait, [word, 0, self.below(2), FOR_EVER, 0, 0]),
            5 => (Call::ProcessClone, [SELF, 0, 0, 0, 0, 0]),
            6 => (Call::EndpointCall, [target, self.any() | Rights::ALL.bits() << 32, 1, 2, 3, 4]),
            7 => (Call::EndpointReceive, [target, 0, 0, 0, 0, 0]),
            8 => (Call::EndpointReplyReceive, [target, 0, 1, 2, 3, 4]),
            9 => (Call::NotificationWait, [target, FOR_EVER, 0, 0, 0, 0]),
            _ => (Call::ProcessWait, [target, start, FOR_EVER, 0, 0, 0]),
        };
        let times = if call == Call::ProcessClone { 1 } else { self.below(20) + 1 };
        let word = word * self.below(2);
        let Some(process) = Handle::from_word(process) else { return };
        // SAFETY: the shared ranges alone may change, and words that mean nothing but waiting.
        let thread = unsafe { testing::repeat_call(process, word, call, arguments, times) };
        self.leave_answer(thread.map(Handle::to_word).ok());
    }

    /// Makes, starts and ends clones.
    fn processes(&mut self) {
        let process = self.any();
        match self.below(7) {
            0 => {
                let clone = call(Call::ProcessClone, &[SELF]);
                self.leave_answer(clone);
            }
            1 => {
                let clone = call(Call::ProcessClone, &[process]);
                self.leave_answer(clone);
            }
            2 => {
                let empty = call(Call::ProcessCreate, &[SELF]);
                self.leave_answer(empty);
            }
            3 | 4 => self.start(process, 0),
            _ => {
                if call(Call::ProcessKill, &[process]).is_some() {
                    let report = self.buffer.as_mut_ptr().expose_provenance() as u64;
                    call(Call::ProcessWait, &[process, report.next_multiple_of(8), FOR_EVER]);
                }
            }
        }
    }
}

/// Makes a call and returns its value, unless it was refused.
fn call(call: Call, given: &[u64]) -> Option<u64> {
    // SAFETY: memory that the calls change lies in the shared ranges, or is the driver's buffer.
    unsafe { testing::try_call(call, given) }.ok()
}
