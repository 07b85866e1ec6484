//! What the model forbids. One variant a rule.

use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::machine::Asid;
use vellum_vm::page_table::Slot;

/// A rule of the architecture or of the machine's contract that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A read, write, fill, descriptor access or count of a frame that nobody has.
    UseAfterFree(FrameAddress),
    /// A frame was given back twice, or one that the allocator never had.
    DoubleFree(FrameAddress),
    /// A frame was given back while its count was not one.
    FreedWhileCounted(FrameAddress, u32),
    /// A frame was given back while a TLB held a translation to it.
    FreedWhileMapped(FrameAddress, Page),
    /// A table was given back while a TLB held a descriptor that was read from it or leads to it.
    FreedWhileWalked(FrameAddress),
    /// A frame was given back while a descriptor that walks can reach still named it.
    FreedWhileReachable(FrameAddress, Slot),
    /// A root table was given back while a CPU ran with it.
    FreedActiveRoot(FrameAddress),
    /// A valid descriptor was replaced by a different valid one that is no change of permissions
    /// alone, without an invalid one between.
    NoBreak(Slot),
    /// A valid descriptor was written while a walk or TLB could still use the one before it.
    MadeBeforeBroken(Slot),
    /// Two address spaces are reachable under one identifier.
    SharedAsid(Asid),
    /// One address space is reachable under two identifiers, of which maintenance names one.
    TwoAsids(Asid, Asid),
    /// A frame was filled while a TLB held a translation to it.
    FilledWhileMapped(FrameAddress),
    /// A frame was overwritten with descriptors while a descriptor named it.
    FilledWhileReachable(FrameAddress),
    /// A frame was filled a second time: more than one write pass over a fresh frame.
    FilledTwice(FrameAddress),
    /// A frame was filled while the filling CPU held a lock.
    FilledUnderLock(FrameAddress),
    /// A user access or a copy saw bytes that nobody wrote since the frame was allocated.
    UninitialisedBytes(FrameAddress),
    /// A checked access, a tag load or a copy saw tags that nobody wrote since the frame was
    /// allocated.
    UninitialisedTags(FrameAddress),
    /// A frame holds both descriptors and contents.
    TableAndContents(FrameAddress),
    /// A leaf without the access flag, global, with hardware dirty management, writable
    /// and executable, privileged executable, or writable although its frame is an object's that
    /// is not mapped shared. With the frame and the descriptor.
    UnsoundLeaf(FrameAddress, u64),
    /// A walk met a descriptor that is neither a table above level 3 nor a page at level 3.
    UnknownDescriptor(Slot, u64),
    /// At rest a TLB holds a translation that memory does not.
    StaleTranslation(Page, u64, u64),
    /// At rest a TLB invalidation was issued and not completed.
    UnfinishedMaintenance,
    /// A frame that one private leaf owns has another leaf.
    SharedPrivateFrame(FrameAddress),
    /// A thread waits for a lock that it holds itself.
    SelfDeadlock,
}
