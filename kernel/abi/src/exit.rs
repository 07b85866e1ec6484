//! How a process ended.

/// What a faulting instruction tried to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FaultAccess {
    Read = 0,
    Write = 1,
    Execute = 2,
}

impl FaultAccess {
    /// Returns the access with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<FaultAccess> {
        match number {
            0 => Some(FaultAccess::Read),
            1 => Some(FaultAccess::Write),
            2 => Some(FaultAccess::Execute),
            _ => None,
        }
    }
}

/// Defines [`ExitKind`] from one table of number, variant and message.
macro_rules! kinds {
    ($($(#[$meta:meta])* $number:literal $variant:ident $text:literal;)*) => {
        /// Why a process is no more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum ExitKind { $($(#[$meta])* $variant = $number,)* }

        impl ExitKind {
            /// Returns the kind with this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<ExitKind> {
                match number { $($number => Some(ExitKind::$variant),)* _ => None }
            }

            /// Returns one line for a human.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(ExitKind::$variant => $text),* }
            }
        }
    };
}

kinds! {
    /// It called `exit`; `status` is its own.
    0 Exited "exited";
    /// Somebody called `process_kill`.
    1 Killed "killed";
    /// No mapping covers the address.
    2 NotMapped "access to an unmapped address";
    /// The mapping does not allow the access.
    3 AccessDenied "access that the mapping does not allow";
    /// Synchronous tag check fault: `logical_tag` in the pointer, `allocation_tag` in memory.
    4 TagCheck "tag check fault";
    /// An address without the alignment that the instruction needs.
    5 Alignment "alignment fault";
    /// The page needed a frame and there was none.
    6 OutOfFrames "out of frames while a page was touched";
    /// An instruction that does not exist or is not allowed here; `status` is the syndrome.
    7 UndefinedInstruction "undefined instruction";
    /// A system register or instruction that is trapped; `status` is the syndrome.
    8 TrappedInstruction "trapped instruction";
    /// A breakpoint, watchpoint or single step that nobody handles.
    9 Breakpoint "breakpoint";
    /// Any other exception; `status` is the syndrome.
    10 Unhandled "unhandled exception";
    /// The page needed kernel memory and the account or the pool had none.
    11 OutOfKernelMemory "out of kernel memory while a page was touched";
    /// The account's limit was reached while a page was touched.
    12 LimitReached "account limit reached while a page was touched";
    /// An external abort: the memory system itself failed.
    13 ExternalAbort "external abort";
    /// Asynchronous tag check fault: it happened before the kernel was entered at `pc`.
    14 TagCheckAsync "asynchronous tag check fault";
    /// A call of a foreign process that nobody answered; `status` is its number.
    15 ForeignCall "foreign call without an answer";
    /// The page's pager is gone, or did not answer.
    16 PagerGone "pager gone";
    /// The pager said that there will never be a page.
    17 PagePoisoned "access to a poisoned page";
    /// The pager refused the page.
    18 PageRefused "page refused by its pager";
    /// A pager would have had to wait for itself, or for one that may wait for it.
    19 PagerCycle "a pager waiting for itself";
}

words! {
    /// The end of a process as its parent reads it. Words without a meaning for the kind are 0.
    pub struct ExitReport {
        /// An [`ExitKind`] number.
        kind,
        /// The status given to `exit`, or the syndrome (ESR_EL1) of the exception.
        status,
        /// The faulting address without its tag.
        address,
        /// A [`FaultAccess`] number.
        access,
        /// The address of the faulting instruction.
        pc,
        /// The tag in the pointer, bits 59:56 of the address (tag check faults).
        logical_tag,
        /// The tag of the memory (tag check faults).
        allocation_tag,
    }
}
