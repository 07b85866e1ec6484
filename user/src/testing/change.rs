//! Counters before and after something.

use crate::calls;
use vellum_abi::{Handle, Stat};

/// Defines [`Change`] with the fields of [`Stat`], each signed. A field of `Stat` that is missing
/// here does not compile.
macro_rules! change {
    ($($field:ident)*) => {
        /// By how much each counter changed; the names and meanings are those of [`Stat`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[expect(missing_docs, reason = "documented at the fields of Stat")]
        pub struct Change { $(pub $field: i64,)* }

        impl Change {
            /// Returns what changed between two readings.
            #[must_use]
            pub fn between(before: &Stat, after: &Stat) -> Change {
                let Stat { $($field),* } = *after;
                Change { $($field: $field.wrapping_sub(before.$field) as i64,)* }
            }
        }
    };
}

change! {
    total_frames free_frames refpages_live processes_live pool_bytes private_frames pt_frames
    mappings handles faults_read_map faults_write_fresh faults_write_cow faults_write_upgrade
    faults_object faults_spurious faults_tag faults_denied faults_table faults_block pages_around
    pages_populated     speculative_frames blocks block_splits block_promotions leaves_moved tables_moved bytes_filled
    bytes_copied tag_bytes_written tlbi_count create_bytes_written create_tag_bytes_written account_frames
    account_kernel_bytes
}

impl Change {
    /// Returns the bytes of frames that the kernel wrote for faults.
    #[must_use]
    pub const fn kernel_bytes_written(&self) -> i64 {
        self.bytes_filled + self.bytes_copied
    }

    /// Returns the faults of every kind.
    #[must_use]
    pub const fn faults(&self) -> i64 {
        self.faults_read_map
            + self.faults_write_fresh
            + self.faults_write_cow
            + self.faults_write_upgrade
            + self.faults_object
            + self.faults_spurious
            + self.faults_tag
            + self.faults_denied
            + self.faults_table
            + self.faults_block
    }
}

/// Returns this process's counters.
///
/// # Panics
/// If the kernel refuses, which it has no reason to.
#[must_use]
pub fn stat() -> Stat {
    calls::stat(Handle::SELF).expect("a process may look at its own counters")
}

/// Returns free frames, kernel memory in use and this process's handles: what is as before when a test has
/// given everything back.
#[must_use]
pub fn at_rest() -> (u64, u64, u64) {
    let stat = stat();
    (stat.free_frames, stat.pool_bytes, stat.handles)
}

/// Returns what `work_fn` changed in this process's counters and the system's.
pub fn measure(work_fn: impl FnOnce()) -> Change {
    measure_value(work_fn).1
}

/// Returns the closure's value besides what it changed.
pub fn measure_value<T>(work_fn: impl FnOnce() -> T) -> (T, Change) {
    let before = stat();
    let value = work_fn();
    let after = stat();
    (value, Change::between(&before, &after))
}
