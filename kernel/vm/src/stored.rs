//! Content that a reference object keeps outside any frame.
//!
//! Owns: at most a page of bytes and their tags in kernel pool memory, as many as the program gave,
//! and not repeated: repeating is the fill's. Refuses to know: what pages are made of it (`fill`),
//! and who may see them. The content never changes once the object is made, so it is read without
//! a lock.
//!
//! Source: the reviews of "[PATCH v5] mm: introduce reference pages" by David Hildenbrand (no
//! reference page at all) and Catalin Marinas (a kernel buffer of the pattern's size).

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::machine::Machine;
use crate::object::Content;
use crate::tag::Tag;
use vellum_abi::TAG_GRANULE;

/// The most bytes in one piece: sixteen tag granules, whose tags fill one word.
pub(crate) const PIECE: usize = 256;
const GRANULE: usize = TAG_GRANULE as usize;

/// One piece of content of more than [`PIECE`] bytes.
struct Piece<M: Machine> {
    bytes: [u8; PIECE],
    tags: Tags,
    next: Option<M::Owned<Piece<M>>>,
}

/// The tags of up to sixteen granules, four bits each, the first lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags(u64);

impl Tags {
    /// Returns the tag of a granule.
    pub(crate) fn tag(self, granule: usize) -> Tag {
        Tag::new(self.0 >> (4 * granule) & 0xf).unwrap_or(Tag::ZERO)
    }

    fn set(&mut self, granule: usize, tag: Tag) {
        self.0 |= u64::from(tag.value()) << (4 * granule);
    }
}

/// What is read of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Bytes alone: the tags of memory that is not Tagged are nobody's to give.
    Bytes,
    /// Bytes and tags.
    Tags,
}

/// The bytes, in memory of their size.
enum Bytes<M: Machine> {
    /// Less than a tag granule: in the header.
    Short([u8; GRANULE / 2], usize),
    B16(M::Owned<[u8; 16]>),
    B32(M::Owned<[u8; 32]>),
    B64(M::Owned<[u8; 64]>),
    B128(M::Owned<[u8; 128]>),
    Pieces(M::Owned<Piece<M>>),
}

/// Bytes and tags in kernel memory.
pub(crate) struct Stored<M: Machine> {
    size: usize,
    bytes: Bytes<M>,
    /// The tags of content of up to 128 bytes.
    tags: Tags,
}

impl<M: Machine> Stored<M> {
    /// Takes room for `size` bytes, a power of two up to a page, and charges it.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub(crate) fn new(
        machine: &M,
        account: &Account,
        size: usize,
    ) -> Result<M::Owned<Stored<M>>, VmError> {
        let charge = Self::charge(size);
        account.charge_kernel(charge)?;
        let stored = Self::room(machine, size)
            .and_then(|bytes| Ok(machine.own(Stored { size, bytes, tags: Tags::default() })?));
        stored.inspect_err(|_| account.credit_kernel(charge))
    }

    fn room(machine: &M, size: usize) -> Result<Bytes<M>, VmError> {
        Ok(match size {
            ..GRANULE => Bytes::Short([0; GRANULE / 2], size),
            16 => Bytes::B16(machine.own([0; 16])?),
            32 => Bytes::B32(machine.own([0; 32])?),
            64 => Bytes::B64(machine.own([0; 64])?),
            128 => Bytes::B128(machine.own([0; 128])?),
            _ => {
                let mut first = None;
                for _ in 0..size / PIECE {
                    let piece = Piece { bytes: [0; PIECE], tags: Tags::default(), next: first };
                    first = Some(machine.own(piece)?);
                }
                Bytes::Pieces(first.ok_or(VmError::InvalidSize)?)
            }
        })
    }

    /// Returns the bytes of kernel memory that content of a size is charged for: a header, and the
    /// content with its tags.
    const fn charge(size: usize) -> usize {
        let content = match size {
            ..GRANULE => 0,
            GRANULE..PIECE => size,
            _ => size / PIECE * size_of::<Piece<M>>(),
        };
        size_of::<Stored<M>>() + content
    }

    /// Returns what the holder must credit when the content goes.
    pub(crate) fn charged(&self) -> usize {
        Self::charge(self.size)
    }

    /// Returns how many bytes there are.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Calls `piece_fn` with the offset, bytes and tags of every piece, in order.
    pub(crate) fn pieces(&self, mut piece_fn: impl FnMut(usize, &[u8], Tags)) {
        match &self.bytes {
            Bytes::Short(bytes, size) => piece_fn(0, &bytes[..*size], self.tags),
            Bytes::B16(bytes) => piece_fn(0, &**bytes, self.tags),
            Bytes::B32(bytes) => piece_fn(0, &**bytes, self.tags),
            Bytes::B64(bytes) => piece_fn(0, &**bytes, self.tags),
            Bytes::B128(bytes) => piece_fn(0, &**bytes, self.tags),
            Bytes::Pieces(first) => {
                let mut next = Some(first);
                for offset in (0..).step_by(PIECE) {
                    let Some(piece) = next else { return };
                    piece_fn(offset, &piece.bytes, piece.tags);
                    next = piece.next.as_ref();
                }
            }
        }
    }

    fn pieces_mut(&mut self, mut piece_fn: impl FnMut(usize, &mut [u8], &mut Tags)) {
        match &mut self.bytes {
            Bytes::Short(bytes, size) => piece_fn(0, &mut bytes[..*size], &mut self.tags),
            Bytes::B16(bytes) => piece_fn(0, &mut **bytes, &mut self.tags),
            Bytes::B32(bytes) => piece_fn(0, &mut **bytes, &mut self.tags),
            Bytes::B64(bytes) => piece_fn(0, &mut **bytes, &mut self.tags),
            Bytes::B128(bytes) => piece_fn(0, &mut **bytes, &mut self.tags),
            Bytes::Pieces(first) => {
                let mut next = Some(first);
                for offset in (0..).step_by(PIECE) {
                    let Some(piece) = next else { return };
                    let piece = &mut **piece;
                    piece_fn(offset, &mut piece.bytes, &mut piece.tags);
                    next = piece.next.as_mut();
                }
            }
        }
    }

    /// Reads the content once from a frame, under a program's lock.
    pub(crate) fn take(&mut self, machine: &M, source: FrameAddress, offset: usize, what: Take) {
        self.pieces_mut(|at, bytes, tags| {
            machine.read_bytes(source, offset + at, bytes);
            if what == Take::Tags {
                for granule in 0..bytes.len() / GRANULE {
                    tags.set(granule, machine.read_tag(source, offset + at + granule * GRANULE));
                }
            }
        });
    }

    /// Names the kind of a page that repeats the content.
    pub(crate) fn classify(&self) -> Content {
        let mut first = None;
        let mut uniform = true;
        self.pieces(|_, bytes, tags| {
            let (byte, tag) = *first.get_or_insert((bytes[0], tags.tag(0)));
            let granules = bytes.len() / GRANULE;
            uniform &= bytes.iter().all(|other| *other == byte)
                && (0..granules).all(|granule| tags.tag(granule) == tag);
        });
        match first {
            Some((0, tag)) if uniform => Content::Tagged(tag),
            Some((byte, tag)) if uniform && tag == Tag::ZERO => Content::Pattern(byte),
            _ => Content::Bytes,
        }
    }
}
