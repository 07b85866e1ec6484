//! What distinguishes leaves: the attribute of their memory, and whose frame they show.

/// The memory attributes in use, as indices into MAIR_EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum MemoryKind {
    /// Normal Tagged write-back memory, 0xf0; plain 0xff on a machine without tags.
    Tagged = 0,
    /// Normal write-back memory, 0xff.
    Normal = 1,
    /// Device-nGnRnE, 0x00.
    Device = 2,
}

impl MemoryKind {
    /// The AttrIndx field.
    pub(super) const MASK: u64 = 0b111 << 2;

    /// Returns the AttrIndx field of a descriptor.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        (self as u64) << 2
    }

    /// Returns MAIR_EL1 for these indices. Without tags 0xf0 would be a reserved encoding.
    #[must_use]
    pub const fn mair(has_tags: bool) -> u64 {
        let tagged = if has_tags { 0xf0 } else { 0xff };
        tagged | 0xff << 8
    }
}

/// Whose the frame of a leaf is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The process's own: charged to its account, freed when the leaf goes.
    Private,
    /// A reference or memory object's, seen read-only.
    ReadShared,
    /// A memory object's, mapped shared.
    Object,
}

/// Whether stores through a mapping are its process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Sharing {
    /// The first store gives a private frame.
    Private,
    /// Stores change the object.
    Shared,
}

#[cfg(test)]
mod tests {
    use super::MemoryKind;

    #[test]
    fn the_attribute_of_each_kind_stands_at_its_index() {
        for (has_tags, tagged) in [(true, 0xf0), (false, 0xff)] {
            let bytes = MemoryKind::mair(has_tags).to_le_bytes();
            let of = |kind: MemoryKind| bytes[(kind.bits() >> 2) as usize];
            assert_eq!(of(MemoryKind::Tagged), tagged);
            assert_eq!((of(MemoryKind::Normal), of(MemoryKind::Device)), (0xff, 0));
            assert_eq!(bytes[3..], [0; 5], "indices that nobody uses");
        }
    }
}
