//! Fields that are one number.

use super::{CPUS, SLOTS, SPACES, Word, less, number};
use crate::random::Rng;
use alloc::vec::Vec;
use core::fmt::{self, Formatter};
use core::str::SplitWhitespace;

/// Defines an index with a prefix letter.
macro_rules! indices {
    ($($(#[$meta:meta])* $name:ident $prefix:literal below $end:expr, from $first:expr;)*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub usize);

        impl Word for $name {
            fn read(words: &mut SplitWhitespace<'_>) -> Option<$name> {
                let index = number(words.next()?.strip_prefix($prefix)?)? as usize;
                (index < $end).then_some($name(index))
            }

            fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}{}", $prefix, self.0)
            }

            fn random(rng: &mut Rng) -> $name {
                $name($first + rng.below(($end - $first) as u64) as usize)
            }
        }
    )* };
}

indices! {
    /// An address space: `s0`, `s1`.
    Space 's' below SPACES, from 0;
    /// A CPU: `c0`, `c1`.
    Cpu 'c' below CPUS, from 0;
    /// A slot for an object: `o1` to `o7`; `o0` is anonymous memory, which only `map` may name.
    Slot 'o' below SLOTS, from 0;
}

/// Defines a number with a range of random values.
macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident($type:ty) least $least:literal, most $most:expr, $rng:ident => $random:expr;)*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $type);

        impl Word for $name {
            fn read(words: &mut SplitWhitespace<'_>) -> Option<$name> {
                let value = number(words.next()?)?;
                ($least..=$most).contains(&value).then_some($name(value as $type))
            }

            fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", self.0)
            }

            fn random($rng: &mut Rng) -> $name {
                $name($random as $type)
            }

            fn simpler(&self) -> Vec<$name> {
                let values = less(u64::from(self.0));
                values.filter(|value| ($least..=$most).contains(value)).map(|value| $name(value as $type)).collect()
            }
        }
    )* };
}

numbers! {
    /// An offset in an object, in pages.
    Offset(u64) least 0, most 1 << 30, rng => if rng.below(5) > 0 { rng.below(6) } else { 490 + rng.below(510) };
    /// How many bytes the kernel moves; it stops at the end of the page.
    Count(u32) least 1, most 4096, rng => 1 + rng.below(600);
    /// A byte to store.
    Byte(u8) least 0, most 255, rng => 1 + rng.below(199);
    /// A tag to store.
    Tag(u8) least 0, most 15, rng => rng.below(12);
}

/// The tag of a pointer: `=` is the one that the memory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerTag(pub Option<u8>);

impl Word for PointerTag {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<PointerTag> {
        match words.next()? {
            "=" => Some(PointerTag(None)),
            word => number(word).filter(|tag| *tag < 16).map(|tag| PointerTag(Some(tag as u8))),
        }
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("="),
            Some(tag) => write!(formatter, "{tag}"),
        }
    }

    fn random(rng: &mut Rng) -> PointerTag {
        let other = rng.below(10) == 0 && rng.setting.tags;
        PointerTag(other.then(|| rng.below(12) as u8))
    }

    fn simpler(&self) -> Vec<PointerTag> {
        self.0.map(|_| PointerTag(None)).into_iter().collect()
    }
}
