//! What a fault calls for: pure, total, tested over its whole space.
//!
//! Owns: the policy. Refuses to know: how anything is done, so that nothing has happened before
//! the answer is there. A student who wants another policy changes this file alone.

use crate::machine::Machine;
use crate::page_table::{Descriptor, Ownership, Sharing};
use vellum_abi::{FaultAccess, Policy, Protection};

/// What a leaf slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// The page was never touched, or its frame was given back.
    Empty,
    /// Another CPU is between break and make.
    Busy,
    /// A leaf.
    Valid {
        /// Whose its frame is.
        ownership: Ownership,
        /// How many have the frame, if it is the process's own.
        owners: Owners,
        /// What it allows.
        protection: Protection,
    },
}

/// How many private leaves and kernel holds a private frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// This leaf alone: its process may store to the frame.
    One,
    /// Others, since a clone: whoever stores takes a copy.
    Several,
}

impl Leaf {
    /// Reads a descriptor of a leaf slot.
    #[must_use]
    #[inline]
    pub fn of<M: Machine>(machine: &M, descriptor: Descriptor) -> Leaf {
        if descriptor.is_valid() {
            let (ownership, protection) = (descriptor.ownership(), descriptor.protection());
            return Leaf::Valid { ownership, owners: Owners::of(machine, descriptor), protection };
        }
        if descriptor == Descriptor::BUSY { Leaf::Busy } else { Leaf::Empty }
    }
}

impl Owners {
    /// Counts the owners of a valid leaf's frame. A frame with one owner can get another only
    /// through that owner, under the exclusive lock of its address space.
    #[must_use]
    #[inline]
    pub fn of<M: Machine>(machine: &M, leaf: Descriptor) -> Owners {
        let shared = leaf.ownership() == Ownership::Private
            && !leaf.protection().contains(Protection::WRITE)
            && machine.frame_count(leaf.frame()) != 1;
        if shared { Owners::Several } else { Owners::One }
    }
}

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The mapping does not allow the access.
    Deny,
    /// Another CPU is about to publish the leaf: try again.
    Wait,
    /// The leaf already allows the access: [`obstacle`] says what stopped it.
    Nothing,
    /// Show the object's frame read-only.
    ReadShare,
    /// Give the untouched page a private frame.
    WriteFresh,
    /// Replace an object's frame by a private one, with break-before-make.
    WriteCopy,
    /// Replace a private frame that others have too by a copy of it, with break-before-make.
    Unshare,
    /// Give the leaf the permissions of its mapping.
    Upgrade,
    /// Map the object's own frame, for its users to change.
    MapObject,
}

/// What stopped an access that the leaf allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A stale TLB entry, or another CPU was faster: forget what TLBs know.
    Translation,
    /// The leaf was made ahead of any access, and this CPU does not set the access flag: set it.
    AccessFlag,
}

/// Says what stopped an access that a leaf allows. Apart from [`decide`], because no fault that
/// changes a page needs to know.
#[must_use]
pub const fn obstacle(leaf: Descriptor) -> Obstacle {
    if leaf.is_accessed() { Obstacle::Translation } else { Obstacle::AccessFlag }
}

/// Returns whether a protection allows an access. WRITE implies READ.
#[must_use]
#[inline]
pub const fn allows(protection: Protection, access: FaultAccess) -> bool {
    let either = match access {
        FaultAccess::Read => Protection::READ.union(Protection::WRITE),
        FaultAccess::Write => Protection::WRITE,
        FaultAccess::Execute => Protection::EXECUTE,
    };
    protection.intersection(either).bits() != 0
}

/// Returns whether clean pages of a private mapping show a frame that others see too. Without, any
/// first access gives a page its own.
#[must_use]
#[inline]
pub const fn shares_frames(policy: Policy) -> bool {
    match policy {
        Policy::Eager | Policy::PatternOnAnyFault => false,
        Policy::ReferencePage
        | Policy::InMapping
        | Policy::Object
        | Policy::Wrap
        | Policy::UserPager => true,
    }
}

/// Decides what an access to a page of a mapping calls for.
#[must_use]
#[inline]
pub fn decide(
    policy: Policy,
    protection: Protection,
    sharing: Sharing,
    leaf: Leaf,
    access: FaultAccess,
) -> Action {
    if !allows(protection, access) {
        return Action::Deny;
    }
    match (leaf, sharing, access) {
        (Leaf::Busy, _, _) => Action::Wait,
        (Leaf::Valid { protection, .. }, _, _) if allows(protection, access) => Action::Nothing,
        (Leaf::Empty, Sharing::Shared, _) => Action::MapObject,
        (Leaf::Empty, Sharing::Private, FaultAccess::Write) => Action::WriteFresh,
        (Leaf::Empty, Sharing::Private, _) if !shares_frames(policy) => Action::WriteFresh,
        (Leaf::Empty, Sharing::Private, _) => Action::ReadShare,
        (Leaf::Valid { ownership: Ownership::ReadShared, .. }, _, FaultAccess::Write) => {
            Action::WriteCopy
        }
        (Leaf::Valid { owners: Owners::Several, .. }, _, FaultAccess::Write) => Action::Unshare,
        // The page became Tagged memory while others had its frame, whose tags may be theirs.
        (Leaf::Valid { ownership: Ownership::Private, protection: leaf, .. }, _, _)
            if !leaf.contains(Protection::TAGGED) && protection.contains(Protection::TAGGED) =>
        {
            Action::Unshare
        }
        (Leaf::Valid { .. }, _, _) => Action::Upgrade,
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Leaf, Obstacle, Owners, allows, decide, obstacle, shares_frames};
    use crate::addr::FrameAddress;
    use crate::frame::{OwnedFrame, UninitFrame};
    use crate::page_table::{Descriptor, Ownership, Sharing};
    use vellum_abi::{FaultAccess, Policy, Protection};

    const ACCESSES: [FaultAccess; 3] =
        [FaultAccess::Read, FaultAccess::Write, FaultAccess::Execute];
    const OWNERSHIPS: [Ownership; 3] =
        [Ownership::Private, Ownership::ReadShared, Ownership::Object];

    fn protections() -> impl Iterator<Item = Protection> + Clone {
        (0..16).filter_map(Protection::from_bits)
    }

    fn leaves() -> impl Iterator<Item = Leaf> {
        let valid = OWNERSHIPS.into_iter().flat_map(|ownership| {
            protections().flat_map(move |protection| {
                [Owners::One, Owners::Several].map(|owners| Leaf::Valid {
                    ownership,
                    owners,
                    protection,
                })
            })
        });
        [Leaf::Empty, Leaf::Busy].into_iter().chain(valid)
    }

    /// Runs a check over every input that `decide` can get: 7 x 16 x 2 x 98 x 3.
    fn everywhere(check_fn: impl Fn(Protection, Sharing, Leaf, FaultAccess, Action)) {
        for policy in Policy::ALL {
            under(*policy, &check_fn);
        }
    }

    /// Runs a check over every input of the policies that share frames.
    fn where_frames_are_shared(check_fn: impl Fn(Protection, Sharing, Leaf, FaultAccess, Action)) {
        for policy in Policy::ALL.iter().filter(|policy| shares_frames(**policy)) {
            under(*policy, &check_fn);
        }
    }

    /// Runs a check over every input of one policy.
    fn under(policy: Policy, check_fn: impl Fn(Protection, Sharing, Leaf, FaultAccess, Action)) {
        for protection in protections() {
            for sharing in [Sharing::Private, Sharing::Shared] {
                for leaf in leaves() {
                    for access in ACCESSES {
                        let action = decide(policy, protection, sharing, leaf, access);
                        check_fn(protection, sharing, leaf, access, action);
                    }
                }
            }
        }
    }

    #[test]
    fn an_access_that_the_mapping_forbids_is_denied_and_no_other() {
        everywhere(|protection, _, _, access, action| {
            assert_eq!(action == Action::Deny, !allows(protection, access));
        });
    }

    #[test]
    fn nothing_is_done_about_a_leaf_in_the_hands_of_another() {
        everywhere(|_, _, leaf, _, action| {
            if leaf == Leaf::Busy {
                assert!(matches!(action, Action::Wait | Action::Deny));
            } else {
                assert_ne!(action, Action::Wait);
            }
        });
    }

    #[test]
    fn a_store_through_a_private_mapping_never_reaches_a_shared_frame() {
        everywhere(|_, sharing, leaf, access, action| {
            if sharing == Sharing::Private && access == FaultAccess::Write {
                assert_ne!(action, Action::MapObject);
                assert_ne!(action, Action::ReadShare);
                if matches!(leaf, Leaf::Valid { ownership: Ownership::ReadShared, .. }) {
                    assert!(!matches!(action, Action::Upgrade | Action::WriteFresh));
                }
            }
        });
    }

    #[test]
    fn a_load_takes_a_private_frame_only_to_give_a_page_its_own_tags() {
        where_frames_are_shared(|mapping, _, leaf, access, action| {
            let tagged = |protection: Protection| protection.contains(Protection::TAGGED);
            let retags = matches!(
                leaf,
                Leaf::Valid { ownership: Ownership::Private, protection, .. }
                    if tagged(mapping) && !tagged(protection)
            );
            if access != FaultAccess::Write && !retags {
                let takes = [Action::WriteFresh, Action::WriteCopy, Action::Unshare];
                assert!(!takes.contains(&action));
            }
        });
    }

    #[test]
    fn a_store_never_reaches_a_frame_that_others_have() {
        everywhere(|_, _, leaf, access, action| {
            if let Leaf::Valid { owners: Owners::Several, ownership, .. } = leaf
                && access == FaultAccess::Write
                && ownership == Ownership::Private
            {
                assert!(!matches!(action, Action::Upgrade | Action::WriteFresh));
            }
        });
    }

    #[test]
    fn an_untouched_page_shares_no_frame_where_frames_are_not_shared() {
        for policy in Policy::ALL.iter().filter(|policy| !shares_frames(**policy)) {
            under(*policy, |mapping, sharing, leaf, access, action| {
                assert_ne!(action, Action::ReadShare);
                let private = sharing == Sharing::Private && allows(mapping, access);
                if private && leaf == Leaf::Empty {
                    assert_eq!(action, Action::WriteFresh);
                }
            });
        }
    }

    #[test]
    fn a_page_that_was_touched_is_dealt_with_alike_under_every_policy() {
        let plain = Policy::ReferencePage;
        for policy in Policy::ALL {
            under(*policy, |protection, sharing, leaf, access, action| {
                if leaf != Leaf::Empty || sharing == Sharing::Shared {
                    assert_eq!(action, decide(plain, protection, sharing, leaf, access));
                }
            });
        }
    }

    #[test]
    fn a_leaf_is_replaced_only_where_there_is_one() {
        everywhere(|_, _, leaf, _, action| match action {
            Action::WriteFresh | Action::ReadShare | Action::MapObject => {
                assert_eq!(leaf, Leaf::Empty);
            }
            Action::WriteCopy | Action::Unshare | Action::Upgrade | Action::Nothing => {
                assert!(matches!(leaf, Leaf::Valid { .. }));
            }
            Action::Deny | Action::Wait => {}
        });
    }

    #[test]
    fn an_access_that_the_leaf_allows_changes_nothing() {
        everywhere(|mapping, _, leaf, access, action| {
            if let Leaf::Valid { protection, .. } = leaf {
                let expected = allows(protection, access) && allows(mapping, access);
                assert_eq!(action == Action::Nothing, expected);
            }
        });
    }

    #[test]
    fn a_leaf_without_its_access_flag_gets_it_and_is_in_nobodys_way_then() {
        for protection in protections() {
            let frame = || {
                let frame = UninitFrame::from_allocator(FrameAddress::containing(0x1000));
                OwnedFrame::after_fill(frame)
            };
            let used = Descriptor::private(frame(), protection);
            let ahead = Descriptor::private_ahead(frame(), protection);
            assert_eq!(obstacle(used), Obstacle::Translation);
            assert_eq!(obstacle(ahead), Obstacle::AccessFlag, "else it would fault for ever");
            assert!(ahead.may_become(ahead.accessed()));
            assert_eq!((ahead.accessed(), used.accessed()), (used, used));
        }
    }
}
