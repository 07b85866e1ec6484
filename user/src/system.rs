//! What this machine can do, asked once.

use crate::calls;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::Features;

/// The features as the kernel gave them, with [`KNOWN`] set once they are here.
static FEATURES: AtomicU64 = AtomicU64::new(0);
/// Marks [`FEATURES`] as asked for; no feature uses the top bit.
const KNOWN: u64 = 1 << 63;

/// Returns the bits of [`Features`].
#[must_use]
pub fn features() -> u64 {
    let mut features = FEATURES.load(Ordering::Relaxed);
    if features & KNOWN == 0 {
        features = calls::system_query().features | KNOWN;
        FEATURES.store(features, Ordering::Relaxed);
    }
    features & !KNOWN
}

/// Returns how many CPUs run programs.
#[must_use]
pub fn cpus() -> u64 {
    calls::system_query().cpus
}

/// Returns whether memory can be tagged and tags are checked.
#[must_use]
pub fn tags_supported() -> bool {
    features() & Features::TAGS != 0
}

/// Returns whether the memory copy and set instructions are in use.
#[must_use]
pub fn mops_in_use() -> bool {
    features() & Features::MOPS_IN_USE != 0
}

/// Returns whether [`crate::counter::instructions`] counts.
#[must_use]
pub fn instruction_counter() -> bool {
    features() & Features::INSTRUCTION_COUNTER != 0
}

/// Returns what goes behind the case names of figures: those with the memory set instructions in
/// use are cases of their own.
#[must_use]
pub fn figure_suffix() -> &'static str {
    if mops_in_use() { "_mops" } else { "" }
}
