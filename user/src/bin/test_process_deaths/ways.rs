//! Ways to die, and what the report of each must say.

use crate::routines::{
    deadly_acquire, deadly_breakpoint, deadly_counter, deadly_exclusive, deadly_identity,
    deadly_jump, deadly_load, deadly_mask, deadly_pair, deadly_privileged, deadly_push,
    deadly_release, deadly_store, deadly_tag, deadly_touch, deadly_undefined, deadly_vector,
};
use FaultAccess::{Execute, Read, Write};
use Place::{Address, Code};
use vellum_user::abi::{ExitKind, ExitReport, FaultAccess, PAGE_SIZE};
use vellum_user::loader::layout::STACK_START;

/// A page that can be read and written.
pub(crate) const DATA: u64 = 0x50_0000_0000;
/// A page that can be read and was.
pub(crate) const READ_ONLY: u64 = 0x50_0010_0000;
/// A page that can be read and was not.
pub(crate) const UNTOUCHED: u64 = 0x50_0020_0000;
/// A page that cannot be accessed.
pub(crate) const NO_ACCESS: u64 = 0x50_0030_0000;
/// A page of [`MEMORY_TAG`], written.
pub(crate) const TAGGED: u64 = 0x50_0040_0000;
/// A page of [`MEMORY_TAG`], untouched.
pub(crate) const FRESH: u64 = 0x50_0050_0000;
/// Where nothing is.
const HOLE: u64 = 0x50_0060_0000;
/// Writable memory without end, as far as this machine can tell.
pub(crate) const ENDLESS: u64 = 0x60_0000_0000;
/// The length of [`ENDLESS`]: 64 GiB.
pub(crate) const ENDLESS_BYTES: usize = 64 << 30;
/// The tag of the tagged pages.
pub(crate) const MEMORY_TAG: u8 = 5;

/// Exception classes (ESR_EL1.EC; Arm ARM, "ESR_EL1, Exception Syndrome Register").
const UNKNOWN: u64 = 0x00;
const SYSTEM_REGISTER: u64 = 0x18;
const SVE: u64 = 0x19;
const INSTRUCTION_ABORT: u64 = 0x20;
const PC_ALIGNMENT: u64 = 0x22;
const DATA_ABORT: u64 = 0x24;
const BRK: u64 = 0x3c;

/// The signature of the routines.
type Routine = unsafe extern "C" fn(u64, u64);

/// An address, known before or of a routine.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// This one.
    Address(u64),
    /// So many bytes behind the start of a routine.
    Code(Routine, u64),
}

impl Place {
    pub(crate) fn value(self) -> u64 {
        match self {
            Address(address) => address,
            Code(routine, offset) => routine as usize as u64 + offset,
        }
    }
}

/// What a machine must have for a way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing special.
    Nothing,
    /// Memory tagging.
    Tags,
}

/// What of a report nobody knows in advance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loose {
    /// Nothing.
    Nothing,
    /// How far the memory goes.
    Address,
    /// Load or store: QEMU calls an unaligned exclusive load a store (WnR), hardware a load.
    Access,
}

/// A way to die.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    /// Called with `first` and `second`.
    pub(crate) routine: Routine,
    pub(crate) first: Place,
    pub(crate) second: u64,
    pub(crate) kind: ExitKind,
    pub(crate) address: Place,
    pub(crate) access: FaultAccess,
    pub(crate) pc: Place,
    /// Exception classes that the syndrome may have.
    pub(crate) classes: &'static [u64],
    /// Logical and allocation tag.
    pub(crate) tags: (u64, u64),
    pub(crate) loose: Loose,
}

/// Returns a way in which one access goes wrong at the routine's first instruction.
const fn access(
    name: &'static str,
    routine: Routine,
    address: u64,
    access: FaultAccess,
    kind: ExitKind,
) -> Way {
    Way {
        name,
        needs: Needs::Nothing,
        routine,
        first: Address(address),
        second: 0,
        kind,
        // The report's address is without bits 63:56; bit 55 decides the half.
        address: Address(((address << 8) as i64 >> 8) as u64),
        access,
        pc: Code(routine, 0),
        classes: &[DATA_ABORT],
        tags: (0, 0),
        loose: Loose::Nothing,
    }
}

/// Returns a way in which a pointer's tag is not the memory's.
const fn mismatch(
    name: &'static str,
    routine: Routine,
    address: u64,
    kind: FaultAccess,
    tag: u64,
) -> Way {
    Way {
        needs: Needs::Tags,
        tags: (tag, MEMORY_TAG as u64),
        ..access(name, routine, address | tag << 56, kind, ExitKind::TagCheck)
    }
}

/// Returns a way in which a jump goes wrong.
const fn jump(name: &'static str, to: Place, kind: ExitKind, classes: &'static [u64]) -> Way {
    Way {
        first: to,
        address: to,
        pc: to,
        access: Execute,
        classes,
        ..access(name, deadly_jump, 0, Execute, kind)
    }
}

/// Returns a way to die of an instruction that has no business here: no address, no access.
const fn instruction(
    name: &'static str,
    routine: Routine,
    kind: ExitKind,
    classes: &'static [u64],
) -> Way {
    Way { classes, ..access(name, routine, 0, Read, kind) }
}

const KERNEL: u64 = 0xffff_0000_0000_0000;

/// Every way.
pub(crate) const WAYS: &[Way] = &[
    access("null_load", deadly_load, 8, Read, ExitKind::NotMapped),
    access("null_store", deadly_store, 8, Write, ExitKind::NotMapped),
    access("tagged_null", deadly_load, 0xab << 56 | 16, Read, ExitKind::NotMapped),
    access("hole_load", deadly_load, HOLE + 5, Read, ExitKind::NotMapped),
    access("hole_store", deadly_store, HOLE + 5, Write, ExitKind::NotMapped),
    access("kernel_load", deadly_load, KERNEL + 64, Read, ExitKind::NotMapped),
    access("kernel_store", deadly_store, KERNEL + 64, Write, ExitKind::NotMapped),
    access("kernel_text", deadly_load, 0xffff_ffff_8000_0000, Read, ExitKind::NotMapped),
    access("non_canonical", deadly_load, 1 << 48 | 64, Read, ExitKind::NotMapped),
    access("no_access_load", deadly_load, NO_ACCESS + 1, Read, ExitKind::AccessDenied),
    access("no_access_store", deadly_store, NO_ACCESS + 1, Write, ExitKind::AccessDenied),
    access("read_only_store", deadly_store, READ_ONLY + 7, Write, ExitKind::AccessDenied),
    access("untouched_store", deadly_store, UNTOUCHED + 7, Write, ExitKind::AccessDenied),
    Way {
        first: Code(deadly_load, 0),
        address: Code(deadly_load, 0),
        ..access("text_store", deadly_store, 0, Write, ExitKind::AccessDenied)
    },
    Way {
        needs: Needs::Tags,
        ..access("read_only_tag", deadly_tag, READ_ONLY, Write, ExitKind::AccessDenied)
    },
    jump("execute_data", Address(DATA), ExitKind::AccessDenied, &[INSTRUCTION_ABORT]),
    jump("execute_read_only", Address(READ_ONLY), ExitKind::AccessDenied, &[INSTRUCTION_ABORT]),
    jump("execute_hole", Address(HOLE), ExitKind::NotMapped, &[INSTRUCTION_ABORT]),
    jump("execute_kernel", Address(KERNEL), ExitKind::NotMapped, &[INSTRUCTION_ABORT]),
    jump("execute_unaligned", Code(deadly_load, 2), ExitKind::Alignment, &[PC_ALIGNMENT]),
    mismatch("tag_load", deadly_load, TAGGED + 16, Read, 7),
    mismatch("tag_store", deadly_store, TAGGED + 0xff0, Write, 7),
    mismatch("tag_zero_load", deadly_load, TAGGED, Read, 0),
    mismatch("tag_fifteen_store", deadly_store, TAGGED, Write, 15),
    mismatch("tag_fresh_load", deadly_load, FRESH + 32, Read, 9),
    mismatch("tag_fresh_store", deadly_store, FRESH + 32, Write, 9),
    mismatch("tag_pair", deadly_pair, TAGGED + 64, Write, 4),
    access("unaligned_acquire", deadly_acquire, DATA + 12, Read, ExitKind::Alignment),
    access("unaligned_release", deadly_release, DATA + 12, Write, ExitKind::Alignment),
    Way {
        loose: Loose::Access,
        ..access("unaligned_exclusive", deadly_exclusive, DATA + 12, Read, ExitKind::Alignment)
    },
    instruction("undefined", deadly_undefined, ExitKind::UndefinedInstruction, &[UNKNOWN]),
    instruction("privileged", deadly_privileged, ExitKind::UndefinedInstruction, &[UNKNOWN]),
    instruction("cycle_counter", deadly_counter, ExitKind::TrappedInstruction, &[SYSTEM_REGISTER]),
    instruction("identity", deadly_identity, ExitKind::TrappedInstruction, &[SYSTEM_REGISTER]),
    instruction("mask", deadly_mask, ExitKind::TrappedInstruction, &[SYSTEM_REGISTER]),
    instruction("wide_vectors", deadly_vector, ExitKind::TrappedInstruction, &[SVE]),
    instruction("breakpoint", deadly_breakpoint, ExitKind::Breakpoint, &[BRK]),
    Way {
        address: Address(STACK_START - 16),
        access: Write,
        ..access("stack", deadly_push, 0, Write, ExitKind::AccessDenied)
    },
    Way {
        loose: Loose::Address,
        ..access("out_of_frames", deadly_touch, ENDLESS, Write, ExitKind::OutOfFrames)
    },
];

/// Returns the report with what is loose replaced by what it must be, after a look whether it can
/// be true.
pub(crate) fn settled(way: &Way, report: ExitReport) -> ExitReport {
    let far = ENDLESS + 0x100_0000..ENDLESS + ENDLESS_BYTES as u64;
    let can_be_true = match way.loose {
        Loose::Nothing => false,
        Loose::Address => report.address.is_multiple_of(PAGE_SIZE) && far.contains(&report.address),
        Loose::Access => report.access == report.status >> 6 & 1,
    };
    match way.loose {
        Loose::Address if can_be_true => ExitReport { address: way.address.value(), ..report },
        Loose::Access if can_be_true => ExitReport { access: way.access as u64, ..report },
        _ => report,
    }
}
