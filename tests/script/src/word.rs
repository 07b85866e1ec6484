//! The fields of operations: each reads, writes and makes itself, and knows what is simpler.

use crate::random::Rng;
use alloc::vec::Vec;
use alloc::{vec, vec::IntoIter};
use core::fmt::{self, Formatter};
use core::ops::Range;
use core::str::SplitWhitespace;
use vellum_abi::{MapFlags, PAGE_SIZE, Protection};

mod numbers;
mod sets;
mod style;

pub use numbers::{Byte, Count, Cpu, Offset, PointerTag, Slot, Space, Tag};
pub use sets::{Maximum, Moving, Placing, Protect};
pub use style::Style;

/// Address spaces of a script.
pub const SPACES: usize = 2;
/// CPUs of a script. The real kernel has one; there they only say which space an access is made in.
pub const CPUS: usize = 2;
/// Slots for objects. The first one holds anonymous memory for ever.
pub const SLOTS: usize = 8;
/// Pages in a window: random operations stay in windows, so that they meet.
pub const WINDOW: u64 = 12;
/// First pages of the windows: the first three lie across the edge of a table of each level, the
/// last is where mappings without a wish go.
const WINDOWS: [u64; 4] = [
    0x80_8020_0000 / PAGE_SIZE - WINDOW / 2,
    0x80_c000_0000 / PAGE_SIZE - WINDOW / 2,
    0x100_0000_0000 / PAGE_SIZE - WINDOW / 2,
    0x10_0000_0000 / PAGE_SIZE,
];

/// A field of an operation.
pub trait Word: Clone + Sized {
    /// Reads the field from a line.
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Self>;
    /// Writes the field as it is read.
    ///
    /// # Errors
    /// Those of the formatter.
    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result;
    /// Makes a field that random scripts may have.
    fn random(rng: &mut Rng) -> Self;
    /// Returns simpler values; no chain of them is endless.
    fn simpler(&self) -> Vec<Self> {
        Vec::new()
    }
}

/// Reads a number, hexadecimal behind `0x`.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Returns what lies below a number, nearest to zero first.
fn less(number: u64) -> IntoIter<u64> {
    let mut all = vec![0, number / 2, number.saturating_sub(1)];
    all.retain(|other| *other < number);
    all.dedup();
    all.into_iter()
}

fn window(rng: &mut Rng) -> u64 {
    WINDOWS[rng.weighted(&[(12, 0), (6, 1), (1, 2), (1, 3)])]
}

/// The address of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

impl Address {
    /// Returns the number of the page.
    #[must_use]
    pub const fn page(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// Returns the offset in the page.
    #[must_use]
    pub const fn offset(self) -> usize {
        (self.0 % PAGE_SIZE) as usize
    }
}

impl Word for Address {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Address> {
        number(words.next()?).map(Address)
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }

    fn random(rng: &mut Rng) -> Address {
        let page = window(rng) + rng.below(WINDOW);
        // Few offsets, so that tags and bytes meet again.
        let offset = match rng.below(5) {
            0..3 => rng.below(48),
            3 => PAGE_SIZE - 16,
            _ => rng.below(PAGE_SIZE),
        };
        Address(page * PAGE_SIZE + offset)
    }

    fn simpler(&self) -> Vec<Address> {
        let (page, offset) = (self.0 - self.0 % PAGE_SIZE, self.0 % PAGE_SIZE);
        less(offset).map(|offset| Address(page + offset)).collect()
    }
}

/// A range of pages: address, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first page's number.
    pub start: u64,
    /// How many pages.
    pub pages: u64,
}

impl Span {
    /// Returns the first address.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.start * PAGE_SIZE
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.pages * PAGE_SIZE
    }

    /// Returns the pages' numbers.
    #[must_use]
    pub const fn range(self) -> Range<u64> {
        self.start..self.start + self.pages
    }
}

impl Word for Span {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Span> {
        let (address, pages) = (number(words.next()?)?, number(words.next()?)?);
        let whole = address % PAGE_SIZE == 0 && (1..=1 << 20).contains(&pages);
        whole.then_some(Span { start: address / PAGE_SIZE, pages })
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x} {}", self.address(), self.pages)
    }

    fn random(rng: &mut Rng) -> Span {
        let (window, page) = (window(rng), rng.below(WINDOW));
        let pages = (1 + rng.below(WINDOW)).min(WINDOW - page);
        Span { start: window + page, pages }
    }

    fn simpler(&self) -> Vec<Span> {
        let less: Vec<u64> = less(self.pages).filter(|pages| *pages > 0).collect();
        let front = less.iter().map(|pages| Span { pages: *pages, ..*self });
        let back = less.iter().map(|pages| Span { start: self.range().end - pages, pages: *pages });
        front.chain(back).collect()
    }
}

/// Bytes that a reference object is made of: address, and a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where they begin.
    pub address: Address,
    /// How many they are.
    pub size: u64,
}

impl Word for Content {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Content> {
        let (address, size) = (Address::read(words)?, number(words.next()?)?);
        (size.is_power_of_two() && size <= PAGE_SIZE).then_some(Content { address, size })
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.address.write(formatter)?;
        write!(formatter, " {}", self.size)
    }

    /// Most are aligned to their size.
    fn random(rng: &mut Rng) -> Content {
        let size = 1 << rng.weighted(&[(1, 4), (1, 12), (2, rng.clone().below(13))]);
        let Address(address) = Address::random(rng);
        let address = if rng.below(8) == 0 { address } else { address & !(size - 1) };
        Content { address: Address(address), size }
    }

    fn simpler(&self) -> Vec<Content> {
        let whole = Address(self.address.0 - self.address.0 % PAGE_SIZE);
        let mut all = vec![Content { address: whole, ..*self }];
        all.retain(|other| other != self);
        all
    }
}

/// What an object is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A reference object of one byte.
    Pattern(u8),
    /// A reference object of zeros under a tag.
    Tagged(u8),
    /// A memory object of so many pages.
    Memory(u64),
    /// A memory object whose so many pages repeat without end.
    Wrap(u64),
    /// A fixed object of so many pages; on the model machine only.
    Fixed(u64),
}

impl Word for Kind {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Kind> {
        let (kind, detail) = words.next()?.split_once(':')?;
        Some(match kind {
            "pattern" => Kind::Pattern(u8::from_str_radix(detail, 16).ok()?),
            "tag" => Kind::Tagged(number(detail).filter(|tag| *tag < 16)? as u8),
            "memory" => Kind::Memory(number(detail)?),
            "wrap" => Kind::Wrap(number(detail)?),
            "fixed" => Kind::Fixed(number(detail)?),
            _ => return None,
        })
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Pattern(byte) => write!(formatter, "pattern:{byte:02x}"),
            Kind::Tagged(tag) => write!(formatter, "tag:{tag}"),
            Kind::Memory(pages) => write!(formatter, "memory:{pages}"),
            Kind::Wrap(pages) => write!(formatter, "wrap:{pages}"),
            Kind::Fixed(pages) => write!(formatter, "fixed:{pages}"),
        }
    }

    fn random(rng: &mut Rng) -> Kind {
        match rng.below(4) {
            0 => Kind::Pattern(rng.below(3) as u8 * 0x55),
            1 if rng.setting.tags => Kind::Tagged(rng.below(12) as u8),
            2 if !rng.setting.on_kernel => Kind::Fixed(1 + rng.below(3)),
            _ if rng.below(4) == 0 => Kind::Wrap(rng.below(6)),
            _ if rng.below(5) > 0 => Kind::Memory(rng.below(30)),
            _ => Kind::Memory(500 + rng.below(600)),
        }
    }

    fn simpler(&self) -> Vec<Kind> {
        match self {
            Kind::Memory(pages) => less(*pages).skip(1).map(Kind::Memory).collect(),
            Kind::Wrap(pages) => less(*pages).skip(1).map(Kind::Wrap).collect(),
            Kind::Pattern(_) | Kind::Tagged(_) | Kind::Fixed(_) => Vec::new(),
        }
    }
}

/// Names of bits, and how a set of them is read and written: joined by `+`, or `-` for none.
fn read_flags(word: &str, names: &[(&str, MapFlags)]) -> Option<MapFlags> {
    if word == "-" {
        return Some(MapFlags::NONE);
    }
    word.split('+').try_fold(MapFlags::NONE, |all, name| {
        names.iter().find(|(known, _)| *known == name).map(|(_, flag)| all | *flag)
    })
}

/// Letters of protection bits.
const LETTERS: [(char, Protection); 4] = [
    ('r', Protection::READ),
    ('w', Protection::WRITE),
    ('x', Protection::EXECUTE),
    ('t', Protection::TAGGED),
];
