//! Descriptors as values.
//!
//! Bits of a level 3 leaf (Arm ARM, "VMSAv8-64 Block descriptor and Page descriptor formats"):
//!
//! ```text
//!  0      valid              10     AF, see below            51  DBM, never set here
//!  1      page, not block    11     nG, set on user leaves   53  PXN, set on user leaves
//!  4:2    AttrIndx           47:12  frame                    54  UXN
//!  7:6    AP[2:1]            55     software: the frame is not the process's own
//!  9:8    SH, inner          56     software: the frame is a shared object's; alone: busy
//!                            57     software: the object's page is watched
//! ```
//!
//! A block descriptor, at level 2, has bit 1 clear and is like a leaf otherwise.
//!
//! A table descriptor may restrict everything below it (Arm ARM, "Hierarchical control of data
//! access permissions"); bits 58:51 of it are ignored by hardware:
//!
//! ```text
//!  55     software: the table is an object's, not the process's own
//!  59     PXNTable           60     UXNTable           62     APTable[1]: no writes
//! ```
//!
//! The invariant that others rely on: a leaf of a frame that is not the process's own has AP[2]
//! set (read-only) unless it was made by [`Descriptor::object`], and no leaf ever has DBM, so that
//! hardware cannot make a shared frame writable (Arm ARM, "Hardware management of the dirty state").
//! A leaf has the access flag from the start, but for a private one that was made ahead of any
//! access: hardware sets that one's, or the handler for a CPU that does not. So a live leaf is
//! changed by compare-and-exchange alone, or broken first; and as nothing ever takes the flag away,
//! a leaf without it is in no TLB (Arm ARM, "The Access flag").

mod ahead;
mod device;
mod stored;

use crate::addr::{FrameAddress, Page};
use crate::block::{BLOCK_PAGES, OwnedBlock};
use crate::frame::{ObjectFrame, OwnedFrame, SharedFrame};
use crate::page_table::Table;
use crate::page_table::kinds::{MemoryKind, Ownership};
use vellum_abi::{PAGE_SIZE, Protection};

const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
const AP_EL0: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const FRAME: u64 = 0x0000_ffff_ffff_f000;
const DIRTY_BIT_MODIFIER: u64 = 1 << 51;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const NOT_OWNED: u64 = 1 << 55;
const OBJECT: u64 = 1 << 56;
const WATCHED: u64 = 1 << 57;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE_READ_ONLY: u64 = 1 << 62;

/// What every user leaf has.
const USER_LEAF: u64 = VALID | TABLE_OR_PAGE | INNER_SHAREABLE | ACCESS_FLAG | NOT_GLOBAL | PXN;
/// What `protect` may change.
const PROTECTION: u64 = MemoryKind::MASK | AP_EL0 | AP_READ_ONLY | UXN;

/// One 64-bit word of a table or of a page store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor(u64);

impl Descriptor {
    /// Nothing is here.
    pub const EMPTY: Descriptor = Descriptor(0);
    /// A break-before-make is under way: hardware sees an invalid descriptor, the handler sees
    /// that somebody else is about to publish a leaf.
    pub const BUSY: Descriptor = Descriptor(OBJECT);

    /// Takes a word as memory holds it.
    #[must_use]
    #[inline]
    pub const fn from_word(word: u64) -> Descriptor {
        Descriptor(word)
    }

    /// Returns the word.
    #[must_use]
    #[inline]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Points to the table of the next level. No hierarchical restriction.
    #[must_use]
    #[inline]
    pub fn table(table: Table) -> Descriptor {
        Descriptor(table.frame().to_physical() | VALID | TABLE_OR_PAGE)
    }

    /// Points to a table that an object shares among its mappings: nothing below it can be written
    /// or executed, whatever its leaves say.
    #[must_use]
    #[inline]
    pub fn shared_table(table: Table) -> Descriptor {
        let limits = AP_TABLE_READ_ONLY | UXN_TABLE | PXN_TABLE;
        Descriptor(Descriptor::table(table).0 | limits | NOT_OWNED)
    }

    /// Gives a process its own block, at level 2.
    #[must_use]
    pub fn private_block(block: OwnedBlock, protection: Protection) -> Descriptor {
        let bits = USER_LEAF & !TABLE_OR_PAGE | access_bits(protection);
        Descriptor(block.into_slot().to_physical() | bits)
    }

    /// Shows a reference object's block read-only, at level 2.
    #[must_use]
    pub fn shared_block(first: SharedFrame, protection: Protection) -> Descriptor {
        Descriptor(Descriptor::read_shared(first, protection).0 & !TABLE_OR_PAGE)
    }

    /// Returns whether the descriptor, above the last level, maps a block.
    #[must_use]
    pub const fn is_block(self) -> bool {
        self.0 & (VALID | TABLE_OR_PAGE) == VALID
    }

    /// Returns whether the descriptor, above the last level, maps a block of the process's own.
    #[must_use]
    pub const fn is_private_block(self) -> bool {
        self.is_block() && matches!(self.ownership(), Ownership::Private)
    }

    /// Returns the leaf that would translate a page as the block of level 2 does.
    #[must_use]
    pub const fn page_of_block(self, page: Page) -> Descriptor {
        let offset = page.number() % BLOCK_PAGES * PAGE_SIZE;
        Descriptor((self.0 | TABLE_OR_PAGE) + offset)
    }

    /// Returns whether the descriptor, above the last level, points to a table of the process's own.
    #[must_use]
    #[inline]
    pub const fn is_own_table(self) -> bool {
        self.0 & (VALID | TABLE_OR_PAGE | NOT_OWNED) == VALID | TABLE_OR_PAGE
    }

    /// Returns whether the descriptor, above the last level, points to a table of an object's.
    #[must_use]
    pub const fn is_shared_table(self) -> bool {
        let mask = VALID | TABLE_OR_PAGE | NOT_OWNED;
        self.0 & mask == mask
    }

    /// Gives a process its own frame.
    #[must_use]
    #[inline]
    pub fn private(frame: OwnedFrame, protection: Protection) -> Descriptor {
        Descriptor(frame.into_slot().to_physical() | USER_LEAF | access_bits(protection))
    }

    /// Shows a shared frame read-only, whatever the mapping allows.
    #[must_use]
    #[inline]
    pub fn read_shared(frame: SharedFrame, protection: Protection) -> Descriptor {
        let bits = access_bits(protection) | AP_READ_ONLY | NOT_OWNED;
        Descriptor(frame.address().to_physical() | USER_LEAF | bits)
    }

    /// Maps a memory object's frame for everybody to change.
    #[must_use]
    #[inline]
    pub fn object(frame: ObjectFrame, protection: Protection) -> Descriptor {
        let bits = access_bits(protection) | NOT_OWNED | OBJECT;
        Descriptor(frame.address().to_physical() | USER_LEAF | bits)
    }

    /// Returns whether hardware may use the descriptor.
    #[must_use]
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    /// Returns the frame or next table that a valid descriptor names.
    #[must_use]
    #[inline]
    pub const fn frame(self) -> FrameAddress {
        FrameAddress::containing(self.0 & FRAME)
    }

    /// Returns whether a slot of leaves shows its page's object or nothing: a first write would give
    /// the page a private frame.
    #[must_use]
    #[inline]
    pub const fn is_clean(self) -> bool {
        self.0 == 0 || self.is_valid() && matches!(self.ownership(), Ownership::ReadShared)
    }

    /// Returns whose the frame of a valid leaf is.
    #[must_use]
    #[inline]
    pub const fn ownership(self) -> Ownership {
        match (self.0 & NOT_OWNED != 0, self.0 & OBJECT != 0) {
            (false, _) => Ownership::Private,
            (true, false) => Ownership::ReadShared,
            (true, true) => Ownership::Object,
        }
    }

    /// Returns whether EL0 may load, store or execute through a valid leaf.
    #[must_use]
    #[inline]
    pub const fn protection(self) -> Protection {
        let mut bits = 0;
        if self.0 & AP_EL0 != 0 {
            bits |= Protection::READ.bits();
            if self.0 & AP_READ_ONLY == 0 {
                bits |= Protection::WRITE.bits();
            }
        }
        if self.0 & UXN == 0 {
            bits |= Protection::EXECUTE.bits();
        }
        if self.0 & MemoryKind::MASK == MemoryKind::Tagged.bits() {
            bits |= Protection::TAGGED.bits();
        }
        match Protection::from_bits(bits) {
            Some(protection) => protection,
            None => Protection::NONE,
        }
    }

    /// Returns a valid leaf with another protection; a read-shared frame and a watched page stay
    /// read-only, a device a device.
    #[must_use]
    pub const fn with_protection(self, protection: Protection) -> Descriptor {
        let mut bits = access_bits(protection);
        if matches!(self.ownership(), Ownership::ReadShared) || self.is_watched() {
            bits |= AP_READ_ONLY;
        }
        if self.is_device() {
            bits = bits & !MemoryKind::MASK | MemoryKind::Device.bits();
        }
        Descriptor(self.0 & !PROTECTION | bits)
    }

    /// Returns a valid leaf without the permission to store: its frame has several owners.
    #[must_use]
    #[inline]
    pub const fn read_only(self) -> Descriptor {
        Descriptor(self.0 | AP_READ_ONLY)
    }

    /// Returns a valid leaf that allows nothing; frame and memory attribute stay.
    #[must_use]
    pub const fn without_access(self) -> Descriptor {
        Descriptor(self.0 & !AP_EL0 | AP_READ_ONLY | UXN)
    }

    /// Returns whether a valid leaf may become `new` by one store, without break-before-make.
    ///
    /// Allowed live: a change of permissions or access flag that keeps frame, memory attribute and
    /// shareability (Arm ARM, "Using break-before-make when updating translation table entries").
    #[must_use]
    pub const fn may_become(self, new: Descriptor) -> bool {
        let live = AP_EL0 | AP_READ_ONLY | UXN | ACCESS_FLAG | WATCHED;
        self.is_valid() && (self.0 ^ new.0) & !live == 0
    }

    /// Returns whether the descriptor keeps this file's invariant. For the auditor.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        let writable = self.protection().contains(Protection::WRITE);
        let executable = self.protection().contains(Protection::EXECUTE);
        let device = self.is_device();
        let ahead = matches!(self.ownership(), Ownership::Private);
        let needed = if ahead { USER_LEAF & !ACCESS_FLAG } else { USER_LEAF };
        self.0 & needed == needed
            && self.0 & DIRTY_BIT_MODIFIER == 0
            && !(writable && executable)
            && !(device && (executable || !matches!(self.ownership(), Ownership::Object)))
            && !(writable && matches!(self.ownership(), Ownership::ReadShared))
            && !(writable && self.is_watched())
    }
}

/// Returns AttrIndx, AP and UXN for a protection. WRITE implies READ, EXECUTE does not: neither
/// reading nor writing clears AP[1], which keeps the leaf and its frame, and fetch if UXN is clear.
#[inline]
const fn access_bits(protection: Protection) -> u64 {
    let tagged = protection.contains(Protection::TAGGED);
    let kind = if tagged { MemoryKind::Tagged } else { MemoryKind::Normal };
    let mut bits = kind.bits();
    if protection.contains(Protection::WRITE) {
        bits |= AP_EL0;
    } else {
        bits |= AP_READ_ONLY;
        if protection.contains(Protection::READ) {
            bits |= AP_EL0;
        }
    }
    if !protection.contains(Protection::EXECUTE) {
        bits |= UXN;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, access_bits};
    use crate::addr::FrameAddress;
    use crate::frame::{ObjectFrame, OwnedFrame, SharedFrame, UninitFrame};
    use crate::page_table::Ownership;
    use vellum_abi::Protection;

    fn every_protection() -> impl Iterator<Item = Protection> {
        (0..16)
            .filter_map(Protection::from_bits)
            .filter(|protection| !protection.contains(Protection::WRITE | Protection::EXECUTE))
    }

    fn leaves(protection: Protection) -> [(Descriptor, Ownership); 3] {
        let frame = FrameAddress::containing(0x1234_5000);
        let owned = OwnedFrame::after_fill(UninitFrame::from_allocator(frame));
        [
            (Descriptor::private(owned, protection), Ownership::Private),
            (
                Descriptor::read_shared(SharedFrame::of_object(frame), protection),
                Ownership::ReadShared,
            ),
            (Descriptor::object(ObjectFrame::of_object(frame), protection), Ownership::Object),
        ]
    }

    #[test]
    fn every_leaf_is_sound_and_tells_what_it_was_made_of() {
        for protection in every_protection() {
            for (leaf, ownership) in leaves(protection) {
                assert!(leaf.is_valid() && leaf.is_sound(), "{protection:?} {ownership:?}");
                assert_eq!(leaf.ownership(), ownership);
                assert_eq!(leaf.frame(), FrameAddress::containing(0x1234_5000));
                let wanted =
                    protection.contains(Protection::WRITE) && ownership != Ownership::ReadShared;
                assert_eq!(leaf.protection().contains(Protection::WRITE), wanted);
            }
        }
    }

    #[test]
    fn a_device_stays_a_device_whatever_the_protection() {
        let registers = ObjectFrame::of_object(FrameAddress::containing(0x0901_0000));
        let read = Descriptor::device(registers, Protection::READ);
        assert!(read.is_device() && read.is_sound() && !leaves(Protection::READ)[2].0.is_device());
        let both = Protection::READ | Protection::WRITE;
        assert_eq!(read.with_protection(both), Descriptor::device(registers, both));
        assert!(read.may_become(read.with_protection(both)));
        assert!(!Descriptor::device(registers, Protection::EXECUTE).is_sound());
    }

    #[test]
    fn another_protection_is_the_leaf_that_would_have_been_made() {
        for (old, new) in
            every_protection().flat_map(|old| every_protection().map(move |new| (old, new)))
        {
            for (from, to) in leaves(old).into_iter().zip(leaves(new)) {
                assert_eq!(from.0.with_protection(new), to.0);
            }
        }
    }

    #[test]
    fn a_change_of_frame_or_attribute_needs_break_before_make() {
        let read = Protection::READ;
        let [(leaf, _), (shared, _), _] = leaves(read);
        assert!(leaf.may_become(leaf.with_protection(Protection::WRITE)));
        assert!(!leaf.may_become(leaf.with_protection(read | Protection::TAGGED)));
        assert!(!shared.may_become(leaf));
        assert!(!Descriptor::EMPTY.may_become(leaf));
        assert!(!Descriptor::BUSY.is_valid());
        assert_ne!(access_bits(read), access_bits(Protection::NONE));
    }
}
