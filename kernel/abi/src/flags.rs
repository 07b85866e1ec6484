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

/// How clean pages of a mapping get their contents (the research question).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u64)]
pub enum Policy {
    /// Reads share the object's frame; the first write gets a private frame, filled by strategy.
    #[default]
    ReferencePage = 0,
}

impl Policy {
    /// Returns the policy with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Policy> {
        match number {
            0 => Some(Policy::ReferencePage),
            _ => None,
        }
    }
}

/// The options word of `map`: protection in bits 0..15, flags in 16..31, policy in 32..39.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapOptions {
    /// What the mapping allows.
    pub protection: Protection,
    /// Placement and sealing.
    pub flags: MapFlags,
    /// How clean pages get their contents.
    pub policy: Policy,
}

impl MapOptions {
    /// Reads the options word.
    ///
    /// # Errors
    /// `InvalidProtection` for unknown bits in 0..15; `InvalidFlags` for unknown bits above, for
    /// REPLACE without FIXED, and for an unknown policy.
    pub const fn from_word(word: u64) -> Result<MapOptions, crate::Error> {
        let Some(protection) = Protection::from_bits(word & 0xffff) else {
            return Err(crate::Error::InvalidProtection);
        };
        let (Some(flags), Some(policy)) =
            (MapFlags::from_bits(word & 0xffff_0000), Policy::from_number(word >> 32))
        else {
            return Err(crate::Error::InvalidFlags);
        };
        if flags.contains(MapFlags::REPLACE) && !flags.contains(MapFlags::FIXED) {
            return Err(crate::Error::InvalidFlags);
        }
        Ok(MapOptions { protection, flags, policy })
    }

    /// Returns the options word.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.protection.bits() | self.flags.bits() | (self.policy as u64) << 32
    }
}

/// What `advise` does to the pages of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Advice {
    /// Gives private frames back; the pages read as the object again (Linux: `MADV_DONTNEED`).
    Decommit = 0,
}

impl Advice {
    /// Returns the advice with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Advice> {
        match number {
            0 => Some(Advice::Decommit),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MapFlags, MapOptions, Protection};
    use crate::Error;

    #[test]
    fn unknown_bits_are_refused() {
        assert_eq!(MapOptions::from_word(1 << 4), Err(Error::InvalidProtection));
        assert_eq!(MapOptions::from_word(1 << 20), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(1 << 32), Err(Error::InvalidFlags));
        assert_eq!(MapOptions::from_word(u64::MAX), Err(Error::InvalidProtection));
        assert_eq!(MapOptions::from_word(MapFlags::REPLACE.bits()), Err(Error::InvalidFlags));
    }

    #[test]
    fn options_survive_the_word() {
        let options = MapOptions {
            protection: Protection::READ | Protection::TAGGED,
            flags: MapFlags::FIXED | MapFlags::REPLACE,
            ..MapOptions::default()
        };
        assert_eq!(MapOptions::from_word(options.to_word()), Ok(options));
    }
}
