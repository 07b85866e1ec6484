//! The table of `docs/remap.md` as data. A word that is not known here is an error of the document.

use Expected::{Answered, Refused};
use vellum_user::abi::{Error, RemapFlags};

const DOCUMENT: &str = include_str!("../../../../docs/remap.md");

/// Defines a set of names and their words in the document.
macro_rules! words {
    ($name:ident { $($variant:ident $word:literal,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            pub(crate) const ALL: &[$name] = &[$($name::$variant),*];

            fn parse(word: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }

            fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
    };
}

words! { Kind {
    Anonymous "anonymous", Reference "reference", Private "private", Shared "shared",
    Guard "guard", Device "device", Sealed "sealed",
} }
words! { Length { Same "same", Longer "longer", Room "longer with room", Shorter "shorter", } }
words! { Flags {
    None "none", MayMove "MAYMOVE", Fixed "FIXED", Retain "RETAIN", FixedRetain "FIXED RETAIN",
} }
words! { Place { Here "here", There "there", Elsewhere "elsewhere", } }
words! { Pages {
    Absent "-", Same "the pages", New "as new", Object "the object", Unmapped "unmapped",
    NoAccess "no access",
} }

impl Flags {
    pub(crate) fn bits(self) -> RemapFlags {
        let more = match self {
            Flags::None => return RemapFlags::NONE,
            Flags::MayMove => RemapFlags::NONE,
            Flags::Fixed => RemapFlags::FIXED,
            Flags::Retain => RemapFlags::RETAIN,
            Flags::FixedRetain => RemapFlags::FIXED | RemapFlags::RETAIN,
        };
        more | RemapFlags::MAYMOVE
    }
}

/// One case of a row: a mapping, a length and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) length: Length,
    pub(crate) flags: Flags,
}

/// What a row says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Refused(Error),
    Answered(Place, Outcome),
}

/// What is where after the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) destination: Pages,
    pub(crate) added: Pages,
    pub(crate) source: Pages,
    pub(crate) tail: Pages,
}

/// Calls `case_fn` with every case of every row, in order.
///
/// # Panics
/// If the table has a cell that is not understood.
pub(crate) fn cases(mut case_fn: impl FnMut(Case, Expected)) {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with('|')).skip(2);
    for row in rows {
        let cells = cells(row);
        let [kinds, lengths, flags, ..] = cells;
        let expected = expected(&cells);
        for kind in list(kinds, Kind::parse) {
            for length in list(lengths, Length::parse) {
                for flags in list(flags, Flags::parse) {
                    case_fn(Case { kind, length, flags }, expected);
                }
            }
        }
    }
}

fn cells(row: &str) -> [&str; 8] {
    let mut cells = row.trim_matches('|').split('|').map(str::trim);
    let taken = core::array::from_fn(|_| cells.next().unwrap_or_else(|| panic!("short row {row}")));
    assert!(cells.next().is_none(), "long row {row}");
    taken
}

fn expected(cells: &[&str; 8]) -> Expected {
    let [_, _, _, answer, outcome @ ..] = cells;
    let [destination, added, source, tail] = outcome.map(|cell| one(cell, Pages::parse));
    match Place::parse(answer) {
        Some(place) => Answered(place, Outcome { destination, added, source, tail }),
        None => Refused(one(answer, error)),
    }
}

/// Returns the error of this name.
fn error(name: &str) -> Option<Error> {
    struct Compare<'a>(&'a str, bool);
    impl core::fmt::Write for Compare<'_> {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.1 = text == self.0;
            Ok(())
        }
    }
    Error::ALL.iter().copied().find(|error| {
        let mut compare = Compare(name, false);
        core::fmt::write(&mut compare, format_args!("{error:?}")).is_ok() && compare.1
    })
}

fn one<T>(word: &str, parse_fn: impl Fn(&str) -> Option<T>) -> T {
    parse_fn(word).unwrap_or_else(|| panic!("docs/remap.md says {word}, which nobody knows"))
}

fn list<T>(cell: &str, parse_fn: impl Fn(&str) -> Option<T>) -> impl Iterator<Item = T> {
    cell.split(',').map(move |word| one(word.trim(), &parse_fn))
}
