//! What the kernel tells a handler of a thread that cannot go on, and what the handler answers.
//!
//! A report arrives like a call: `endpoint_receive` gives its words in x2 to x5, in x6 the badge of the
//! handle that was given to `process_set_handler`, and in x1 [`Handle::CALLER`](crate::Handle::CALLER),
//! which no message of a program can carry there.
//!
//! | word | bits | of a fault | of a foreign call |
//! |---|---|---|---|
//! | 0 | 7:0 | [`ExitKind`]: what the process ends with if nobody resolves it | `ForeignCall` |
//! | 0 | 15:8 | a [`FaultAccess`] number | 0 |
//! | 0 | 19:16, 23:20 | the tag in the pointer, the tag of the memory (tag check faults) | 0 |
//! | 1 | | the address as the program used it, tag and all; 0 if there is none | x8, the number |
//! | 2 | | the address of the instruction | the address of the `svc` |
//! | 3 | | the syndrome (ESR_EL1), 0 if there is none | the syndrome |
//!
//! The syndrome of a trapped instruction says which system register it reads into which general-purpose one
//! ([`RegisterAccess`](crate::RegisterAccess)).
//!
//! The answer is an [`Action`] in word 0, with its operand in word 1, and no handle.

use crate::{ExitKind, FaultAccess, MESSAGE_WORDS};

/// Defines [`Action`] from one table of number, variant and name.
macro_rules! actions {
    ($($(#[$meta:meta])* $number:literal $variant:ident;)*) => {
        /// What a handler answers to a report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Action { $($(#[$meta])* $variant = $number,)* }

        impl Action {
            /// Every action, in the order of the numbers, which have no holes.
            pub const ALL: &'static [Action] = &[$(Action::$variant),*];

            /// Returns the action with this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Action> {
                match number { $($number => Some(Action::$variant),)* _ => None }
            }
        }
    };
}

actions! {
    /// The thread goes on with its registers as they are: after a fault with the same instruction, behind
    /// the `svc` after a foreign call, or where the handler has set its pc to.
    0 Resume;
    /// It runs the instruction of the report again, wherever its pc is now.
    1 Retry;
    /// It goes on behind the instruction of the report.
    2 Skip;
    /// As Skip, with word 1 in x0.
    3 Return;
    /// Its process ends with what the report says.
    4 Kill;
}

/// A fault or a foreign call, as its words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// What the process ends with if nobody resolves it.
    pub kind: ExitKind,
    /// What the instruction tried to do.
    pub access: FaultAccess,
    /// The tag in the pointer, of a tag check fault.
    pub logical_tag: u8,
    /// The tag of the memory, of a tag check fault.
    pub allocation_tag: u8,
    /// The address with its tag, or the number of a foreign call.
    pub address: u64,
    /// The address of the instruction.
    pub pc: u64,
    /// The syndrome.
    pub syndrome: u64,
}

impl FaultReport {
    /// Returns the words of the message.
    #[must_use]
    pub const fn to_words(&self) -> [u64; MESSAGE_WORDS] {
        let tags =
            ((self.logical_tag & 0xf) as u64) << 16 | ((self.allocation_tag & 0xf) as u64) << 20;
        let first = self.kind as u64 | (self.access as u64) << 8 | tags;
        [first, self.address, self.pc, self.syndrome]
    }

    /// Returns what the words of a message say, or `None` if they are no report.
    #[must_use]
    #[inline]
    pub const fn from_words(words: &[u64; MESSAGE_WORDS]) -> Option<FaultReport> {
        let [first, address, pc, syndrome] = *words;
        let (Some(kind), Some(access)) =
            (ExitKind::from_number(first & 0xff), FaultAccess::from_number(first >> 8 & 0xff))
        else {
            return None;
        };
        let (logical_tag, allocation_tag) = ((first >> 16 & 0xf) as u8, (first >> 20 & 0xf) as u8);
        Some(FaultReport { kind, access, logical_tag, allocation_tag, address, pc, syndrome })
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, FaultReport};
    use crate::{ExitKind, FaultAccess};

    #[test]
    fn actions_convert_back() {
        for (index, action) in Action::ALL.iter().enumerate() {
            assert_eq!(*action as u64, index as u64);
            assert_eq!(Action::from_number(index as u64), Some(*action));
        }
        assert_eq!(Action::from_number(Action::ALL.len() as u64), None);
    }

    #[test]
    fn reports_convert_back() {
        let report = FaultReport {
            kind: ExitKind::TagCheck,
            access: FaultAccess::Write,
            logical_tag: 15,
            allocation_tag: 3,
            address: 15 << 56 | 0x1234,
            pc: u64::MAX,
            syndrome: 0x9200_0011,
        };
        assert_eq!(FaultReport::from_words(&report.to_words()), Some(report));
        assert_eq!(FaultReport::from_words(&[0xff, 0, 0, 0]), None);
        assert_eq!(FaultReport::from_words(&[0x300, 0, 0, 0]), None);
    }
}
