//! Exact counters of an address space.
//!
//! Owns: one number a thing that happened. Refuses to know: what anybody concludes from it. The
//! names are those of `vellum_abi::Stat`. Counted once the thing is done, never before.

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::Stat;

/// Defines [`Counter`] and how the counters go into a [`Stat`].
macro_rules! counters {
    ($($variant:ident $field:ident),* $(,)?) => {
        /// What is counted. See the field of the same name in [`Stat`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "documented at the fields of Stat")]
        pub enum Counter { $($variant),* }

        impl Counters {
            /// Writes the counters to their fields; the others stay.
            pub fn report(&self, stat: &mut Stat) {
                $(stat.$field = self.value(Counter::$variant);)*
            }
        }

        const COUNT: usize = [$(Counter::$variant),*].len();
    };
}

counters! {
    PrivateFrames private_frames,
    TableFrames pt_frames,
    Mappings mappings,
    ReadMap faults_read_map,
    WriteFresh faults_write_fresh,
    WriteCopy faults_write_cow,
    Upgrade faults_write_upgrade,
    Object faults_object,
    Spurious faults_spurious,
    Tag faults_tag,
    Denied faults_denied,
    SharedTable faults_table,
    Block faults_block,
    Around pages_around,
    Populated pages_populated,
    Speculative speculative_frames,
    Blocks blocks,
    Split block_splits,
    Promotion block_promotions,
    LeavesMoved leaves_moved,
    TablesMoved tables_moved,
    BytesFilled bytes_filled,
    BytesCopied bytes_copied,
    TagBytes tag_bytes_written,
    Tlbi tlbi_count,
    CreateBytes create_bytes_written,
    CreateTagBytes create_tag_bytes_written,
}

/// The counters of one address space.
#[derive(Debug)]
pub struct Counters([AtomicU64; COUNT]);

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}

impl Counters {
    /// Returns counters that all stand at zero.
    #[must_use]
    pub const fn new() -> Counters {
        Counters([const { AtomicU64::new(0) }; COUNT])
    }

    // Relaxed everywhere: a counter orders nothing, and is exact because every add is atomic.

    /// Adds to a counter.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        self.0[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes from a counter of things that exist.
    #[inline]
    pub fn subtract(&self, counter: Counter, amount: u64) {
        let before = self.0[counter as usize].fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "more gone than there were");
    }

    /// Sets a counter of things that exist, by whoever has them all in hand.
    pub fn set(&self, counter: Counter, value: u64) {
        self.0[counter as usize].store(value, Ordering::Relaxed);
    }

    /// Returns a counter.
    #[must_use]
    pub fn value(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

/// Counters of things that belong to no address space.
#[derive(Debug, Default)]
pub struct SystemCounters {
    /// Reference objects alive.
    refpages: AtomicU64,
}

impl SystemCounters {
    /// Returns counters that stand at zero.
    #[must_use]
    pub const fn new() -> SystemCounters {
        SystemCounters { refpages: AtomicU64::new(0) }
    }

    /// Returns how many reference objects are alive.
    #[must_use]
    pub fn refpages(&self) -> u64 {
        self.refpages.load(Ordering::Relaxed)
    }

    pub(crate) fn refpage_made(&self) {
        self.refpages.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refpage_gone(&self) {
        self.refpages.fetch_sub(1, Ordering::Relaxed);
    }
}
