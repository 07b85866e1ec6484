//! Time: the virtual counter and the virtual timer.
//!
//! Owns: the conversion between counter ticks and nanoseconds, the timer's two registers, and that each
//! CPU's one timer serves two: the end of a time slice, and the moment when a wait may have to end.
//! Refuses to know: what they are for, and how the interrupt gets here.
//!
//! The timer is armed for the earlier of the two, and off if there is neither.

use crate::arch::cpu;
use crate::percpu;
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTKCTL_EL1, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

/// The private peripheral interrupt of the virtual timer, as its number among those (27 in all).
pub const PRIVATE_INTERRUPT: u32 = 11;

const NANOSECONDS: u64 = 1_000_000_000;

/// The counter's value when the kernel started.
static BOOT_TICKS: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds of a tick, as a fixed-point number with 32 fractional bits.
static TICK: AtomicU64 = AtomicU64::new(0);
/// Ticks of a nanosecond, likewise.
static NANOSECOND: AtomicU64 = AtomicU64::new(0);

/// What a CPU's timer is armed for, in ticks; 0 is nothing.
pub struct Uses {
    /// When to look whether the slice is over: at its end, or at the end of one before it.
    slice: Cell<u64>,
    /// When the slice began. Turns may end much sooner than slices, so the timer is not armed anew for each.
    began: Cell<u64>,
    /// How long it is.
    length: Cell<u64>,
    wake: Cell<u64>,
}

/// What has come when the timer interrupts.
pub struct Due {
    /// The end of the time slice.
    pub slice: bool,
    /// The moment of [`wake_at`].
    pub wake: bool,
}

/// Starts time at zero and lets programs read the counter.
///
/// # Panics
/// If the firmware left no counter frequency.
pub fn start() {
    let frequency = CNTFRQ_EL0.get();
    assert!(frequency != 0, "CNTFRQ_EL0 is zero");
    TICK.store((NANOSECONDS << 32) / frequency, Ordering::Relaxed);
    NANOSECOND.store(
        (u128::from(frequency) << 32).div_euclid(u128::from(NANOSECONDS)) as u64,
        Ordering::Relaxed,
    );
    BOOT_TICKS.store(ticks(), Ordering::Relaxed);
    start_this();
}

/// Lets programs on this CPU read the counter. All CPUs count alike.
pub fn start_this() {
    CNTKCTL_EL1.write(CNTKCTL_EL1::EL0VCTEN::SET);
    disarm();
}

/// Returns the counter. The barrier keeps it from being read early.
#[inline]
fn ticks() -> u64 {
    cpu::isb();
    CNTVCT_EL0.get()
}

/// Returns the product of a number and a fixed-point number.
#[inline]
fn scale(value: u64, factor: &AtomicU64) -> u64 {
    ((u128::from(value) * u128::from(factor.load(Ordering::Relaxed))) >> 32) as u64
}

/// Returns nanoseconds since boot.
#[inline]
pub fn now() -> u64 {
    scale(ticks().wrapping_sub(BOOT_TICKS.load(Ordering::Relaxed)), &TICK)
}

impl Uses {
    /// Returns the uses of a timer that is off.
    pub const fn new() -> Uses {
        let [slice, began, length, wake] = [const { Cell::new(0) }; 4];
        Uses { slice, began, length, wake }
    }

    /// Returns when the slice ends that has begun.
    fn slice_end(&self) -> u64 {
        self.began.get().saturating_add(self.length.get())
    }

    /// Arms the timer for the end of the slice.
    #[cold]
    #[inline(never)]
    fn arm_slice(&self, nanoseconds: u64) {
        self.length.set(scale(nanoseconds, &NANOSECOND));
        self.slice.set(self.slice_end());
        self.arm();
    }

    /// Arms the timer for what comes first.
    fn arm(&self) {
        match (self.slice.get(), self.wake.get()) {
            (0, 0) => return disarm(),
            (0, time) | (time, 0) => CNTV_CVAL_EL0.set(time),
            (slice, wake) => CNTV_CVAL_EL0.set(slice.min(wake)),
        }
        CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    }
}

/// Begins a time slice of which some ticks are used already: the timer interrupts once `nanoseconds` have
/// passed, which are the same every time.
#[inline]
pub fn begin_slice(nanoseconds: u64, used: u64) {
    let uses = &percpu::this().timer;
    // Without the barrier of `ticks`: a few instructions more or less are nothing to a slice.
    uses.began.set(CNTVCT_EL0.get().saturating_sub(used));
    if uses.slice.get() == 0 {
        uses.arm_slice(nanoseconds);
    }
}

/// Begins a time slice unless one has begun.
#[inline]
pub fn begin_slice_if_none(nanoseconds: u64) {
    if percpu::this().timer.slice.get() == 0 {
        begin_slice(nanoseconds, 0);
    }
}

/// Returns how many ticks of its slice are used, if one has begun.
pub fn used_of_slice() -> u64 {
    let uses = &percpu::this().timer;
    if uses.slice.get() == 0 { 0 } else { ticks().saturating_sub(uses.began.get()) }
}

/// Ends the time slice, if one has begun.
#[inline]
pub fn end_slice() {
    let uses = &percpu::this().timer;
    if uses.slice.get() != 0 {
        uses.slice.set(0);
        uses.arm();
    }
}

/// Lets the timer interrupt at a time since boot, at once if that is over, or for slices alone.
pub fn wake_at(time: Option<u64>) {
    let uses = &percpu::this().timer;
    // By what is left, as conversions are not exact over long spans; a tick late rather than early.
    let left = |time: u64| scale(time.saturating_sub(now()), &NANOSECOND) + 1;
    uses.wake.set(time.map_or(0, |time| ticks().saturating_add(left(time))));
    uses.arm();
}

/// Tells why the timer has interrupted, and arms it for what is left.
pub fn serve() -> Due {
    let (uses, now) = (&percpu::this().timer, ticks());
    let take = |use_of: &Cell<u64>, next: u64| {
        let has_come = use_of.get() != 0 && use_of.get() <= now;
        if has_come {
            use_of.set(if next > now { next } else { 0 });
        }
        has_come && next <= now
    };
    let due = Due { slice: take(&uses.slice, uses.slice_end()), wake: take(&uses.wake, 0) };
    uses.arm();
    due
}

/// Raises no interrupt, until the timer is armed anew.
#[inline]
pub fn disarm() {
    CNTV_CTL_EL0.set(0);
}
