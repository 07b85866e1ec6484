//! How a process ended, in words.

use core::fmt::{self, Display, Formatter};
use vellum_abi::{ExitKind, ExitReport, FaultAccess};

/// An exit report as one line for a human.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a>(pub &'a ExitReport);

fn access_text(number: u64) -> &'static str {
    const READ: u64 = FaultAccess::Read as u64;
    const WRITE: u64 = FaultAccess::Write as u64;
    const EXECUTE: u64 = FaultAccess::Execute as u64;
    match number {
        READ => "read",
        WRITE => "write",
        EXECUTE => "instruction fetch",
        _ => "access",
    }
}

impl Display for Ending<'_> {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let ExitReport { kind, status, address, access, pc, logical_tag, allocation_tag } = *self.0;
        let access = access_text(access);
        let Some(kind) = ExitKind::from_number(kind) else {
            return write!(formatter, "ended for the unknown reason {kind}");
        };
        match kind {
            ExitKind::Exited => write!(formatter, "exited with status {status}"),
            ExitKind::Killed => formatter.write_str("killed"),
            ExitKind::TagCheck => write!(
                formatter,
                "tag check fault: {access} at {address:#x}, pointer tag {logical_tag}, \
                 memory tag {allocation_tag}, pc {pc:#x}"
            ),
            ExitKind::TagCheckAsync => write!(formatter, "{}: before pc {pc:#x}", kind.text()),
            ExitKind::ForeignCall => {
                write!(formatter, "{}: number {status}, pc {pc:#x}", kind.text())
            }
            ExitKind::UndefinedInstruction
            | ExitKind::TrappedInstruction
            | ExitKind::Breakpoint
            | ExitKind::Unhandled => {
                write!(formatter, "{}: pc {pc:#x}, syndrome {status:#x}", kind.text())
            }
            ExitKind::NotMapped
            | ExitKind::AccessDenied
            | ExitKind::Alignment
            | ExitKind::OutOfFrames
            | ExitKind::OutOfKernelMemory
            | ExitKind::LimitReached
            | ExitKind::ExternalAbort
            | ExitKind::PagerGone
            | ExitKind::PagePoisoned
            | ExitKind::PageRefused
            | ExitKind::PagerCycle => {
                write!(formatter, "{}: {access} at {address:#x}, pc {pc:#x}", kind.text())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use std::string::ToString;
    use vellum_abi::{ExitKind, ExitReport};

    #[test]
    fn a_tag_check_fault_names_both_tags() {
        let report = ExitReport {
            kind: ExitKind::TagCheck as u64,
            address: 0x4000,
            pc: 0x1_0000,
            logical_tag: 7,
            allocation_tag: 5,
            ..ExitReport::default()
        };
        assert_eq!(
            Ending(&report).to_string(),
            "tag check fault: read at 0x4000, pointer tag 7, memory tag 5, pc 0x10000"
        );
    }

    #[test]
    fn every_kind_and_every_unknown_number_has_words() {
        for kind in 0..20 {
            let report = ExitReport { kind, access: kind, ..ExitReport::default() };
            assert!(!Ending(&report).to_string().is_empty());
        }
    }
}
