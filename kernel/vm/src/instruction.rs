//! What an A64 instruction does to memory, as far as the fault handler may want to know: pure.
//!
//! Owns: the encodings of loads and stores (Arm ARM, "Loads and Stores" in "A64 Instruction Set
//! Encoding") and which of them are tag-checked (Arm ARM, "Tag checking" of the Memory Tagging
//! Extension). Refuses to know: why somebody asks. The invariant that others rely on: what is not
//! known for sure is [`Instruction::Other`], and never guessed.

/// The number that means SP as a base register.
const STACK_POINTER: u8 = 31;

/// What an instruction does to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Loads one or two registers.
    Load(Operand),
    /// Stores one or two registers.
    Store(Operand),
    /// Reads and writes in one: `LD<op>`, `ST<op>`, `SWP`, `CAS`, `CASP`.
    Atomic(Operand),
    /// Loads or stores exclusively: one half of a read-modify-write.
    Exclusive,
    /// Loads, stores or clears allocation tags, never checked: `STG` and its family, `LDG`,
    /// `DC GVA`, `DC GZVA`.
    Tags,
    /// Zeroes a block, tag-checked by the block: `DC ZVA`.
    ZeroBlock,
    /// Anything else: no access, or one that this module does not know.
    Other,
}

/// What an access reaches, and how it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Bytes that are reached, all registers together.
    pub bytes: u8,
    /// Whether logical and allocation tag are compared.
    pub checked: bool,
    /// The base register: 31 is SP, `None` the program counter.
    pub base: Option<u8>,
    /// The distance of the first byte from the base; `None` if another register adds to it.
    pub displacement: Option<i32>,
}

impl Instruction {
    /// Decodes an instruction word.
    #[must_use]
    pub const fn decode(word: u32) -> Instruction {
        // Loads and stores have bit 27 set and bit 25 clear.
        if word >> 25 & 0b101 != 0b100 {
            return system(word);
        }
        match (word >> 28 & 0b11, word >> 24 & 1) {
            (0b00, 0) if bit(word, 26) == 0 => ordered(word),
            (0b01, 0) => literal(word),
            (0b01, 1) if bit(word, 26) == 0 => unscaled_or_tags(word),
            (0b10, _) => pair(word),
            (0b11, 1) => scaled(word),
            (0b11, 0) if bit(word, 21) == 0 => indexed(word),
            (0b11, 0) if word >> 10 & 0b11 == 0b10 => register_offset(word),
            (0b11, 0) if word >> 10 & 0b11 == 0b00 => atomic(word),
            _ => Instruction::Other,
        }
    }
}

const fn bit(word: u32, index: u32) -> u32 {
    word >> index & 1
}

/// Returns Rn, the base register.
const fn base(word: u32) -> u8 {
    (word >> 5 & 31) as u8
}

/// Returns the signed number in `width` bits from `low` on.
const fn signed(word: u32, low: u32, width: u32) -> i32 {
    (word << (32 - low - width)) as i32 >> (32 - width)
}

/// An access at a distance from the base register that the instruction itself says. Through SP it
/// is not checked.
const fn at_distance(word: u32, bytes: u8, displacement: i32) -> Operand {
    let base = base(word);
    let checked = base != STACK_POINTER;
    Operand { bytes, checked, base: Some(base), displacement: Some(displacement) }
}

/// An access that changes its base register or adds another one: always checked.
const fn computed(word: u32, bytes: u8, displacement: Option<i32>) -> Operand {
    Operand { bytes, checked: true, base: Some(base(word)), displacement }
}

const fn transfer(loads: bool, operand: Operand) -> Instruction {
    if loads { Instruction::Load(operand) } else { Instruction::Store(operand) }
}

/// `DC ZVA`, `DC GVA`, `DC GZVA`: system instructions with op1 3, CRn 7, CRm 4.
const fn system(word: u32) -> Instruction {
    match word & !31 {
        0xd50b_7420 => Instruction::ZeroBlock,
        0xd50b_7460 | 0xd50b_7480 => Instruction::Tags,
        _ => Instruction::Other,
    }
}

/// "Load/store exclusive", "load/store ordered", "compare and swap".
const fn ordered(word: u32) -> Instruction {
    let size = word >> 30;
    let second = word >> 10 & 31;
    match (bit(word, 23), bit(word, 21)) {
        (0, 0) => Instruction::Exclusive,
        (0, _) if size >= 2 => Instruction::Exclusive,
        (0, _) if second == 31 => Instruction::Atomic(at_distance(word, 8 << size, 0)),
        (_, 0) if second == 31 && word >> 16 & 31 == 31 => {
            transfer(bit(word, 22) == 1, at_distance(word, 1 << size, 0))
        }
        (1, 1) if second == 31 => Instruction::Atomic(at_distance(word, 1 << size, 0)),
        _ => Instruction::Other,
    }
}

/// "Load register (literal)": through the program counter, not checked.
const fn literal(word: u32) -> Instruction {
    let bytes = match (bit(word, 26), word >> 30) {
        (0, 0b00 | 0b10) | (1, 0b00) => 4,
        (0, 0b01) | (1, 0b01) => 8,
        (1, 0b10) => 16,
        // PRFM, which never faults, and what is not allocated.
        _ => return Instruction::Other,
    };
    let displacement = Some(signed(word, 5, 19) * 4);
    Instruction::Load(Operand { bytes, checked: false, base: None, displacement })
}

/// "LDAPR/STLR (unscaled immediate)" and "load/store memory tags".
const fn unscaled_or_tags(word: u32) -> Instruction {
    let size = word >> 30;
    if bit(word, 21) == 1 {
        return if size == 3 { Instruction::Tags } else { Instruction::Other };
    }
    if word >> 10 & 0b11 != 0b00 {
        return Instruction::Other;
    }
    general(word, size, at_distance(word, 1 << size, signed(word, 12, 9)))
}

/// A transfer of one general register, told by size and opc (bits 23:22): store, load, load with
/// sign to 64 bits, load with sign to 32 bits. What is left are prefetches and holes.
const fn general(word: u32, size: u32, operand: Operand) -> Instruction {
    match word >> 22 & 0b11 {
        0b00 => Instruction::Store(operand),
        0b10 if size == 3 => Instruction::Other,
        0b11 if size >= 2 => Instruction::Other,
        _ => Instruction::Load(operand),
    }
}

/// Returns the bytes of one general or SIMD register in "load/store register", 0 where there is
/// none.
const fn register_bytes(word: u32) -> u8 {
    let size = word >> 30;
    match (bit(word, 26), bit(word, 23)) {
        (0, _) | (1, 0) => 1 << size,
        (_, _) if size == 0 => 16,
        _ => 0,
    }
}

/// A transfer of one general or SIMD register.
const fn register(word: u32, operand: Operand) -> Instruction {
    if bit(word, 26) == 1 {
        return transfer(bit(word, 22) == 1, operand);
    }
    general(word, word >> 30, operand)
}

/// "Load/store register (unsigned immediate)".
const fn scaled(word: u32) -> Instruction {
    let bytes = register_bytes(word);
    if bytes == 0 {
        return Instruction::Other;
    }
    let distance = (word >> 10 & 0xfff) as i32 * bytes as i32;
    register(word, at_distance(word, bytes, distance))
}

/// "Load/store register" unscaled, post-indexed, unprivileged, pre-indexed.
const fn indexed(word: u32) -> Instruction {
    let (bytes, distance) = (register_bytes(word), signed(word, 12, 9));
    let operand = match word >> 10 & 0b11 {
        _ if bytes == 0 => return Instruction::Other,
        0b00 => at_distance(word, bytes, distance),
        0b01 => computed(word, bytes, Some(0)),
        0b10 if bit(word, 26) == 0 => at_distance(word, bytes, distance),
        0b10 => return Instruction::Other,
        _ => computed(word, bytes, Some(distance)),
    };
    register(word, operand)
}

/// "Load/store register (register offset)"; option 0xx is not allocated.
const fn register_offset(word: u32) -> Instruction {
    let bytes = register_bytes(word);
    if bytes == 0 || bit(word, 14) == 0 {
        return Instruction::Other;
    }
    register(word, computed(word, bytes, None))
}

/// "Atomic memory operations": eight operations, `SWP`, and `LDAPR` among them.
const fn atomic(word: u32) -> Instruction {
    let operand = at_distance(word, 1 << (word >> 30), 0);
    match (bit(word, 26), bit(word, 15), word >> 12 & 0b111) {
        (0, 0, _) | (0, 1, 0b000) => Instruction::Atomic(operand),
        // A=1, R=0, Rs=31.
        (0, 1, 0b100) if word >> 16 & 0xff == 0b1011_1111 => Instruction::Load(operand),
        _ => Instruction::Other,
    }
}

/// "Load/store register pair", in all four modes; among them `STGP`, which is never checked.
const fn pair(word: u32) -> Instruction {
    let mode = word >> 23 & 0b11;
    let (loads, no_allocate) = (bit(word, 22) == 1, mode == 0b00);
    // Bytes of one register.
    let bytes = match (bit(word, 26), word >> 30) {
        (0, 0b00) | (1, 0b00) => 4,
        (0, 0b01) if no_allocate => return Instruction::Other,
        (0, 0b01) if !loads => return Instruction::Tags,
        (0, 0b01) => 4,
        (0, 0b10) | (1, 0b01) => 8,
        (1, 0b10) => 16,
        _ => return Instruction::Other,
    };
    let distance = signed(word, 15, 7) * bytes as i32;
    let operand = match mode {
        0b01 => computed(word, 2 * bytes, Some(0)),
        0b11 => computed(word, 2 * bytes, Some(distance)),
        _ => at_distance(word, 2 * bytes, distance),
    };
    transfer(loads, operand)
}
