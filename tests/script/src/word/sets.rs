//! Fields that are sets of bits.

use super::{LETTERS, Word, read_flags};
use crate::random::Rng;
use alloc::vec::Vec;
use core::fmt::{self, Formatter};
use core::str::SplitWhitespace;
use vellum_abi::{MapFlags, Protection, RemapFlags};

const R: Protection = Protection::READ;
const W: Protection = Protection::WRITE;
const X: Protection = Protection::EXECUTE;
const T: Protection = Protection::TAGGED;

fn read_letters(word: &str) -> Option<Protection> {
    if word == "-" {
        return Some(Protection::NONE);
    }
    word.chars().try_fold(Protection::NONE, |all, letter| {
        LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| all | *bit)
    })
}

fn write_letters(set: Protection, formatter: &mut Formatter<'_>) -> fmt::Result {
    if set == Protection::NONE {
        return formatter.write_str("-");
    }
    let letters = LETTERS.iter().filter(|(_, bit)| set.contains(*bit));
    letters.map(|(letter, _)| letter).try_for_each(|letter| write!(formatter, "{letter}"))
}

/// A protection: letters of `rwxt`, or `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protect(pub Protection);

impl Word for Protect {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Protect> {
        read_letters(words.next()?).map(Protect)
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write_letters(self.0, formatter)
    }

    fn random(rng: &mut Rng) -> Protect {
        let any = Protection::from_bits(rng.below(16)).unwrap_or(R);
        let chosen = rng.weighted(&[
            (4, R | W),
            (4, R | W | T),
            (2, R),
            (2, R | T),
            (2, R | X),
            (1, W),
            (1, X),
            (1, Protection::NONE),
            (1, any),
        ]);
        Protect(if rng.setting.tags { chosen } else { chosen.intersection(R | W | X) })
    }

    fn simpler(&self) -> Vec<Protect> {
        let fewer = |bit: Protection| Protection::from_bits(self.0.bits() & !bit.bits());
        let bits = [X, T, W].into_iter().filter(|bit| self.0.contains(*bit));
        bits.filter_map(fewer).map(Protect).collect()
    }
}

/// What the handle that is mapped by allows at most, of what the object allows: `r`, `rw`, `rx`,
/// `rwx`. Anonymous memory has no handle and allows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maximum(pub Protection);

impl Word for Maximum {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Maximum> {
        let set = read_letters(words.next()?)?;
        (set.contains(R) && !set.contains(T)).then_some(Maximum(set))
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write_letters(self.0, formatter)
    }

    fn random(rng: &mut Rng) -> Maximum {
        Maximum(rng.weighted(&[(18, R | W | X), (1, R | W), (1, R | X), (1, R)]))
    }

    fn simpler(&self) -> Vec<Maximum> {
        let all = R | W | X;
        if self.0 == all { Vec::new() } else { [Maximum(all)].into() }
    }
}

/// How a mapping is placed and made: names joined by `+`, or `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placing {
    /// The flags of the call.
    pub flags: MapFlags,
    /// `anywhere`: no address is passed.
    pub anywhere: bool,
}

const NAMES: [(&str, MapFlags); 4] = [
    ("fixed", MapFlags::FIXED),
    ("replace", MapFlags::REPLACE),
    ("shared", MapFlags::SHARED),
    ("sealed", MapFlags::SEALED),
];
const ANYWHERE: &str = "anywhere";

impl Word for Placing {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Placing> {
        let word = words.next()?;
        let (anywhere, rest) = match word.strip_prefix(ANYWHERE) {
            Some("") => (true, "-"),
            Some(rest) => (true, rest.strip_prefix('+')?),
            None => (false, word),
        };
        let flags = read_flags(rest, &NAMES)?;
        let fixed = flags.contains(MapFlags::FIXED);
        let consistent = !(anywhere && fixed) && (fixed || !flags.contains(MapFlags::REPLACE));
        consistent.then_some(Placing { flags, anywhere })
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let flags = NAMES.iter().filter(|(_, flag)| self.flags.contains(*flag));
        let place = self.anywhere.then_some(ANYWHERE);
        let mut names = place.into_iter().chain(flags.map(|(name, _)| *name));
        formatter.write_str(names.next().unwrap_or("-"))?;
        names.try_for_each(|name| write!(formatter, "+{name}"))
    }

    fn random(rng: &mut Rng) -> Placing {
        let fixed = MapFlags::FIXED;
        let place =
            rng.weighted(&[(3, fixed), (5, fixed | MapFlags::REPLACE), (2, MapFlags::NONE)]);
        let shared = rng.weighted(&[(2, MapFlags::NONE), (1, MapFlags::SHARED)]);
        let sealed = rng.weighted(&[(40, MapFlags::NONE), (1, MapFlags::SEALED)]);
        let anywhere = place == MapFlags::NONE && rng.below(4) == 0;
        Placing { flags: place | shared | sealed, anywhere }
    }

    fn simpler(&self) -> Vec<Placing> {
        let flags = [MapFlags::SEALED, MapFlags::REPLACE, MapFlags::SHARED].into_iter();
        let flags = flags.filter(|flag| self.flags.contains(*flag));
        flags
            .filter_map(|flag| MapFlags::from_bits(self.flags.bits() & !flag.bits()))
            .map(|flags| Placing { flags, ..*self })
            .collect()
    }
}

/// Whether and how pages move: names joined by `+`, or `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving(pub RemapFlags);

const WAYS: [(&str, RemapFlags); 3] =
    [("move", RemapFlags::MAYMOVE), ("fixed", RemapFlags::FIXED), ("retain", RemapFlags::RETAIN)];

impl Word for Moving {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Moving> {
        let word = words.next()?;
        if word == "-" {
            return Some(Moving(RemapFlags::NONE));
        }
        let add =
            |all, name| WAYS.iter().find(|(known, _)| *known == name).map(|(_, flag)| all | *flag);
        word.split('+').try_fold(RemapFlags::NONE, add).map(Moving)
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut names = WAYS.iter().filter(|(_, flag)| self.0.contains(*flag));
        formatter.write_str(names.next().map_or("-", |(name, _)| name))?;
        names.try_for_each(|(name, _)| write!(formatter, "+{name}"))
    }

    fn random(rng: &mut Rng) -> Moving {
        let (moves, fixed) = (RemapFlags::MAYMOVE, RemapFlags::MAYMOVE | RemapFlags::FIXED);
        let any = RemapFlags::from_bits(rng.below(8)).unwrap_or(moves);
        let way = [(4, fixed), (4, fixed | RemapFlags::RETAIN), (2, RemapFlags::NONE), (2, moves)];
        let way = rng.weighted(&way);
        Moving(if rng.below(12) == 0 { any } else { way })
    }

    fn simpler(&self) -> Vec<Moving> {
        let fewer = |flag: RemapFlags| RemapFlags::from_bits(self.0.bits() & !flag.bits());
        let flags = WAYS.into_iter().rev().map(|(_, flag)| flag);
        flags.filter(|flag| self.0.contains(*flag)).filter_map(fewer).map(Moving).collect()
    }
}
