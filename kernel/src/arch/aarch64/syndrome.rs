//! Syndromes in words, for whoever reads a panic.
//!
//! Owns: names of exception classes and fault statuses (Arm ARM, "ESR_EL1"). Refuses to know: what
//! to do about them; faults of programs are decoded by `vellum-vm`.

/// Returns the name of the exception class of a syndrome.
pub fn class_name(esr: u64) -> &'static str {
    match esr >> 26 & 0x3f {
        0x00 => "undefined instruction",
        0x07 => "trapped FP, SIMD or SVE instruction",
        0x0e => "illegal execution state",
        0x15 => "system call",
        0x18 => "trapped system register or instruction",
        0x20 => "instruction abort from EL0",
        0x21 => "instruction abort",
        0x22 => "PC alignment fault",
        0x24 => "data abort from EL0",
        0x25 => "data abort",
        0x26 => "SP alignment fault",
        0x27 => "memory copy or set exception",
        0x2f => "system error",
        0x30 | 0x31 => "breakpoint",
        0x32 | 0x33 => "software step",
        0x34 | 0x35 => "watchpoint",
        0x3c => "BRK instruction",
        _ => "exception of an unknown class",
    }
}

/// Returns whether a syndrome is of a data abort by a synchronous tag check fault.
pub fn is_tag_check(esr: u64) -> bool {
    matches!(esr >> 26 & 0x3f, 0x24 | 0x25) && esr & 0x3f == 0x11
}

/// Tells an abort's access, cause and level, as one line. Nothing for other classes.
pub fn describe_abort(esr: u64, line_fn: impl FnOnce(core::fmt::Arguments<'_>)) {
    let class = esr >> 26 & 0x3f;
    let access = match class {
        0x20 | 0x21 => "execute",
        0x24 | 0x25 if esr & 1 << 8 != 0 => "cache maintenance",
        0x24 | 0x25 if esr & 1 << 6 != 0 => "write",
        0x24 | 0x25 => "read",
        _ => return,
    };
    let status = esr & 0x3f;
    let cause = match status {
        0x00..=0x03 => "address size fault",
        0x04..=0x07 => "translation fault",
        0x08..=0x0b => "access flag fault",
        0x0c..=0x0f => "permission fault",
        0x10 => "external abort",
        0x11 => return line_fn(format_args!("{access}: tag check fault")),
        0x14..=0x17 => "external abort on a table walk",
        0x21 => return line_fn(format_args!("{access}: alignment fault")),
        0x30 => return line_fn(format_args!("{access}: TLB conflict")),
        _ => return line_fn(format_args!("{access}: fault status {status:#04x}")),
    };
    line_fn(format_args!("{access}: {cause}, level {}", status & 3));
}
