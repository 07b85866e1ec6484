//! Words of page stores, which hardware never sees, and leaves of pages that are watched.
//!
//! Owns: what a slot of a store may hold. Refuses to know: who puts it there (`paged`).
//!
//! ```text
//! EMPTY       nothing yet            REQUESTED   nothing yet, and the pager was asked
//! POISONED    nothing, for good      frame       the object's own frame
//! frame, not owned                   the frame of a reference object that the object keeps
//! frame, watched                     the object's own, which nobody may store to yet
//! frame, watched, asked              and the pager was asked
//! ```
//!
//! Where the pager was asked, a bit tells that others wait for what comes of it.

use super::{AP_READ_ONLY, Descriptor, NOT_OWNED, OBJECT, VALID, WATCHED};
use crate::frame::{OwnedFrame, SharedFrame};

/// In a store alone: somebody asks the pager whether a watched page may be stored to.
const ASKED: u64 = 1 << 58;
/// In a store alone: others wait until the pager is not asked any more.
const AWAITED: u64 = OBJECT;

impl Descriptor {
    /// A page that is absent and that its pager was asked for.
    pub const REQUESTED: Descriptor = Descriptor(NOT_OWNED);
    /// A page that there will never be.
    pub const POISONED: Descriptor = Descriptor(NOT_OWNED | ASKED);

    /// Keeps a page of a memory object in a page store.
    #[must_use]
    #[inline]
    pub fn stored(frame: OwnedFrame) -> Descriptor {
        Descriptor(frame.into_slot().to_physical() | VALID)
    }

    /// Keeps a reference page in a page store, whose object is held for as long.
    #[must_use]
    pub fn stored_reference(frame: SharedFrame) -> Descriptor {
        Descriptor(frame.address().to_physical() | VALID | NOT_OWNED)
    }

    /// Returns whether a store's word names a reference page.
    #[must_use]
    pub const fn is_stored_reference(self) -> bool {
        self.is_valid() && self.0 & NOT_OWNED != 0
    }

    /// Returns whether a store's word names a frame that goes with the store.
    #[must_use]
    pub const fn is_stored_frame(self) -> bool {
        self.is_valid() && self.0 & NOT_OWNED == 0
    }

    /// Returns a store's word, or a leaf, of a page that nobody may store to yet.
    #[must_use]
    pub const fn watched(self) -> Descriptor {
        // In a store's word, the bit of a leaf's permission means nothing.
        if self.0 & OBJECT != 0 {
            Descriptor(self.0 | WATCHED | AP_READ_ONLY)
        } else {
            Descriptor(self.0 | WATCHED)
        }
    }

    /// Returns whether nobody may store to the page yet.
    #[must_use]
    #[inline]
    pub const fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    /// Returns a leaf of a page that is watched no more; permissions stay as they are.
    #[must_use]
    pub const fn unwatched(self) -> Descriptor {
        Descriptor(self.0 & !WATCHED)
    }

    /// Returns a store's word of a watched page as it is when the pager has allowed stores.
    #[must_use]
    pub const fn allowed(self) -> Descriptor {
        Descriptor(self.0 & !(WATCHED | ASKED | AWAITED))
    }

    /// Returns a store's word as it is while the pager is asked; `None` where there is nothing to ask.
    #[must_use]
    pub const fn requested(self) -> Option<Descriptor> {
        match self {
            Descriptor::EMPTY => Some(Descriptor::REQUESTED),
            Descriptor(word) if self.is_stored_frame() && word & (WATCHED | ASKED) == WATCHED => {
                Some(Descriptor(word | ASKED))
            }
            _ => None,
        }
    }

    /// Returns a store's word as it was before the pager was asked; `None` if nobody asks.
    #[must_use]
    pub const fn withdrawn(self) -> Option<Descriptor> {
        match Descriptor(self.0 & !AWAITED) {
            Descriptor::REQUESTED => Some(Descriptor::EMPTY),
            Descriptor(word) if self.is_stored_frame() && word & ASKED != 0 => {
                Some(Descriptor(word & !ASKED))
            }
            _ => None,
        }
    }

    /// Returns a store's word while the pager is asked, as it is where others wait for that.
    #[must_use]
    pub const fn awaited(self) -> Descriptor {
        Descriptor(self.0 | AWAITED)
    }

    /// Returns whether others wait for what comes of a request.
    #[must_use]
    pub const fn is_awaited(self) -> bool {
        self.0 & AWAITED != 0
    }

    /// Returns whether a store's word is of a page that may be supplied.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        matches!(Descriptor(self.0 & !AWAITED), Descriptor::EMPTY | Descriptor::REQUESTED)
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptor;
    use crate::addr::FrameAddress;
    use crate::frame::{ObjectFrame, OwnedFrame, SharedFrame, UninitFrame};
    use vellum_abi::Protection;

    const FRAME: FrameAddress = FrameAddress::containing(0x1234_5000);

    #[test]
    fn each_state_of_a_slot_is_told_from_every_other() {
        let owned = OwnedFrame::after_fill(UninitFrame::from_allocator(FRAME));
        let plain = Descriptor::stored(owned);
        let watched = plain.watched();
        let reference = Descriptor::stored_reference(SharedFrame::of_object(FRAME));
        let (empty, requested) = (Descriptor::EMPTY, Descriptor::REQUESTED);
        let asked = watched.requested().expect("a watched page can be asked for");
        let all = [empty, requested, Descriptor::POISONED, plain, watched, asked, reference];
        for (index, state) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != state), "{state:?}");
        }
        assert_eq!(empty.requested(), Some(requested));
        assert_eq!(
            all.map(|state| state.requested().is_some()),
            [true, false, false, false, true, false, false]
        );
        assert_eq!((requested.withdrawn(), asked.withdrawn()), (Some(empty), Some(watched)));
        assert_eq!(
            all.map(|state| state.withdrawn().is_some()),
            [false, true, false, false, false, true, false]
        );
        assert_eq!((asked.allowed(), watched.allowed()), (plain, plain));
        for word in [requested, asked] {
            let awaited = word.awaited();
            assert!(awaited.is_awaited() && !all.contains(&awaited));
            assert_eq!((awaited.withdrawn(), awaited.requested()), (word.withdrawn(), None));
            assert_eq!(awaited.is_absent(), word.is_absent());
        }
        assert_eq!(asked.awaited().allowed(), plain);
        let absent = [true, true, false, false, false, false, false];
        assert_eq!(all.map(Descriptor::is_absent), absent);
        assert_eq!(
            all.map(Descriptor::is_stored_frame),
            [false, false, false, true, true, true, false]
        );
        assert!(reference.is_stored_reference() && !plain.is_stored_reference());
        assert!(all[3..].iter().all(|state| state.frame() == FRAME));
    }

    #[test]
    fn a_watched_leaf_is_read_only_whatever_its_mapping_allows() {
        let both = Protection::READ | Protection::WRITE;
        let leaf = Descriptor::object(ObjectFrame::of_object(FRAME), both).watched();
        assert!(leaf.is_sound() && leaf.is_watched());
        assert_eq!(leaf.protection(), Protection::READ);
        assert_eq!(leaf.with_protection(Protection::NONE).with_protection(both), leaf);
        let free = leaf.unwatched().with_protection(both);
        assert_eq!(free, Descriptor::object(ObjectFrame::of_object(FRAME), both));
        assert!(leaf.may_become(free));
    }
}
