//! Time: the virtual counter and the virtual timer.
//!
//! Owns: the conversion between counter ticks and nanoseconds, and the timer's two registers.
//! Refuses to know: what a deadline is for, and how the interrupt gets here.

use crate::arch::cpu;
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTKCTL_EL1, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};
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

/// Raises the timer's interrupt once `nanoseconds` have passed, and until it is armed anew.
#[inline]
pub fn arm(nanoseconds: u64) {
    CNTV_CVAL_EL0.set(ticks().saturating_add(scale(nanoseconds, &NANOSECOND)));
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
}

/// Arms the timer unless it is armed.
#[inline]
pub fn arm_if_idle(nanoseconds: u64) {
    if !CNTV_CTL_EL0.is_set(CNTV_CTL_EL0::ENABLE) {
        arm(nanoseconds);
    }
}

/// Raises no interrupt.
#[inline]
pub fn disarm() {
    CNTV_CTL_EL0.set(0);
}
