//! A thread's user state while it is not running, and what of it a running thread has saved.
//!
//! Owns: the layout that `vectors` writes and reads. Refuses to know: threads. Invariant: SPSR is
//! always one that returns to AArch64 EL0 with every exception unmasked.
//!
//! While a thread runs user code, SP_EL1 points at its context. On entry to the kernel only the
//! registers that a function call may change are saved (x0 to x18, x30), with ELR and SPSR; the
//! rest stays in the CPU and is saved by the vector if, and only if, another thread is next.
//!
//! FP and SIMD registers are saved at a switch only if the thread could use them since it was switched
//! to, so a thread that is not running has all of them here, whichever CPU it ran on and runs on next. A
//! thread that is switched to finds them closed, and its first use of one loads them all (exception
//! class 7). One that has used them lately is given them at once for its next [`VECTOR_TURNS_AFTER_USE`]
//! turns: an exception costs more than a load in vain.

use crate::arch::page_fill::has_tags;
use core::mem::offset_of;
use vellum_abi::{Registers, VectorRegisters};

/// PSTATE.TCO in SPSR_EL1: tag checks are overridden.
const TCO: u64 = 1 << 25;

/// Bytes of the `svc` instruction.
const SVC_BYTES: u64 = 4;

/// The registers of a thread.
#[repr(C, align(16))]
pub struct Context {
    /// x0 to x18.
    low: [u64; 19],
    x30: u64,
    elr: u64,
    spsr: u64,
    /// x19 to x29. From here on, only a stopped thread's values are true.
    high: [u64; 11],
    sp_el0: u64,
    tpidr: u64,
    /// In how many of its next turns the thread gets the registers below without asking.
    vector_turns: u64,
    fpcr: u64,
    fpsr: u64,
    /// q0 to q31.
    vectors: [[u64; 2]; 32],
}

/// Turns after the last use of FP and SIMD registers in which they are loaded without being asked for.
pub(super) const VECTOR_TURNS_AFTER_USE: u64 = 8;

/// Offsets for the assembly.
pub(super) const LOW: usize = offset_of!(Context, low);
pub(super) const X18: usize = LOW + 18 * 8;
pub(super) const ELR: usize = offset_of!(Context, elr);
pub(super) const HIGH: usize = offset_of!(Context, high);
pub(super) const X29: usize = HIGH + 10 * 8;
pub(super) const TPIDR: usize = offset_of!(Context, tpidr);
pub(super) const VECTOR_TURNS: usize = offset_of!(Context, vector_turns);
pub(super) const FPCR: usize = offset_of!(Context, fpcr);
pub(super) const VECTORS: usize = offset_of!(Context, vectors);

// The assembly moves pairs: x18 with x30, ELR with SPSR, x29 with SP_EL0, TPIDR_EL0 with the turns, FPCR
// with FPSR.
const _: () = assert!(LOW == 0 && offset_of!(Context, x30) == X18 + 8);
const _: () = assert!(offset_of!(Context, spsr) == ELR + 8);
const _: () = assert!(offset_of!(Context, sp_el0) == X29 + 8);
const _: () = assert!(VECTOR_TURNS == TPIDR + 8 && offset_of!(Context, fpsr) == FPCR + 8);
const _: () = assert!(VECTORS.is_multiple_of(16) && size_of::<Context>() == VECTORS + 512);
// The immediate of a load or store of a pair of x registers ends at 504.
const _: () = assert!(FPCR <= 504);

impl Context {
    /// Returns a context whose every register is zero: it starts at address 0 with tag checks on.
    pub const fn new() -> Context {
        Context {
            low: [0; 19],
            x30: 0,
            elr: 0,
            spsr: 0,
            high: [0; 11],
            sp_el0: 0,
            tpidr: 0,
            vector_turns: 0,
            fpcr: 0,
            fpsr: 0,
            vectors: [[0; 2]; 32],
        }
    }

    /// Returns one of x0 to x18, the registers that are saved while a thread is in the kernel.
    ///
    /// # Panics
    /// Above 18. With a constant the check is gone.
    #[inline]
    pub const fn x(&self, number: usize) -> u64 {
        self.low[number]
    }

    /// Returns x0 to x5, the arguments of a call.
    #[inline]
    pub const fn arguments(&self) -> &[u64; 6] {
        let Some(arguments) = self.low.first_chunk() else { unreachable!() };
        arguments
    }

    /// Sets one of x0 to x18.
    ///
    /// # Panics
    /// As for [`Self::x`].
    #[inline]
    pub const fn set_x(&mut self, number: usize, value: u64) {
        self.low[number] = value;
    }

    /// Returns the address of the next instruction: of the faulting one after an abort, of the one
    /// behind `svc` after a system call.
    #[inline]
    pub const fn pc(&self) -> u64 {
        self.elr
    }

    /// Sets the address of the next instruction.
    #[inline]
    pub const fn set_pc(&mut self, pc: u64) {
        self.elr = pc;
    }

    /// Goes back to the `svc` of the call that the thread has made: it will be made again.
    #[inline]
    pub const fn repeat_call(&mut self) {
        self.elr -= SVC_BYTES;
    }

    /// Undoes [`Self::repeat_call`].
    #[inline]
    pub const fn skip_call(&mut self) {
        self.elr += SVC_BYTES;
    }

    /// Returns whether the thread overrides tag checks (PSTATE.TCO).
    #[inline]
    pub const fn overrides_tag_checks(&self) -> bool {
        self.spsr & TCO != 0
    }

    /// Returns a register if it is saved while the thread is in the kernel: x0 to x18 and x30.
    pub fn saved(&self, number: u8) -> Option<u64> {
        if number == 30 { Some(self.x30) } else { self.low.get(usize::from(number)).copied() }
    }

    /// Returns the registers. Only for a thread that is stopped.
    pub fn registers(&self) -> Registers {
        let mut x = [0; 31];
        x[..19].copy_from_slice(&self.low);
        x[19..30].copy_from_slice(&self.high);
        x[30] = self.x30;
        let pstate = self.spsr & Registers::PSTATE_MASK;
        Registers { x, sp: self.sp_el0, pc: self.elr, pstate, tpidr: self.tpidr }
    }

    /// Returns FP and SIMD registers. Only for a thread that is stopped; `random` is not here.
    pub fn vectors(&self, random: u64) -> VectorRegisters {
        VectorRegisters { q: self.vectors, fpcr: self.fpcr, fpsr: self.fpsr, random }
    }

    /// Sets FP and SIMD registers. Only for a thread that is stopped.
    pub fn set_vectors(&mut self, registers: &VectorRegisters) {
        self.vectors = registers.q;
        (self.fpcr, self.fpsr) = (registers.fpcr, registers.fpsr);
    }

    /// Sets the registers, FP and SIMD left out. Only for a thread that is stopped.
    ///
    /// Of `pstate` only the bits that a program may choose are taken; the rest of SPSR becomes
    /// zero: AArch64, EL0, nothing masked.
    pub fn set_registers(&mut self, registers: &Registers) {
        self.low.copy_from_slice(&registers.x[..19]);
        self.high.copy_from_slice(&registers.x[19..30]);
        self.x30 = registers.x[30];
        self.sp_el0 = registers.sp;
        self.elr = registers.pc;
        self.spsr = user_pstate(registers.pstate);
        self.tpidr = registers.tpidr;
    }
}

/// Returns an SPSR for EL0 with those bits of `pstate` that a program may choose. TCO is a reserved
/// bit on a machine without tags.
fn user_pstate(pstate: u64) -> u64 {
    let allowed = if has_tags() { Registers::PSTATE_MASK } else { Registers::PSTATE_MASK & !TCO };
    pstate & allowed
}
