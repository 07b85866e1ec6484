//! Error numbers: one variant a cause, so that a caller learns which check refused it.

/// The POSIX class of an [`Error`], for those who know the thread's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are POSIX's own")]
pub enum Errno {
    Eperm,
    Ebadf,
    Enomem,
    Eacces,
    Efault,
    Eexist,
    Einval,
    Emfile,
    Enosys,
    Edeadlk,
    Epipe,
    Eopnotsupp,
    Etimedout,
    Eintr,
}

/// Defines [`Error`] from one table of number, variant, class and message.
macro_rules! errors {
    ($($(#[$meta:meta])* $number:literal $variant:ident $class:ident $text:literal;)*) => {
        /// Why a call was refused. A refused call has changed nothing, with one exception: calls
        /// that move bytes report in x1 how many they moved before the error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Error { $($(#[$meta])* $variant = $number,)* }

        impl Error {
            /// Every error, in the order of the numbers.
            pub const ALL: &'static [Error] = &[$(Error::$variant),*];

            /// Returns the error with this number; 0 is success and no error.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Error> {
                match number { $($number => Some(Error::$variant),)* _ => None }
            }

            /// Returns the POSIX class of the error.
            #[must_use]
            pub const fn errno(self) -> Errno {
                match self { $(Error::$variant => Errno::$class),* }
            }

            /// Returns one line for a human.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Error::$variant => $text),* }
            }
        }
    };
}

errors! {
    /// x8 names no call.
    1 UnknownCall Enosys "no such call";
    /// A flag bit that the call does not define, or a combination that it does not allow.
    2 InvalidFlags Einval "unknown flag bits";
    /// A size of zero, or one that the call cannot serve.
    3 InvalidSize Einval "size not allowed";
    /// An address, length or offset without the alignment that the call asks for.
    4 Misaligned Einval "not aligned";
    /// A range that is not wholly inside the user half (overflowing, non-canonical, tagged, null).
    5 OutOfRange Einval "range outside the user half";
    /// A protection bit that does not exist.
    6 InvalidProtection Einval "unknown protection bits";
    /// Write and execute in one protection.
    7 WriteAndExecute Eacces "writable and executable at once";
    /// Memory that the call should read or write cannot be accessed.
    8 BadAddress Efault "memory not accessible";
    /// A handle that names nothing: never given, closed, or another process's.
    9 BadHandle Ebadf "no such handle";
    /// A handle to another kind of object than the call works on.
    10 WrongObject Einval "handle names another kind of object";
    /// A handle without the right that the call needs.
    11 MissingRight Eacces "handle lacks the right";
    /// A page in the range belongs to no mapping.
    12 NotMapped Enomem "range not wholly mapped";
    /// A fixed range covers an existing mapping.
    13 Overlap Eexist "range already mapped";
    /// No physical frame is left.
    14 OutOfFrames Enomem "out of frames";
    /// No kernel memory is left.
    15 OutOfKernelMemory Enomem "out of kernel memory";
    /// The handle table is full.
    16 OutOfHandles Emfile "handle table full";
    /// No gap in the address space is large enough.
    17 OutOfAddresses Enomem "no gap large enough";
    /// The account's limit is reached.
    18 LimitReached Enomem "account limit reached";
    /// Offset and length reach past the end of the object.
    19 BeyondEnd Einval "past the end of the object";
    /// Tagged memory on a machine without the Memory Tagging Extension.
    20 TagsUnsupported Eopnotsupp "no memory tagging on this machine";
    /// A tag above 15 or a pattern above 255.
    21 InvalidContent Einval "no such tag or pattern byte";
    /// The object is not in the state that the call needs (a thread already started, a dead process).
    22 InvalidState Einval "object not in the right state";
    /// A reference object or read-only object cannot be shared for writing.
    23 SharedWritable Eacces "shared for writing";
    /// The wait could never end.
    24 WouldDeadlock Edeadlk "waiting for oneself";
    /// Advice that does not exist.
    25 InvalidAdvice Einval "unknown advice";
    /// Register values that user mode may not have.
    26 InvalidRegisters Einval "register value not allowed";
    /// The mapping was sealed when it was made.
    27 Sealed Eperm "mapping is sealed";
    /// The kind of mapping does not allow the operation (a guard, a device).
    28 NotPermitted Eperm "not for this kind of mapping";
    /// A policy or switch that does not fit the object or the kind of mapping.
    29 WrongPolicy Einval "policy does not fit the object";
    /// A range of several mappings where the call works on one.
    30 SeveralMappings Efault "range of several mappings";
    /// A tag check mode that the CPU does not have.
    31 TagModeUnsupported Eopnotsupp "tag check mode not on this machine";
    /// A tag check mode that does not exist.
    32 InvalidTagMode Einval "unknown tag check mode";
    /// Tags of memory that is not mapped TAGGED.
    33 NotTagged Eopnotsupp "memory not mapped tagged";
    /// Whoever would have received or answered a message is gone.
    34 PartnerGone Epipe "partner is gone";
    /// An answer to the kernel that is no action, or none for what it told.
    35 InvalidAction Einval "no such action";
    /// The time that the call was to wait for is over.
    36 TimedOut Etimedout "time is over";
    /// `thread_interrupt` ended the wait.
    37 Interrupted Eintr "interrupted";
    /// A page has nothing behind it before its pager was asked, which this call does not.
    38 PageAbsent Efault "a pager would have to be asked";
    /// A page has something behind it already.
    39 PagePresent Eexist "page already supplied";
    /// The pager of memory that the call should use is gone, or did not answer.
    40 PagerGone Epipe "pager is gone";
    /// The pager said that there will never be a page.
    41 PagePoisoned Efault "page is poisoned";
    /// The pager refused the page.
    42 PageRefused Eperm "pager refused the page";
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn numbers_start_at_one_without_holes() {
        for (index, error) in Error::ALL.iter().enumerate() {
            assert_eq!(*error as u64, index as u64 + 1);
            assert_eq!(Error::from_number(index as u64 + 1), Some(*error));
        }
        assert_eq!(Error::from_number(0), None);
    }
}
