//! How a fresh page gets its contents.
//!
//! Owns: the choice of strategy, made once when an object is created, and the one door from
//! [`UninitFrame`] to [`OwnedFrame`]. Refuses to know: instructions and loops. The invariant that
//! others rely on: every byte of the frame is written exactly once, and every tag too if the page
//! will be Tagged memory, so that nothing of the frame's last owner can be seen.

use crate::addr::FrameAddress;
use crate::counters::{Counter, Counters};
use crate::frame::{OwnedFrame, UninitFrame};
use crate::machine::Machine;
use crate::stored::{PIECE, Stored};
use crate::tag::Tag;
use vellum_abi::{PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE, TAG_GRANULE};

/// The contents of a fresh page.
// Whole words: a plan with one is moved by a few loads and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Fill {
    /// Zeros, under this tag where the page is Tagged memory.
    Zero(Tag),
    /// One byte throughout, under tag zero.
    Pattern(u8),
    /// The bytes, and the tags where the page is Tagged memory, of another frame.
    Copy(FrameAddress),
    /// The bytes of another frame, under tag zero.
    CopyBytes(FrameAddress),
}

/// What a fill wrote, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    filled: u64,
    copied: u64,
    tags: u64,
}

impl Written {
    /// Returns what `times` such fills wrote.
    #[must_use]
    pub const fn times(self, times: u64) -> Written {
        let Written { filled, copied, tags } = self;
        Written { filled: filled * times, copied: copied * times, tags: tags * times }
    }

    /// Adds what was written to the counters of the address space that asked for it.
    #[inline]
    pub fn count(self, counters: &Counters) {
        if self.filled != 0 {
            counters.add(Counter::BytesFilled, self.filled);
        }
        if self.copied != 0 {
            counters.add(Counter::BytesCopied, self.copied);
        }
        if self.tags != 0 {
            counters.add(Counter::TagBytes, self.tags);
        }
    }

    /// Adds up what several fills wrote.
    pub(crate) fn and(self, other: Written) -> Written {
        Written {
            filled: self.filled + other.filled,
            copied: self.copied + other.copied,
            tags: self.tags + other.tags,
        }
    }
}

impl Fill {
    /// Initialises a frame for a page of this protection.
    #[inline]
    pub fn apply<M: Machine>(
        self,
        machine: &M,
        frame: UninitFrame,
        protection: Protection,
    ) -> (OwnedFrame, Written) {
        let tagged = protection.contains(Protection::TAGGED);
        match (self, tagged) {
            (Fill::Zero(_), false) => machine.zero_page(&frame),
            (Fill::Zero(tag), true) => machine.zero_page_with_tag(&frame, tag),
            (Fill::Pattern(byte), false) => machine.fill_page(&frame, byte),
            (Fill::Pattern(byte), true) => {
                machine.fill_page(&frame, byte);
                machine.clear_tags(frame.address());
            }
            (Fill::Copy(source) | Fill::CopyBytes(source), false) => {
                machine.copy_page(source, &frame);
            }
            (Fill::CopyBytes(source), true) => {
                machine.copy_page(source, &frame);
                machine.clear_tags(frame.address());
            }
            (Fill::Copy(source), true) => machine.copy_page_with_tags(source, &frame),
        }
        (OwnedFrame::after_fill(frame), self.written(tagged))
    }

    pub(crate) fn written(self, tagged: bool) -> Written {
        let copies = matches!(self, Fill::Copy(_) | Fill::CopyBytes(_));
        Written {
            filled: if copies { 0 } else { PAGE_SIZE },
            copied: if copies { PAGE_SIZE } else { 0 },
            tags: if tagged { TAG_BYTES_PER_PAGE } else { 0 },
        }
    }
}

/// Declares a frame whose every byte, and every tag on a machine that has them, was copied in pieces.
pub(crate) fn copied_in_pieces<M: Machine>(
    machine: &M,
    frame: UninitFrame,
) -> (OwnedFrame, Written) {
    let written = Fill::Copy(frame.address()).written(machine.has_tags());
    (OwnedFrame::after_fill(frame), written)
}

/// Initialises a frame for a page of this protection with content that has no frame, repeated.
pub(crate) fn apply_stored<M: Machine>(
    stored: &Stored<M>,
    machine: &M,
    frame: UninitFrame,
    protection: Protection,
) -> (OwnedFrame, Written) {
    let (page, granule_bytes) = (PAGE_SIZE as usize, TAG_GRANULE as usize);
    let tagged = protection.contains(Protection::TAGGED);
    let period = stored.size().max(PIECE);
    stored.pieces(|offset, bytes, tags| {
        let mut chunk = [0; PIECE];
        for (index, byte) in chunk.iter_mut().enumerate() {
            *byte = bytes[index % bytes.len()];
        }
        for start in (offset..page).step_by(period) {
            machine.write_bytes(frame.address(), start, &chunk);
            // Every tag once, as every byte.
            for granule in (0..PIECE / granule_bytes).filter(|_| tagged) {
                let tag = tags.tag(granule % (bytes.len() / granule_bytes).max(1));
                machine.write_tag(frame.address(), start + granule * granule_bytes, tag);
            }
        }
    });
    let tags = if tagged { TAG_BYTES_PER_PAGE } else { 0 };
    (OwnedFrame::after_fill(frame), Written { filled: PAGE_SIZE, copied: 0, tags })
}

#[cfg(test)]
mod tests {
    use super::{Fill, Written};
    use crate::addr::FrameAddress;
    use vellum_abi::{PAGE_SIZE, TAG_BYTES_PER_PAGE};

    const PAGE_AND_TAGS: Written =
        Written { filled: PAGE_SIZE, copied: 0, tags: TAG_BYTES_PER_PAGE };

    #[test]
    fn sums_of_what_was_written_keep_fills_copies_and_tags_apart() {
        let copy = Fill::Copy(FrameAddress::containing(0x1000)).written(true);
        let fill = Fill::Pattern(3).written(false);
        assert_eq!(fill.and(copy), Written { filled: PAGE_SIZE, copied: PAGE_SIZE, ..copy });
        assert_eq!(copy.and(fill), fill.and(copy));
        let twice = Written { filled: 2 * PAGE_SIZE, copied: 0, tags: 2 * TAG_BYTES_PER_PAGE };
        assert_eq!(PAGE_AND_TAGS.and(PAGE_AND_TAGS), twice);
        assert_eq!(Written::default().and(copy), copy);
    }

    #[test]
    fn so_many_fills_write_as_much_as_the_sum_of_them() {
        let copy = Fill::Copy(FrameAddress::containing(0x1000)).written(true);
        for written in [PAGE_AND_TAGS, copy] {
            let mut sum = Written::default();
            for times in 0..20 {
                assert_eq!(written.times(times), sum);
                sum = sum.and(written);
            }
        }
    }
}
