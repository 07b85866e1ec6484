//! Flag words of the calls.

/// Defines a set of bits as a word with checked construction: unknown bits are refused, never
/// ignored, so that a later version can give them a meaning.
macro_rules! bit_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$bit_meta:meta])* $bit:ident = $value:expr;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(u64);

        impl $name {
            $($(#[$bit_meta])* pub const $bit: $name = $name($value);)*
            /// No bit.
            pub const NONE: $name = $name(0);
            /// Every defined bit.
            pub const ALL: $name = $name(0 $(| $value)*);

            /// Returns the set, or `None` if a bit is not defined.
            #[must_use]
            #[inline]
            pub const fn from_bits(bits: u64) -> Option<$name> {
                if bits & !Self::ALL.0 == 0 { Some($name(bits)) } else { None }
            }

            /// Returns the word.
            #[must_use]
            #[inline]
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Returns whether every bit of `other` is in this set.
            #[must_use]
            #[inline]
            pub const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Returns the bits of both sets.
            #[must_use]
            #[inline]
            pub const fn union(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }

            /// Returns the bits that both sets have.
            #[must_use]
            #[inline]
            pub const fn intersection(self, other: $name) -> $name {
                $name(self.0 & other.0)
            }
        }

        impl core::ops::BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                self.union(other)
            }
        }
    };
}

bit_set! {
    /// What a mapping allows. No bit: nothing may be accessed. WRITE implies READ, as stage 1 of
    /// AArch64 has no write-only page for EL0 (Arm ARM, "Data accesses permissions").
    Protection {
        /// Loads.
        READ = 1 << 0;
        /// Stores.
        WRITE = 1 << 1;
        /// Instruction fetch. Not together with WRITE.
        EXECUTE = 1 << 2;
        /// Normal Tagged memory: allocation tags are kept and checked.
        TAGGED = 1 << 3;
    }
}

bit_set! {
    /// How `map` places a mapping and what may become of it.
    MapFlags {
        /// Stores change the object, for everybody who maps it. Without: a private mapping.
        SHARED = 1 << 16;
        /// At `address` or not at all. Without: `address` is a hint.
        FIXED = 1 << 17;
        /// With FIXED: whatever is mapped in the range is unmapped first.
        REPLACE = 1 << 18;
        /// The mapping can no more be unmapped, replaced, protected or decommitted.
        SEALED = 1 << 19;
        /// Nothing may ever be accessed in the range, whatever `protect` is asked for.
        GUARD = 1 << 20;
        /// With ANONYMOUS: `offset` is the address of a page of the caller, whose content the
        /// mapping snapshots (the `MAP_REFPAGE` form of the patch's first version).
        REFPAGE = 1 << 21;
        /// With ANONYMOUS: zeros under the tag that [`MapOptions::tag`] names.
        TAG_HINT = 1 << 22;
    }
}

bit_set! {
    /// What a mapping has switched on beyond its policy. All are off by default.
    Switches {
        /// Reads of whole spans of a reference object share its translation tables.
        SHARED_TABLES = 1 << 40;
        /// Ascending first writes are served in batches.
        BATCH = 1 << 41;
        /// A store with the wrong tag to a clean page is refused before a frame is taken.
        TAG_AWARE = 1 << 42;
        /// An atomic read-modify-write of a clean page takes one fault.
        ATOMIC_AWARE = 1 << 43;
        /// Reads of a reference object map blocks of 2 MiB; a first write makes 4 KiB private.
        HUGE = 1 << 44;
        /// With HUGE: a first write makes the whole block of 2 MiB private.
        HUGE_WRITES = 1 << 45;
    }
}

bit_set! {
    /// What a memory object is like.
    MemoryFlags {
        /// Its pages repeat without end: mappings of it may be of any length (`MFD_MMAP_WRAP` in the
        /// thread).
        WRAP = 1 << 0;
    }
}

bit_set! {
    /// How an address names a place to wait at.
    WaitFlags {
        /// By the object that is mapped there, where a shared mapping is: others who map it, wherever,
        /// mean the same place. Without it, and elsewhere, the address is the process's own.
        SHARED = 1 << 0;
    }
}

bit_set! {
    /// What a handler is told of beside faults.
    HandlerFlags {
        /// Calls: each `svc` of the process is reported, and none is a call of this kernel. Only before the
        /// process starts a thread; from then on it stays as it was.
        FOREIGN = 1 << 0;
    }
}

bit_set! {
    /// What a handle allows.
    Rights {
        /// Read the contents.
        READ = 1 << 0;
        /// Change the contents.
        WRITE = 1 << 1;
        /// Execute the contents.
        EXECUTE = 1 << 2;
        /// Map the object.
        MAP = 1 << 3;
        /// Copy the handle into another table.
        TRANSFER = 1 << 4;
        /// Change the process or thread: map into it, write its memory, start it, kill it.
        MANAGE = 1 << 5;
        /// Look at it: counters, mappings, memory, exit report.
        INSPECT = 1 << 6;
    }
}

/// Defines an enumeration of numbers with checked construction.
macro_rules! numbers {
    ($(#[$meta:meta])* $name:ident { $($(#[$entry_meta:meta])* $entry:ident = $value:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum $name { $($(#[$entry_meta])* $entry = $value,)* }

        impl $name {
            /// Every one, in the order of the numbers.
            pub const ALL: &'static [$name] = &[$($name::$entry),*];

            /// Returns the one with this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<$name> {
                match number { $($value => Some($name::$entry),)* _ => None }
            }
        }
    };
}

numbers! {
    /// How clean pages of a mapping get their contents (the research question). Who proposed each
    /// in the thread stands behind it.
    #[derive(Default)]
    Policy {
        /// Reads share the object's frame; the first write gets a private frame, filled by strategy
        /// (the patch).
        #[default]
        ReferencePage = 0;
        /// Every page is private from the start: the memset baseline.
        Eager = 1;
        /// Any fault gives a private frame; no frame is shared (Hildenbrand, Marinas).
        PatternOnAnyFault = 2;
        /// Reads share a frame of the mapping's own, which a clone copies (Wilcox).
        InMapping = 3;
        /// Reads share the object's frame; the first write copies it (Shutemov, Marinas).
        Object = 4;
        /// As `Object`, of an object that repeats its pages without end (Marinas).
        Wrap = 5;
        /// As `Object`, of an object whose pages a program supplies when they are touched (userfaultfd,
        /// external pagers).
        UserPager = 6;
    }
}

/// The options word of `map`: protection in bits 0..15, flags in 16..31, policy in 32..39,
/// switches in 40..47, the width of fault-around in 48..51, a tag in 52..55.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapOptions {
    /// What the mapping allows.
    pub protection: Protection,
    /// Placement and sealing.
    pub flags: MapFlags,
    /// How clean pages get their contents.
    pub policy: Policy,
    /// What is switched on beyond the policy.
    pub switches: Switches,
    /// log2 of the pages that one read fault maps, at most [`MapOptions::LAST_AROUND`].
    pub around: u8,
    /// The tag that `TAG_HINT` asks for.
    pub tag: u8,
}

impl MapOptions {
    /// The widest fault-around: a whole table of 512 pages.
    pub const LAST_AROUND: u8 = 9;

    /// A mapping that allows nothing and asks for nothing.
    const PLAIN: MapOptions = MapOptions {
        protection: Protection::NONE,
        flags: MapFlags::NONE,
        policy: Policy::ReferencePage,
        switches: Switches::NONE,
        around: 0,
        tag: 0,
    };

    /// Reads the options word.
    ///
    /// # Errors
    /// `InvalidProtection` for unknown bits in 0..15; `InvalidFlags` for unknown bits above, for
    /// an unknown policy or width, and for what does not go together: REPLACE without FIXED, a tag
    /// without `TAG_HINT`, `HUGE_WRITES` without HUGE, both `REFPAGE` and `TAG_HINT`, GUARD with
    /// SHARED or with any protection.
    pub const fn from_word(word: u64) -> Result<MapOptions, crate::Error> {
        let Some(protection) = Protection::from_bits(word & 0xffff) else {
            return Err(crate::Error::InvalidProtection);
        };
        if word >> 16 == 0 {
            // The usual word: a protection and nothing else.
            return Ok(MapOptions { protection, ..MapOptions::PLAIN });
        }
        let (Some(flags), Some(policy), Some(switches)) = (
            MapFlags::from_bits(word & 0xffff_0000),
            Policy::from_number(word >> 32 & 0xff),
            Switches::from_bits(word & 0xff << 40),
        ) else {
            return Err(crate::Error::InvalidFlags);
        };
        let (around, tag) = ((word >> 48 & 0xf) as u8, (word >> 52 & 0xf) as u8);
        let options = MapOptions { protection, flags, policy, switches, around, tag };
        if word >> 56 == 0 && options.is_consistent() {
            Ok(options)
        } else {
            Err(crate::Error::InvalidFlags)
        }
    }

    const fn is_consistent(&self) -> bool {
        let guard = self.flags.contains(MapFlags::GUARD);
        let hint = self.flags.contains(MapFlags::TAG_HINT);
        (self.flags.contains(MapFlags::FIXED) || !self.flags.contains(MapFlags::REPLACE))
            && (hint || self.tag == 0)
            && !(hint && self.flags.contains(MapFlags::REFPAGE))
            && (self.switches.contains(Switches::HUGE)
                || !self.switches.contains(Switches::HUGE_WRITES))
            && !(guard && self.flags.contains(MapFlags::SHARED))
            && !(guard && self.protection.bits() != 0)
            && self.around <= MapOptions::LAST_AROUND
    }

    /// Returns the options word.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.protection.bits()
            | self.flags.bits()
            | (self.policy as u64) << 32
            | self.switches.bits()
            | (self.around as u64) << 48
            | (self.tag as u64) << 52
    }
}

bit_set! {
    /// How `remap` may move a mapping.
    RemapFlags {
        /// The pages may go to another address.
        MAYMOVE = 1 << 0;
        /// With MAYMOVE: to the address that the call names; what is mapped there goes.
        FIXED = 1 << 1;
        /// With MAYMOVE: the old range stays mapped, as if it was just made.
        RETAIN = 1 << 2;
    }
}

numbers! {
    /// What `advise` does to the pages of a range.
    Advice {
        /// Gives private frames back; the pages read as the object again (Linux: `MADV_DONTNEED`).
        Decommit = 0;
        /// Does what a load of each page would do (Linux: `MADV_POPULATE_READ`).
        PopulateRead = 1;
        /// Does what a store to each page would do (Linux: `MADV_POPULATE_WRITE`).
        PopulateWrite = 2;
        /// Makes a private block of every aligned 2 MiB, contents unchanged (Linux:
        /// `MADV_COLLAPSE`).
        Promote = 3;
    }
}

/// What the call `test` makes a checked kernel do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum TestOperation {
    /// Lets the allocation of a frame or of kernel memory fail that comes as number `argument` from
    /// now; 0 for none. x1 = how many failed because of the last such call.
    FailAllocation = 0,
    /// Moves every private page of the calling process to another frame, as far as there are any.
    MoveFrames = 1,
    /// Checks all that lives in a process, a handle with INSPECT or SELF, in one go; panics at what is wrong.
    Audit = 2,
    /// Looks at some frames from `argument` on. x1 = how many are free, and in bits 63:32 the next, 0 for none.
    AuditFrames = 3,
}

impl TestOperation {
    /// Returns the operation with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<TestOperation> {
        match number {
            0 => Some(TestOperation::FailAllocation),
            1 => Some(TestOperation::MoveFrames),
            2 => Some(TestOperation::Audit),
            3 => Some(TestOperation::AuditFrames),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MapFlags, MapOptions, Policy, Protection, Switches};
    use crate::Error;

    #[test]
    fn unknown_bits_are_refused() {
        assert_eq!(MapOptions::from_word(1 << 4), Err(Error::InvalidProtection));
        assert_eq!(MapOptions::from_word(1 << 23), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(7 << 32), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(1 << 46), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(10 << 48), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(1 << 56), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(u64::MAX), Err(Error::InvalidProtection));
        assert_eq!(MapOptions::from_word(MapFlags::REPLACE.bits()), Err(Error::InvalidFlags));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let guard = MapFlags::GUARD.bits();
        for word in [
            5 << 52,
            Switches::HUGE_WRITES.bits(),
            (MapFlags::REFPAGE | MapFlags::TAG_HINT).bits(),
            guard | Protection::READ.bits(),
            guard | MapFlags::SHARED.bits(),
        ] {
            assert_eq!(MapOptions::from_word(word), Err(Error::InvalidFlags), "{word:#x}");
        }
        assert!(MapOptions::from_word(guard).is_ok());
        assert!(MapOptions::from_word(MapFlags::TAG_HINT.bits() | 15 << 52).is_ok());
    }

    #[test]
    fn options_survive_the_word() {
        let options = MapOptions {
            protection: Protection::READ | Protection::TAGGED,
            flags: MapFlags::FIXED | MapFlags::REPLACE | MapFlags::TAG_HINT,
            policy: Policy::Wrap,
            switches: Switches::ALL,
            around: 4,
            tag: 9,
        };
        assert_eq!(MapOptions::from_word(options.to_word()), Ok(options));
    }
}
