//! The registers of a thread, as the calls that read and write them see them.

/// Which registers `thread_read_registers` and `thread_write_registers` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RegisterSet {
    /// A [`Registers`] record.
    General = 0,
    /// A [`VectorRegisters`] record.
    Vectors = 1,
}

impl RegisterSet {
    /// Returns the set with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<RegisterSet> {
        match number {
            0 => Some(RegisterSet::General),
            1 => Some(RegisterSet::Vectors),
            _ => None,
        }
    }
}

/// A stopped thread's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer (SP_EL0).
    pub sp: u64,
    /// The next instruction (ELR_EL1).
    pub pc: u64,
    /// Condition flags and tag check override: bits N, Z, C, V and TCO of SPSR_EL1, no others.
    pub pstate: u64,
    /// The thread pointer (TPIDR_EL0).
    pub tpidr: u64,
}

impl Registers {
    /// How many words the record has.
    pub const WORDS: usize = 35;
    /// The bits that `pstate` may have.
    pub const PSTATE_MASK: u64 = 0xf << 28 | 1 << 25;
    /// Every register zero.
    pub const ZERO: Registers = Registers { x: [0; 31], sp: 0, pc: 0, pstate: 0, tpidr: 0 };

    /// Returns the record as words.
    #[must_use]
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[..31].copy_from_slice(&self.x);
        words[31..].copy_from_slice(&[self.sp, self.pc, self.pstate, self.tpidr]);
        words
    }

    /// Returns the record that `words` hold.
    #[must_use]
    pub fn from_words(words: &[u64; Self::WORDS]) -> Registers {
        let mut registers = Registers::ZERO;
        registers.x.copy_from_slice(&words[..31]);
        [registers.sp, registers.pc, registers.pstate, registers.tpidr] =
            [words[31], words[32], words[33], words[34]];
        registers
    }
}

/// The FP and SIMD registers of a thread, and what its random tags go on from. How its tag checks fault
/// is [`crate::TagControl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorRegisters {
    /// Q0 to Q31, the lower half first.
    pub q: [[u64; 2]; 32],
    /// FPCR.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
    /// RGSR_EL1: SEED and TAG, no other bits.
    pub random: u64,
}

impl VectorRegisters {
    /// How many words the record has.
    pub const WORDS: usize = 67;
    /// The bits that `random` may have.
    pub const RANDOM_MASK: u64 = 0xffff << 8 | 0xf;
    /// Every register zero.
    pub const ZERO: VectorRegisters =
        VectorRegisters { q: [[0; 2]; 32], fpcr: 0, fpsr: 0, random: 0 };

    /// Returns the record as words.
    #[must_use]
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[..64].copy_from_slice(self.q.as_flattened());
        words[64..].copy_from_slice(&[self.fpcr, self.fpsr, self.random]);
        words
    }

    /// Returns the record that `words` hold.
    #[must_use]
    pub fn from_words(words: &[u64; Self::WORDS]) -> VectorRegisters {
        let q = core::array::from_fn(|index| [words[2 * index], words[2 * index + 1]]);
        VectorRegisters { q, fpcr: words[64], fpsr: words[65], random: words[66] }
    }
}

#[cfg(test)]
mod tests {
    use super::VectorRegisters;

    #[test]
    fn vector_registers_convert_back() {
        let words = core::array::from_fn(|index| index as u64 * 3);
        assert_eq!(VectorRegisters::from_words(&words).to_words(), words);
    }
}
