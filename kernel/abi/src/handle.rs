//! Handle values.

/// How a process names an object: a slot of its table and the slot's generation.
///
/// A closed handle stays invalid when its slot is used again, because the generation differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

impl Handle {
    /// Names the calling process wherever a process handle is asked for.
    pub const SELF: Handle = Handle(0xffff_ffff);
    /// Names the zero reference object in `map`: anonymous memory.
    pub const ANONYMOUS: Handle = Handle(0xffff_fffe);
    /// Names the thread whose report the calling thread has received and not yet answered, and its process
    /// wherever a process handle is asked for: with INSPECT and MANAGE, and only if the report came to it as
    /// a handler.
    pub const CALLER: Handle = Handle(0xffff_fffd);
    /// Bits of the slot index.
    pub const INDEX_BITS: u32 = 20;
    /// The highest generation; the values above it are the constants.
    pub const LAST_GENERATION: u32 = 0xffe;

    /// Returns the handle of a slot.
    ///
    /// # Panics
    /// If the index needs more than [`Self::INDEX_BITS`] or the generation is 0 or above
    /// [`Self::LAST_GENERATION`].
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Handle {
        assert!(index < 1 << Self::INDEX_BITS);
        assert!(generation != 0 && generation <= Self::LAST_GENERATION);
        Handle(generation << Self::INDEX_BITS | index)
    }

    /// Returns the handle in an argument register, or `None` where the upper half is not zero.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Handle> {
        if word >> 32 == 0 { Some(Handle(word as u32)) } else { None }
    }

    /// Returns the register form.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0 as u64
    }

    /// Returns the slot index.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 & ((1 << Self::INDEX_BITS) - 1)
    }

    /// Returns the generation.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 >> Self::INDEX_BITS
    }
}
