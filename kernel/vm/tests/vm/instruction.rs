//! What instruction words mean, against words that an assembler made of the mnemonics beside them
//! (`llvm-mc -triple=aarch64 -mattr=+v8.7a,+mte,+lse,+ls64,+mops --show-encoding`).

use vellum_vm::instruction::Instruction::{
    self, Atomic, Exclusive, Load, Other, Store, Tags, ZeroBlock,
};
use vellum_vm::instruction::Operand;

/// At a distance from a base register: not checked through SP, which is 31.
const fn at(bytes: u8, base: u8, distance: i32) -> Operand {
    Operand { bytes, checked: base != 31, base: Some(base), displacement: Some(distance) }
}

/// With a change of the base register: always checked.
const fn moving(bytes: u8, base: u8, distance: i32) -> Operand {
    Operand { bytes, checked: true, base: Some(base), displacement: Some(distance) }
}

/// With a register added to the base: always checked.
const fn indexed(bytes: u8, base: u8) -> Operand {
    Operand { bytes, checked: true, base: Some(base), displacement: None }
}

/// At a distance from the program counter: never checked.
const fn literal(bytes: u8, distance: i32) -> Operand {
    Operand { bytes, checked: false, base: None, displacement: Some(distance) }
}

#[rustfmt::skip]
const WORDS: &[(u32, &str, Instruction)] = &[
    (0x3940_0041, "ldrb w1, [x2]", Load(at(1, 2, 0))),
    (0x3900_015f, "strb wzr, [x10]", Store(at(1, 10, 0))),
    (0x39bf_fc41, "ldrsb x1, [x2, #4095]", Load(at(1, 2, 4095))),
    (0x39c0_0441, "ldrsb w1, [x2, #1]", Load(at(1, 2, 1))),
    (0x7940_0483, "ldrh w3, [x4, #2]", Load(at(2, 4, 2))),
    (0x793f_fc83, "strh w3, [x4, #8190]", Store(at(2, 4, 8190))),
    (0x7980_0083, "ldrsh x3, [x4]", Load(at(2, 4, 0))),
    (0x79c0_0083, "ldrsh w3, [x4]", Load(at(2, 4, 0))),
    (0xb97f_fcc5, "ldr w5, [x6, #16380]", Load(at(4, 6, 16380))),
    (0xb900_00c5, "str w5, [x6]", Store(at(4, 6, 0))),
    (0xb980_04c5, "ldrsw x5, [x6, #4]", Load(at(4, 6, 4))),
    (0xf97f_fd07, "ldr x7, [x8, #32760]", Load(at(8, 8, 32760))),
    (0xf900_0507, "str x7, [x8, #8]", Store(at(8, 8, 8))),
    (0xf940_07e7, "ldr x7, [sp, #8]", Load(at(8, 31, 8))),
    (0xf900_03e7, "str x7, [sp]", Store(at(8, 31, 0))),
    (0x393f_ffe0, "strb w0, [sp, #4095]", Store(at(1, 31, 4095))),
    (0xf980_0420, "prfm pldl1keep, [x1, #8]", Other),
    (0x3d40_0420, "ldr b0, [x1, #1]", Load(at(1, 1, 1))),
    (0x7d00_0420, "str h0, [x1, #2]", Store(at(2, 1, 2))),
    (0xbd40_0420, "ldr s0, [x1, #4]", Load(at(4, 1, 4))),
    (0xfd00_0420, "str d0, [x1, #8]", Store(at(8, 1, 8))),
    (0x3dff_fc20, "ldr q0, [x1, #65520]", Load(at(16, 1, 65520))),
    (0x3d80_07e0, "str q0, [sp, #16]", Store(at(16, 31, 16))),
    (0xf850_0041, "ldur x1, [x2, #-256]", Load(at(8, 2, -256))),
    (0xf80f_f041, "stur x1, [x2, #255]", Store(at(8, 2, 255))),
    (0x385f_f041, "ldurb w1, [x2, #-1]", Load(at(1, 2, -1))),
    (0xb880_3041, "ldursw x1, [x2, #3]", Load(at(4, 2, 3))),
    (0x781f_e3e1, "sturh w1, [sp, #-2]", Store(at(2, 31, -2))),
    (0x3cdf_0041, "ldur q1, [x2, #-16]", Load(at(16, 2, -16))),
    (0x3c9f_03e1, "stur q1, [sp, #-16]", Store(at(16, 31, -16))),
    (0xf89f_f020, "prfum pldl1keep, [x1, #-1]", Other),
    (0xf840_8841, "ldtr x1, [x2, #8]", Load(at(8, 2, 8))),
    (0x381f_8841, "sttrb w1, [x2, #-8]", Store(at(1, 2, -8))),
    (0xf800_8be1, "sttr x1, [sp, #8]", Store(at(8, 31, 8))),
    (0xb880_0841, "ldtrsw x1, [x2]", Load(at(4, 2, 0))),
    (0xf840_8441, "ldr x1, [x2], #8", Load(moving(8, 2, 0))),
    (0xf810_0441, "str x1, [x2], #-256", Store(moving(8, 2, 0))),
    (0x3800_1441, "strb w1, [x2], #1", Store(moving(1, 2, 0))),
    (0x3cc1_0441, "ldr q1, [x2], #16", Load(moving(16, 2, 0))),
    (0xf801_07e1, "str x1, [sp], #16", Store(moving(8, 31, 0))),
    (0xf840_8c41, "ldr x1, [x2, #8]!", Load(moving(8, 2, 8))),
    (0xf81f_0c41, "str x1, [x2, #-16]!", Store(moving(8, 2, -16))),
    (0x789f_ec41, "ldrsh x1, [x2, #-2]!", Load(moving(2, 2, -2))),
    (0xf81f_0fe1, "str x1, [sp, #-16]!", Store(moving(8, 31, -16))),
    (0x3c9f_0fe1, "str q1, [sp, #-16]!", Store(moving(16, 31, -16))),
    (0xf863_6841, "ldr x1, [x2, x3]", Load(indexed(8, 2))),
    (0xf863_7841, "ldr x1, [x2, x3, lsl #3]", Load(indexed(8, 2))),
    (0xb823_d841, "str w1, [x2, w3, sxtw #2]", Store(indexed(4, 2))),
    (0x3823_6be1, "strb w1, [sp, x3]", Store(indexed(1, 31))),
    (0x3ce3_7841, "ldr q1, [x2, x3, lsl #4]", Load(indexed(16, 2))),
    (0xfc23_4be1, "str d1, [sp, w3, uxtw]", Store(indexed(8, 31))),
    (0xf8a2_6820, "prfm pldl1keep, [x1, x2]", Other),
    (0x5800_0041, "ldr x1, .+8", Load(literal(8, 8))),
    (0x18ff_ffe1, "ldr w1, .-4", Load(literal(4, -4))),
    (0x987f_ffe1, "ldrsw x1, .+1048572", Load(literal(4, 1048572))),
    (0x9c00_0081, "ldr q1, .+16", Load(literal(16, 16))),
    (0x1c00_0081, "ldr s1, .+16", Load(literal(4, 16))),
    (0xd800_0040, "prfm pldl1keep, .+8", Other),
    (0xa940_0861, "ldp x1, x2, [x3]", Load(at(16, 3, 0))),
    (0xa91f_8861, "stp x1, x2, [x3, #504]", Store(at(16, 3, 504))),
    (0xa920_0861, "stp x1, x2, [x3, #-512]", Store(at(16, 3, -512))),
    (0x297f_8861, "ldp w1, w2, [x3, #-4]", Load(at(8, 3, -4))),
    (0x291f_8861, "stp w1, w2, [x3, #252]", Store(at(8, 3, 252))),
    (0x6941_0861, "ldpsw x1, x2, [x3, #8]", Load(at(8, 3, 8))),
    (0x68c1_0861, "ldpsw x1, x2, [x3], #8", Load(moving(8, 3, 0))),
    (0xa8c1_0861, "ldp x1, x2, [x3], #16", Load(moving(16, 3, 0))),
    (0xa9bf_0861, "stp x1, x2, [x3, #-16]!", Store(moving(16, 3, -16))),
    (0xa9be_7bfd, "stp x29, x30, [sp, #-32]!", Store(moving(16, 31, -32))),
    (0xa902_7bfd, "stp x29, x30, [sp, #32]", Store(at(16, 31, 32))),
    (0xa8c2_7bfd, "ldp x29, x30, [sp], #32", Load(moving(16, 31, 0))),
    (0xa841_0861, "ldnp x1, x2, [x3, #16]", Load(at(16, 3, 16))),
    (0xa801_0be1, "stnp x1, x2, [sp, #16]", Store(at(16, 31, 16))),
    (0xac3f_0861, "stnp q1, q2, [x3, #-32]", Store(at(32, 3, -32))),
    (0xad5f_8861, "ldp q1, q2, [x3, #1008]", Load(at(32, 3, 1008))),
    (0xac88_0861, "stp q1, q2, [x3], #256", Store(moving(32, 3, 0))),
    (0xad01_0be1, "stp q1, q2, [sp, #32]", Store(at(32, 31, 32))),
    (0x6d40_8861, "ldp d1, d2, [x3, #8]", Load(at(16, 3, 8))),
    (0x2dff_0861, "ldp s1, s2, [x3, #-8]!", Load(moving(8, 3, -8))),
    (0x6900_8861, "stgp x1, x2, [x3, #16]", Tags),
    (0x6880_8861, "stgp x1, x2, [x3], #16", Tags),
    (0x69bf_8861, "stgp x1, x2, [x3, #-16]!", Tags),
    (0xd920_0841, "stg x1, [x2]", Tags),
    (0xd920_1441, "stg x1, [x2], #16", Tags),
    (0xd93f_fc41, "stg x1, [x2, #-16]!", Tags),
    (0xd920_0bff, "stg sp, [sp]", Tags),
    (0xd9a0_2841, "st2g x1, [x2, #32]", Tags),
    (0xd9a0_2441, "st2g x1, [x2], #32", Tags),
    (0xd960_0841, "stzg x1, [x2]", Tags),
    (0xd960_1c41, "stzg x1, [x2, #16]!", Tags),
    (0xd9e0_0841, "stz2g x1, [x2]", Tags),
    (0xd960_1041, "ldg x1, [x2, #16]", Tags),
    (0xd9e0_0041, "ldgm x1, [x2]", Tags),
    (0xd9a0_0041, "stgm x1, [x2]", Tags),
    (0xd920_0041, "stzgm x1, [x2]", Tags),
    (0xd50b_7421, "dc zva, x1", ZeroBlock),
    (0xd50b_7461, "dc gva, x1", Tags),
    (0xd50b_749e, "dc gzva, x30", Tags),
    (0xd50b_7a21, "dc cvac, x1", Other),
    (0xd50b_7e21, "dc civac, x1", Other),
    (0xc85f_7c41, "ldxr x1, [x2]", Exclusive),
    (0x885f_fc41, "ldaxr w1, [x2]", Exclusive),
    (0x085f_7c41, "ldxrb w1, [x2]", Exclusive),
    (0xc800_7c41, "stxr w0, x1, [x2]", Exclusive),
    (0x4800_fc41, "stlxrh w0, w1, [x2]", Exclusive),
    (0xc87f_0861, "ldxp x1, x2, [x3]", Exclusive),
    (0x8820_0861, "stxp w0, w1, w2, [x3]", Exclusive),
    (0xc820_8861, "stlxp w0, x1, x2, [x3]", Exclusive),
    (0x887f_8861, "ldaxp w1, w2, [x3]", Exclusive),
    (0xc8df_fc41, "ldar x1, [x2]", Load(at(8, 2, 0))),
    (0x08df_fc41, "ldarb w1, [x2]", Load(at(1, 2, 0))),
    (0xc89f_fc41, "stlr x1, [x2]", Store(at(8, 2, 0))),
    (0x489f_ffe1, "stlrh w1, [sp]", Store(at(2, 31, 0))),
    (0xc8df_7c41, "ldlar x1, [x2]", Load(at(8, 2, 0))),
    (0x889f_7c41, "stllr w1, [x2]", Store(at(4, 2, 0))),
    (0xf8bf_c041, "ldapr x1, [x2]", Load(at(8, 2, 0))),
    (0x38bf_c3e1, "ldaprb w1, [sp]", Load(at(1, 31, 0))),
    (0xd95f_8041, "ldapur x1, [x2, #-8]", Load(at(8, 2, -8))),
    (0x9980_8041, "ldapursw x1, [x2, #8]", Load(at(4, 2, 8))),
    (0x19c0_0041, "ldapursb w1, [x2]", Load(at(1, 2, 0))),
    (0xd90f_f041, "stlur x1, [x2, #255]", Store(at(8, 2, 255))),
    (0x1900_13e1, "stlurb w1, [sp, #1]", Store(at(1, 31, 1))),
    (0x88a0_7c41, "cas w0, w1, [x2]", Atomic(at(4, 2, 0))),
    (0xc8e0_7c41, "casa x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xc8e0_fc41, "casal x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xc8a0_ffe1, "casl x0, x1, [sp]", Atomic(at(8, 31, 0))),
    (0x08a0_7c41, "casb w0, w1, [x2]", Atomic(at(1, 2, 0))),
    (0x48e0_fc41, "casalh w0, w1, [x2]", Atomic(at(2, 2, 0))),
    (0x4820_7c82, "casp x0, x1, x2, x3, [x4]", Atomic(at(16, 4, 0))),
    (0x0820_7c82, "casp w0, w1, w2, w3, [x4]", Atomic(at(8, 4, 0))),
    (0x4860_ffe2, "caspal x0, x1, x2, x3, [sp]", Atomic(at(16, 31, 0))),
    (0x0820_fc82, "caspl w0, w1, w2, w3, [x4]", Atomic(at(8, 4, 0))),
    (0x4860_7c82, "caspa x0, x1, x2, x3, [x4]", Atomic(at(16, 4, 0))),
    (0xf820_8041, "swp x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xb8e0_8041, "swpal w0, w1, [x2]", Atomic(at(4, 2, 0))),
    (0x38a0_8041, "swpab w0, w1, [x2]", Atomic(at(1, 2, 0))),
    (0x7860_83e1, "swplh w0, w1, [sp]", Atomic(at(2, 31, 0))),
    (0xf820_0041, "ldadd x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xb8e0_0041, "ldaddal w0, w1, [x2]", Atomic(at(4, 2, 0))),
    (0x38a0_0041, "ldaddab w0, w1, [x2]", Atomic(at(1, 2, 0))),
    (0xf820_1041, "ldclr x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xf860_2041, "ldeorl x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0xb8a0_3041, "ldseta w0, w1, [x2]", Atomic(at(4, 2, 0))),
    (0xf820_4041, "ldsmax x0, x1, [x2]", Atomic(at(8, 2, 0))),
    (0x7820_5041, "ldsminh w0, w1, [x2]", Atomic(at(2, 2, 0))),
    (0x38e0_6041, "ldumaxalb w0, w1, [x2]", Atomic(at(1, 2, 0))),
    (0xf820_73e1, "ldumin x0, x1, [sp]", Atomic(at(8, 31, 0))),
    (0xf820_005f, "stadd x0, [x2]", Atomic(at(8, 2, 0))),
    (0xb860_005f, "staddl w0, [x2]", Atomic(at(4, 2, 0))),
    (0x3820_105f, "stclrb w0, [x2]", Atomic(at(1, 2, 0))),
    (0x7820_205f, "steorh w0, [x2]", Atomic(at(2, 2, 0))),
    (0xf820_305f, "stset x0, [x2]", Atomic(at(8, 2, 0))),
    (0xf820_405f, "stsmax x0, [x2]", Atomic(at(8, 2, 0))),
    (0xb820_505f, "stsmin w0, [x2]", Atomic(at(4, 2, 0))),
    (0xf820_605f, "stumax x0, [x2]", Atomic(at(8, 2, 0))),
    (0xf820_73ff, "stumin x0, [sp]", Atomic(at(8, 31, 0))),
    (0xf820_1441, "ldraa x1, [x2, #8]", Other),
    (0xf8ff_fc41, "ldrab x1, [x2, #-8]!", Other),
    (0xf83f_d040, "ld64b x0, [x2]", Other),
    (0xf83f_9040, "st64b x0, [x2]", Other),
    (0xf821_b040, "st64bv x1, x0, [x2]", Other),
    (0x4c40_7020, "ld1 {v0.16b}, [x1]", Other),
    (0x4c9f_2020, "st1 {v0.16b, v1.16b, v2.16b, v3.16b}, [x1], #64", Other),
    (0x0d60_2c20, "ld4 {v0.b, v1.b, v2.b, v3.b}[3], [x1]", Other),
    (0x4d40_c820, "ld1r {v0.4s}, [x1]", Other),
    (0x8b02_0020, "add x0, x1, x2", Other),
    (0xd503_201f, "nop", Other),
    (0x1400_0001, "b .+4", Other),
    (0xd400_0001, "svc #0", Other),
    (0xd53b_4200, "mrs x0, nzcv", Other),
    (0x1e62_2820, "fadd d0, d1, d2", Other),
    (0x4f00_e420, "movi v0.16b, #1", Other),
    (0x9ac2_1020, "irg x0, x1, x2", Other),
    (0x9181_0420, "addg x0, x1, #16, #1", Other),
    (0x1901_0440, "cpyfp [x0]!, [x1]!, x2!", Other),
    (0x1d01_0440, "cpyp [x0]!, [x1]!, x2!", Other),
    (0x19c2_0420, "setp [x0]!, x1!, x2", Other),
    (0x1dc2_0420, "setgp [x0]!, x1!, x2", Other),
];

#[test]
fn words_of_the_assembler_mean_what_their_mnemonics_say() {
    for (word, text, meaning) in WORDS {
        assert_eq!(Instruction::decode(*word), *meaning, "{word:08x} {text}");
    }
}

fn operand(instruction: Instruction) -> Option<Operand> {
    match instruction {
        Load(operand) | Store(operand) | Atomic(operand) => Some(operand),
        Exclusive | Tags | ZeroBlock | Other => None,
    }
}

/// Every combination of the bits that decide, with registers of every kind around them.
fn every_encoding() -> impl Iterator<Item = u32> {
    let registers = [0, 0x001f_0000, 0x001f_7c00, 0x0008_1000, 0x0011_4400];
    (0..1 << 11).flat_map(move |high: u32| {
        registers.into_iter().flat_map(move |middle| {
            (0..64).flat_map(move |low: u32| {
                [0, 7, 31].map(|base| high << 21 | middle ^ low << 10 | base << 5 | 3)
            })
        })
    })
}

#[test]
fn an_access_is_small_and_only_loads_and_stores_have_one() {
    let mut seen = 0;
    for word in every_encoding() {
        let Some(operand) = operand(Instruction::decode(word)) else { continue };
        seen += 1;
        assert_eq!(word >> 25 & 0b101, 0b100, "{word:08x}");
        assert!(operand.bytes.is_power_of_two() && operand.bytes <= 32, "{word:08x}");
        assert!(operand.base.is_none_or(|base| u32::from(base) == word >> 5 & 31), "{word:08x}");
        let distance = operand.displacement.unwrap_or(0);
        assert!(distance.abs() < 1 << 21, "{word:08x}");
        let stack = operand.base == Some(31);
        assert!(operand.checked || stack || operand.base.is_none(), "{word:08x}");
    }
    assert!(seen > 100_000, "{seen} accesses");
}

#[test]
fn the_registers_that_are_moved_change_nothing_about_the_access() {
    for word in every_encoding() {
        let meaning = Instruction::decode(word);
        if let Load(_) | Store(_) = meaning {
            assert_eq!(Instruction::decode(word & !31), meaning, "{word:08x}");
        }
    }
}

#[test]
fn of_what_looks_like_ldapr_all_but_one_encoding_are_unknown() {
    // Bits 23:16 are A, R, a bit that the group has set, and Rs.
    for fields in 0..0x100 {
        for size in 0..4 {
            let word = size << 30 | 0x3820_c041 | fields << 16;
            let meant = if word >> 16 & 0xff == 0xbf { Load(at(1 << size, 2, 0)) } else { Other };
            assert_eq!(Instruction::decode(word), meant, "{word:08x}");
        }
    }
}
