//! What an exception means: decoding of ESR_ELx, pure.
//!
//! Owns: the fields of the syndrome (Arm ARM, "ESR_EL1, Exception Syndrome Register" and the
//! encodings of ISS for Data Aborts and Instruction Aborts). Refuses to know: registers.

use crate::addr::UserPointer;
use vellum_abi::{ExitKind, FaultAccess};

const EC_UNKNOWN: u64 = 0x00;
const EC_FP_TRAP: u64 = 0x07;
const EC_ILLEGAL_STATE: u64 = 0x0e;
const EC_SVC64: u64 = 0x15;
const EC_SYSTEM_REGISTER: u64 = 0x18;
const EC_SVE_TRAP: u64 = 0x19;
const EC_SME_TRAP: u64 = 0x1d;
const EC_INSTRUCTION_ABORT_EL0: u64 = 0x20;
const EC_PC_ALIGNMENT: u64 = 0x22;
const EC_SP_ALIGNMENT: u64 = 0x26;
const EC_BREAKPOINT_EL0: u64 = 0x30;
const EC_WATCHPOINT_EL0: u64 = 0x34;
const EC_BRK64: u64 = 0x3c;

/// WnR: the access was a write.
const WRITE_NOT_READ: u64 = 1 << 6;
/// CM: the access was cache maintenance, which WnR calls a write although it needs only a read.
const CACHE_MAINTENANCE: u64 = 1 << 8;

/// The status code (DFSC) of a synchronous tag check fault.
const TAG_CHECK: u64 = 0b01_0001;

/// What kind of fault an abort reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortKind {
    /// Translation, access flag or permission fault: a matter for the fault handler.
    Mapping,
    /// Synchronous tag check fault.
    TagCheck,
    /// Unaligned access where alignment is needed.
    Alignment,
    /// Conflicting TLB entries: invalidate and try again.
    TlbConflict,
    /// External abort, unsupported atomic update and all else.
    External,
}

/// A data or instruction abort, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The address as the program used it, tag and all.
    pub pointer: UserPointer,
    /// What the instruction tried to do.
    pub access: FaultAccess,
    /// What went wrong.
    pub kind: AbortKind,
}

/// Returns the exception class, bits 31:26.
#[must_use]
#[inline]
pub const fn class(esr: u64) -> u64 {
    esr >> 26 & 0x3f
}

/// Returns whether the exception is a supervisor call.
#[must_use]
#[inline]
pub const fn is_call(esr: u64) -> bool {
    class(esr) == EC_SVC64
}

/// Decodes a data or instruction abort. FAR keeps the tag of the pointer on every abort.
#[must_use]
#[inline]
pub const fn abort(esr: u64, far: u64) -> Abort {
    let kind = match esr & 0x3f {
        0b00_0100..=0b00_1111 => AbortKind::Mapping,
        TAG_CHECK => AbortKind::TagCheck,
        0b10_0001 => AbortKind::Alignment,
        0b11_0000 => AbortKind::TlbConflict,
        // Address size and translation faults at level 0 and below come out of walks too.
        0b00_0000..=0b00_0011 | 0b10_1001..=0b10_1011 => AbortKind::Mapping,
        _ => AbortKind::External,
    };
    let access = if matches!(class(esr), EC_INSTRUCTION_ABORT_EL0) {
        FaultAccess::Execute
    } else if esr & WRITE_NOT_READ != 0 && esr & CACHE_MAINTENANCE == 0 {
        FaultAccess::Write
    } else {
        FaultAccess::Read
    };
    Abort { pointer: UserPointer::new(far), access, kind }
}

/// Returns what an exception that is no abort tried to do at the address in FAR: only a misaligned
/// program counter and a watchpoint leave one; for all others FAR still holds somebody else's fault.
#[must_use]
pub const fn access_at_far(esr: u64) -> Option<FaultAccess> {
    match class(esr) {
        EC_PC_ALIGNMENT => Some(FaultAccess::Execute),
        EC_WATCHPOINT_EL0 if esr & WRITE_NOT_READ != 0 => Some(FaultAccess::Write),
        EC_WATCHPOINT_EL0 => Some(FaultAccess::Read),
        _ => None,
    }
}

/// Returns the syndrome of an abort that a process dies of: its own, or that of the tag check fault
/// which the handler saw coming.
#[must_use]
pub const fn of_death(esr: u64, kind: ExitKind) -> u64 {
    if matches!(kind, ExitKind::TagCheck) { esr & !0x3f | TAG_CHECK } else { esr }
}

/// Returns how a process dies of an exception that is neither an abort nor a supervisor call.
#[must_use]
pub const fn death(esr: u64) -> ExitKind {
    match class(esr) {
        EC_UNKNOWN | EC_ILLEGAL_STATE => ExitKind::UndefinedInstruction,
        EC_FP_TRAP | EC_SYSTEM_REGISTER | EC_SVE_TRAP | EC_SME_TRAP => ExitKind::TrappedInstruction,
        EC_PC_ALIGNMENT | EC_SP_ALIGNMENT => ExitKind::Alignment,
        EC_BREAKPOINT_EL0..=EC_BRK64 => ExitKind::Breakpoint,
        _ => ExitKind::Unhandled,
    }
}

#[cfg(test)]
mod tests {
    use super::{AbortKind, abort, access_at_far, death, of_death};
    use vellum_abi::{ExitKind, FaultAccess};

    #[test]
    fn cache_maintenance_is_no_write() {
        let write = 0x24 << 26 | 1 << 6 | 0x0f;
        assert_eq!(abort(write, 0).access, FaultAccess::Write);
        assert_eq!(abort(write | 1 << 8, 0).access, FaultAccess::Read);
    }

    #[test]
    fn status_codes_are_told_apart() {
        let kind = |status: u64| abort(0x24 << 26 | status, 0).kind;
        for status in [0x04, 0x07, 0x0b, 0x0c, 0x0f] {
            assert_eq!(kind(status), AbortKind::Mapping);
        }
        assert_eq!(kind(0x11), AbortKind::TagCheck);
        assert_eq!(kind(0x21), AbortKind::Alignment);
        assert_eq!(kind(0x30), AbortKind::TlbConflict);
        assert_eq!(kind(0x10), AbortKind::External);
        assert_eq!(abort(0x20 << 26 | 0x0f, 7 << 56 | 8).access, FaultAccess::Execute);
        assert_eq!(abort(0x24 << 26, 7 << 56 | 8).pointer.tag().value(), 7);
    }
    #[test]
    fn a_death_has_the_syndrome_of_what_the_process_dies_of() {
        // A write to a page without a leaf, with the fields that say more of the access.
        let esr = 0x24 << 26 | 1 << 25 | 1 << 24 | 9 << 16 | 1 << 6 | 0x07;
        assert_eq!(of_death(esr, ExitKind::NotMapped), esr);
        let tag_check = of_death(esr, ExitKind::TagCheck);
        assert_eq!(abort(tag_check, 0).kind, AbortKind::TagCheck);
        assert_eq!((tag_check ^ esr) & !0x3f, 0, "only the status changes");
    }

    #[test]
    fn only_a_misaligned_counter_and_a_watchpoint_leave_an_address() {
        let write = 1 << 6;
        for class in 0..64_u64 {
            let wanted = match class {
                0x22 => [Some(FaultAccess::Execute); 2],
                0x34 => [Some(FaultAccess::Read), Some(FaultAccess::Write)],
                _ => [None; 2],
            };
            assert_eq!([0, write].map(|iss| access_at_far(class << 26 | iss)), wanted, "{class:x}");
        }
    }

    #[test]
    fn every_class_names_its_death() {
        for class in 0..64 {
            let wanted = match class {
                0x00 | 0x0e => ExitKind::UndefinedInstruction,
                0x07 | 0x18 | 0x19 | 0x1d => ExitKind::TrappedInstruction,
                0x22 | 0x26 => ExitKind::Alignment,
                0x30..=0x3c => ExitKind::Breakpoint,
                _ => ExitKind::Unhandled,
            };
            assert_eq!(death(class << 26 | 0x1ff_ffff), wanted, "{class:x}");
        }
    }
}
