//! Who pays.
//!
//! Owns: how many frames and how many bytes of kernel memory an account has in use, and its
//! limits. Refuses to know: what they are used for. Whoever takes a frame or kernel memory charges
//! an account first and credits the same account when it gives it back; a charge touches exactly
//! one account.

use crate::error::VmError;
use core::sync::atomic::{AtomicU64, Ordering};

/// A counted resource with a limit.
#[derive(Debug)]
struct Budget {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Budget {
    const fn new(limit: u64) -> Budget {
        Budget { used: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    // Relaxed: the count orders nothing else, and a charge that loses a race only fails early.
    fn charge(&self, amount: u64) -> Result<(), VmError> {
        let before = self.used.fetch_add(amount, Ordering::Relaxed);
        if before + amount > self.limit.load(Ordering::Relaxed) {
            self.credit(amount);
            return Err(VmError::LimitReached);
        }
        Ok(())
    }

    fn credit(&self, amount: u64) {
        let before = self.used.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "credit without a charge");
    }
}

/// Who pays for frames and kernel memory. Lives while a charge remains, so it may outlive the
/// process that it was made for.
#[derive(Debug)]
pub struct Account {
    frames: Budget,
    kernel_bytes: Budget,
}

impl Account {
    /// Returns an account with limits in frames and in bytes of kernel memory.
    #[must_use]
    pub const fn new(frame_limit: u64, kernel_byte_limit: u64) -> Account {
        Account { frames: Budget::new(frame_limit), kernel_bytes: Budget::new(kernel_byte_limit) }
    }

    /// Charges one frame.
    ///
    /// # Errors
    /// `LimitReached`.
    #[inline]
    pub fn charge_frame(&self) -> Result<(), VmError> {
        self.frames.charge(1)
    }

    /// Charges several frames, all or none.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn charge_frames(&self, frames: u64) -> Result<(), VmError> {
        self.frames.charge(frames)
    }

    /// Takes the charge of several frames back.
    pub fn credit_frames(&self, frames: u64) {
        self.frames.credit(frames);
    }

    /// Takes the charge of one frame back.
    #[inline]
    pub fn credit_frame(&self) {
        self.frames.credit(1);
    }

    /// Charges bytes of kernel memory.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn charge_kernel(&self, bytes: usize) -> Result<(), VmError> {
        self.kernel_bytes.charge(bytes as u64)
    }

    /// Takes the charge of bytes of kernel memory back.
    pub fn credit_kernel(&self, bytes: usize) {
        self.kernel_bytes.credit(bytes as u64);
    }

    /// Returns the frames in use.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.used.load(Ordering::Relaxed)
    }

    /// Returns the bytes of kernel memory in use.
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        self.kernel_bytes.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::error::VmError;

    #[test]
    fn a_refused_charge_leaves_no_trace() {
        let account = Account::new(1, 100);
        assert_eq!(account.charge_frame(), Ok(()));
        assert_eq!(account.charge_frame(), Err(VmError::LimitReached));
        assert_eq!(account.charge_kernel(101), Err(VmError::LimitReached));
        assert_eq!((account.frames(), account.kernel_bytes()), (1, 0));
        account.credit_frame();
        assert_eq!(account.charge_frame(), Ok(()));
    }
}
