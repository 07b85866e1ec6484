//! Which system register a trapped instruction names, for handlers that give it a value.
//!
//! Owns: the encoding of the syndrome of class 0x18 (Arm ARM, "ISS encoding for an exception from MSR, MRS,
//! or System instruction execution in AArch64 state"). A CPU with FEAT_IDST reports reads of identification
//! registers so; one without it reports an undefined instruction, which a handler reads from memory.

use crate::{ExitKind, FaultReport};

/// The class of such an exception, bits 31:26 of the syndrome.
const CLASS: u64 = 0x18;

/// What a trapped `MRS`, `MSR` or system instruction was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAccess {
    /// The system register, see [`RegisterAccess::number`].
    pub register: u16,
    /// The general-purpose register, 31 for XZR.
    pub general: u8,
    /// Whether it reads the system register.
    pub is_read: bool,
}

impl RegisterAccess {
    /// Returns the number of the system register `S<op0>_<op1>_C<crn>_C<crm>_<op2>`.
    #[must_use]
    pub const fn number(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
        op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
    }

    /// Returns what a syndrome says, or `None` if it is of another class.
    #[must_use]
    pub fn from_syndrome(syndrome: u64) -> Option<RegisterAccess> {
        if syndrome >> 26 & 0x3f != CLASS {
            return None;
        }
        let field = |low: u32, bits: u32| (syndrome >> low & ((1 << bits) - 1)) as u16;
        let (op0, op2, op1) = (field(20, 2), field(17, 3), field(14, 3));
        Some(RegisterAccess {
            register: RegisterAccess::number(op0, op1, field(10, 4), field(1, 4), op2),
            general: field(5, 5) as u8,
            is_read: syndrome & 1 != 0,
        })
    }
}

impl FaultReport {
    /// Returns which system register a trapped instruction was to read or write, if that is what is told.
    #[must_use]
    pub fn register_access(&self) -> Option<RegisterAccess> {
        match self.kind {
            ExitKind::TrappedInstruction => RegisterAccess::from_syndrome(self.syndrome),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RegisterAccess;

    #[test]
    fn every_field_of_the_syndrome_is_in_its_place() {
        // MRS X9, ID_AA64ISAR1_EL1: S3_0_C0_C6_1.
        let read = 0x18 << 26 | 1 << 25 | 3 << 20 | 1 << 17 | 9 << 5 | 6 << 1 | 1;
        let register = RegisterAccess::number(3, 0, 0, 6, 1);
        let wanted = RegisterAccess { register, general: 9, is_read: true };
        assert_eq!(RegisterAccess::from_syndrome(read), Some(wanted));
        // MSR S2_7_C15_C8_5, XZR.
        let write = 0x18 << 26 | 2 << 20 | 5 << 17 | 7 << 14 | 15 << 10 | 31 << 5 | 8 << 1;
        let register = RegisterAccess::number(2, 7, 15, 8, 5);
        let wanted = RegisterAccess { register, general: 31, is_read: false };
        assert_eq!(RegisterAccess::from_syndrome(write), Some(wanted));
        for class in (0..64).filter(|class| *class != 0x18) {
            assert_eq!(RegisterAccess::from_syndrome(class << 26 | 0x1ff_ffff), None);
        }
    }
}
