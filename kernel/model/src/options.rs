//! What a model machine is made of, and what it counts.

/// What a model machine is made of.
#[derive(Clone, Copy, Debug)]
pub struct ModelOptions {
    /// Frames that the allocator has.
    pub frames: usize,
    /// Frames behind them that it never had, full of their number counted from zero.
    pub fixed_frames: usize,
    /// Virtual CPUs.
    pub cpus: usize,
    /// Whether there are allocation tags.
    pub tags: bool,
    /// Whether walks set the access flag (TCR_EL1.HA).
    pub access_flags: bool,
    /// Virtual CPUs, a bit each, whose walks do not although others' do: they fault.
    pub flagless_cpus: u32,
}

impl Default for ModelOptions {
    fn default() -> ModelOptions {
        ModelOptions {
            frames: 1024,
            fixed_frames: 4,
            cpus: 2,
            tags: true,
            access_flags: true,
            flagless_cpus: 0,
        }
    }
}

/// How often the machine did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acts {
    /// `DSB ISHST`.
    pub dsb_ishst: u64,
    /// `DSB ISH`.
    pub dsb_ish: u64,
    /// `ISB`.
    pub isb: u64,
    /// `TLBI` of every kind.
    pub tlbi: u64,
    /// Stores to descriptors.
    pub stores: u64,
    /// Whole-page fills and copies.
    pub fills: u64,
    /// Frames given out.
    pub allocations: u64,
}
