//! A process whose threads make calls: three drivers, and its first thread, which sees to it that they never
//! all wait for ever.
//!
//! It makes nothing that the heap would be needed for: any allocation may fail.

use crate::arguments::Slot;
use crate::board::board;
use crate::dice::Dice;
use crate::driver::{Driver, PROGRESS, plain};
use crate::values::{ARENA, each_word};
use crate::{keeper, records, slots};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use vellum_user::abi::{Call, Error, Handle, Registers};
use vellum_user::{calls, system, testing};

/// The status of a worker for which something was missing before its drivers ran.
pub(crate) const UNBORN: u64 = 51;
const DRIVERS: u64 = 3;
const STACK: usize = 24 * 1024;

/// Stacks of the drivers.
#[repr(align(16))]
struct Stacks([UnsafeCell<[u8; STACK]>; DRIVERS as usize]);

// SAFETY: nothing uses them but the thread whose stack each is.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks([const { UnsafeCell::new([0; STACK]) }; DRIVERS as usize]);
/// The number of this worker, and what its drivers' values follow from.
static WORKER: AtomicUsize = AtomicUsize::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);

/// Lives one life of a worker.
///
/// # Errors
/// What fails before the drivers run.
pub(crate) fn live(number: usize) -> Result<(), Error> {
    let life = board().lives.fetch_add(1, Ordering::Relaxed);
    let seed = board().seed.load(Ordering::Relaxed);
    WORKER.store(number, Ordering::Relaxed);
    SEED.store(Dice::new(seed << 32 ^ life << 8 ^ number as u64).word(), Ordering::Relaxed);
    records::make(testing::repeat_address(), ARENA)?;
    (0..DRIVERS).try_for_each(start)?;
    calls::thread_set_priority(Handle::SELF, 0)?;
    revive()
}

/// Starts a driver.
fn start(number: u64) -> Result<(), Error> {
    let thread = calls::thread_create(Handle::SELF, 0)?;
    let top = STACKS.0[number as usize].get().expose_provenance() as u64 + STACK as u64;
    let mut registers = Registers { pc: drive as *const () as u64, sp: top, ..Registers::ZERO };
    (registers.x[0], registers.tpidr) = (number, top);
    calls::thread_write_registers(thread, &registers)?;
    // SAFETY: the registers name a function that never returns, and a stack that nobody else uses.
    unsafe { calls::thread_start(thread) }
}

extern "C" fn drive(number: u64) -> ! {
    let seed = SEED.load(Ordering::Relaxed) ^ number << 56;
    Driver::new(seed, WORKER.load(Ordering::Relaxed), number).run()
}

/// While no driver comes on, does more and more about it; in the end the process ends, and another takes its
/// place. This thread runs when nobody else would.
fn revive() -> ! {
    let patience = if system::cpus() == 1 { 6 } else { 300 };
    loop {
        for help in [wake, close_endpoints, end_others] {
            while moves_on(patience) {}
            help();
        }
        if !moves_on(patience) {
            calls::exit(keeper::STUCK)
        }
    }
}

/// Waits a little and returns whether a driver came on meanwhile.
fn moves_on(patience: u32) -> bool {
    let seen = PROGRESS.load(Ordering::Relaxed);
    (0..patience).for_each(|_| calls::yield_now());
    PROGRESS.load(Ordering::Relaxed) != seen
}

/// Wakes whoever waits at words and for notifications.
fn wake() {
    each_word(|word| {
        for flags in [0, 1] {
            plain(Call::AddressWake, &[word, 64, flags]);
        }
    });
    slots::each(Slot::Notification, |handle| {
        plain(Call::NotificationRaise, &[handle, 1]);
    });
    let given = board().given[WORKER.load(Ordering::Relaxed)][Slot::Notification as usize]
        .load(Ordering::Relaxed);
    plain(Call::NotificationRaise, &[given, 1]);
}

/// Closes the endpoints, as far as they are known.
fn close_endpoints() {
    slots::drop_all(Slot::Endpoint);
    slots::drop_all(Slot::Received);
    let given = &board().given[WORKER.load(Ordering::Relaxed)][Slot::Endpoint as usize];
    plain(Call::HandleClose, &[given.swap(0, Ordering::Relaxed)]);
}

/// Ends threads and processes that somebody may wait for.
fn end_others() {
    slots::each(Slot::Thread, |handle| {
        plain(Call::ThreadKill, &[handle]);
    });
    slots::drop_all(Slot::Process);
}
