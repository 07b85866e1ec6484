//! Pieces of memory that one call moves, and how far it came.

words! {
    /// A piece that `memory_transfer` moves between a process and its caller. One without length lies
    /// anywhere in the user half.
    pub struct Piece {
        /// Where it is in the process that the call names; the tag does not matter.
        theirs,
        /// Where it is in the caller, whose tag is checked.
        own,
        /// How many bytes.
        length,
    }
}

bit_set! {
    /// How `memory_transfer` moves pieces.
    TransferFlags {
        /// From the caller to the other process.
        WRITE = 1 << 0;
    }
}

/// How far `memory_transfer` came, in one word: pieces in bits 63:56, bytes below. Without an error all
/// pieces are done, and no bytes of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Pieces from the first on that were moved whole.
    pub pieces: u64,
    /// Bytes of the next one that were moved.
    pub bytes: u64,
}

/// Bits of the word that count bytes: more than an address has.
const BYTE_BITS: u32 = 56;

impl Transferred {
    /// Returns the word.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.pieces << BYTE_BITS | self.bytes & ((1 << BYTE_BITS) - 1)
    }

    /// Returns what a word says.
    #[must_use]
    pub const fn from_word(word: u64) -> Transferred {
        Transferred { pieces: word >> BYTE_BITS, bytes: word & ((1 << BYTE_BITS) - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::Transferred;
    use crate::{MAX_PIECES, USER_END};

    #[test]
    fn every_end_of_a_transfer_fits_its_word() {
        for pieces in 0..=MAX_PIECES {
            for bytes in [0, 1, USER_END, 1 << 48] {
                let end = Transferred { pieces, bytes };
                assert_eq!(Transferred::from_word(end.to_word()), end);
            }
        }
        assert_eq!(Transferred::default().to_word(), 0);
    }
}
