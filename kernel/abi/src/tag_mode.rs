//! How tag check faults of a thread are reported.

/// What becomes of a load or store whose logical tag is not the memory's (Arm ARM, "SCTLR_EL1",
/// TCF0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u64)]
pub enum TagMode {
    /// Nothing: tags are not checked.
    None = 0,
    /// The access is not performed; the process ends with `TagCheck` and the address.
    #[default]
    Synchronous = 1,
    /// The access is performed; the process ends with `TagCheckAsync` when it next enters the kernel.
    Asynchronous = 2,
    /// Loads as `Synchronous`, stores as `Asynchronous`. Not every CPU has it.
    Asymmetric = 3,
}

impl TagMode {
    /// Every mode, in the order of the numbers.
    pub const ALL: [TagMode; 4] =
        [TagMode::None, TagMode::Synchronous, TagMode::Asynchronous, TagMode::Asymmetric];

    /// Returns the mode with this number.
    #[must_use]
    #[inline]
    pub const fn from_number(number: u64) -> Option<TagMode> {
        match number {
            0 => Some(TagMode::None),
            1 => Some(TagMode::Synchronous),
            2 => Some(TagMode::Asynchronous),
            3 => Some(TagMode::Asymmetric),
            _ => None,
        }
    }
}

/// A thread's tag check mode and the tags that IRG never gives it. As a word: the excluded tags in
/// bits 0..15, the mode in 16..17.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagControl {
    /// How tag check faults are reported.
    pub mode: TagMode,
    /// A bit for each tag that is excluded (GCR_EL1.Exclude).
    pub exclude: u16,
}

impl TagControl {
    /// Reads the arguments of `thread_set_tag_mode`.
    ///
    /// # Errors
    /// `InvalidTagMode` for an unknown mode, `InvalidFlags` for bits above the sixteen tags.
    pub const fn from_arguments(mode: u64, exclude: u64) -> Result<TagControl, crate::Error> {
        let Some(mode) = TagMode::from_number(mode) else {
            return Err(crate::Error::InvalidTagMode);
        };
        if exclude >> 16 != 0 {
            return Err(crate::Error::InvalidFlags);
        }
        Ok(TagControl { mode, exclude: exclude as u16 })
    }

    /// Reads a word, of which bits 0..17 count.
    #[must_use]
    #[inline]
    pub const fn from_word(word: u64) -> TagControl {
        let mode = match word >> 16 & 3 {
            0 => TagMode::None,
            1 => TagMode::Synchronous,
            2 => TagMode::Asynchronous,
            _ => TagMode::Asymmetric,
        };
        TagControl { mode, exclude: word as u16 }
    }

    /// Returns the word.
    #[must_use]
    #[inline]
    pub const fn to_word(self) -> u64 {
        (self.mode as u64) << 16 | self.exclude as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{TagControl, TagMode};
    use crate::Error;

    #[test]
    fn controls_survive_the_word() {
        for mode in TagMode::ALL {
            let control = TagControl { mode, exclude: 0x8001 };
            assert_eq!(TagControl::from_word(control.to_word()), control);
            assert_eq!(TagControl::from_arguments(mode as u64, 0x8001), Ok(control));
        }
    }

    #[test]
    fn unknown_modes_and_tags_are_refused() {
        assert_eq!(TagControl::from_arguments(4, 0), Err(Error::InvalidTagMode));
        assert_eq!(TagControl::from_arguments(u64::MAX, 0), Err(Error::InvalidTagMode));
        assert_eq!(TagControl::from_arguments(1, 1 << 16), Err(Error::InvalidFlags));
    }
}
