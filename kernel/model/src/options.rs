//! What a model machine is made of.

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
}

impl Default for ModelOptions {
    fn default() -> ModelOptions {
        ModelOptions { frames: 1024, fixed_frames: 4, cpus: 2, tags: true, access_flags: true }
    }
}
