//! What stands behind a page, and what its leaf allows.

use super::Contents;
use vellum_abi::{FaultAccess, Protection};

/// What stands behind a page.
#[derive(Clone, Debug)]
pub enum State {
    Clean,
    ReadShared,
    Private(Own),
    Object,
}

/// A private page.
#[derive(Clone, Debug)]
pub struct Own {
    pub contents: Contents,
    /// Tells frames apart: after a clone two pages have the same.
    pub frame: u64,
    /// What the leaf allows, which after a clone may be less than the mapping does.
    pub leaf: Hardware,
}

/// What hardware distinguishes of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    pub tagged: bool,
    pub reads: bool,
    pub writes: bool,
    pub executes: bool,
}

/// Whether stores are kept from a frame that is not the page's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The page's alone.
    Alone,
    /// Somebody else's too.
    Shared,
}

impl Hardware {
    /// Returns the leaf that a protection and a frame make.
    #[must_use]
    pub fn of(protection: Protection, frame: Frame) -> Hardware {
        let has = |bit| protection.contains(bit);
        let writes = has(Protection::WRITE);
        Hardware {
            tagged: has(Protection::TAGGED),
            reads: writes || has(Protection::READ),
            writes: writes && frame == Frame::Alone,
            executes: has(Protection::EXECUTE),
        }
    }

    /// Returns whether an access goes through.
    #[must_use]
    pub fn allows(self, access: FaultAccess) -> bool {
        match access {
            FaultAccess::Read => self.reads,
            FaultAccess::Write => self.writes,
            FaultAccess::Execute => self.executes,
        }
    }

    /// Returns what a private leaf becomes under another protection. Tags of a frame that is
    /// shared cannot be cleared, so such a page allows nothing until it has a frame of its own.
    pub(super) fn protected(self, protection: Protection, frame: Frame) -> Hardware {
        let new = Hardware::of(protection, frame);
        if frame == Frame::Shared && new.tagged && !self.tagged {
            return Hardware { tagged: false, reads: false, writes: false, executes: false };
        }
        new
    }
}
