//! Who pays.
//!
//! Owns: how many frames, bytes of kernel memory and handles an account has in use, and its limits.
//! Refuses to know: what they are used for, and the tree of accounts. Whoever takes a frame,
//! kernel memory or a handle charges an account first and credits the same account when it gives
//! it back; a charge touches exactly one account.

use crate::error::VmError;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::{AccountInfo, Limits};

/// A counted resource with a limit.
#[derive(Debug)]
struct Budget {
    /// What is charged and what was granted: one sum, so that a charge looks at one number.
    taken: AtomicU64,
    granted: AtomicU64,
    limit: u64,
}

impl Budget {
    const fn new(limit: u64) -> Budget {
        Budget { taken: AtomicU64::new(0), granted: AtomicU64::new(0), limit }
    }

    // Relaxed: the count orders nothing else, and a charge that loses a race only fails early.
    fn charge(&self, amount: u64) -> Result<(), VmError> {
        let before = self.taken.fetch_add(amount, Ordering::Relaxed);
        if before + amount > self.limit {
            self.credit(amount);
            return Err(VmError::LimitReached);
        }
        Ok(())
    }

    fn credit(&self, amount: u64) {
        let before = self.taken.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "credit without a charge");
    }

    /// Charges an amount of any size. Unlike [`Self::charge`] it is never above the limit, not even
    /// for the moment in which a smaller charge would fail that fits.
    fn charge_many(&self, amount: u64) -> Result<(), VmError> {
        let after = |taken: u64| taken.checked_add(amount).filter(|after| *after <= self.limit);
        let charged = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        charged.map(|_| ()).map_err(|_| VmError::LimitReached)
    }

    /// Charges an amount of any size, for somebody else to use.
    fn grant(&self, amount: u64) -> Result<(), VmError> {
        self.charge_many(amount)?;
        self.granted.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }

    fn take_back(&self, amount: u64) {
        self.granted.fetch_sub(amount, Ordering::Relaxed);
        self.credit(amount);
    }

    fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    fn used(&self) -> u64 {
        // A grant that is under way is in the one and not yet in the other: never below zero.
        self.taken.load(Ordering::Relaxed).saturating_sub(self.granted())
    }
}

/// What is told of an account's end: its number, as the owner of the hierarchy gave it.
pub type EndFn = fn(u32);

/// Who pays for frames, kernel memory and handles. Lives while a charge remains, so it may outlive
/// the processes that it was made for.
///
/// Accounts form a tree by grants: a child's limits are taken out of its parent's when it is made,
/// so that a charge touches one account alone. Who is whose parent is not known here; the owner
/// of the tree is told when an account ends.
#[derive(Debug)]
pub struct Account {
    frames: Budget,
    kernel_bytes: Budget,
    handles: Budget,
    place: Option<(u32, EndFn)>,
}

impl Account {
    /// Returns an account in no tree, with limits in frames and in bytes of kernel memory.
    #[must_use]
    pub const fn new(frame_limit: u64, kernel_byte_limit: u64) -> Account {
        Account {
            frames: Budget::new(frame_limit),
            kernel_bytes: Budget::new(kernel_byte_limit),
            handles: Budget::new(u64::MAX / 2),
            place: None,
        }
    }

    /// Returns an account of a tree under its number there; `end_fn` is called when it ends.
    #[must_use]
    pub const fn in_tree(limits: &Limits, number: u32, end_fn: EndFn) -> Account {
        Account {
            frames: Budget::new(limits.frames),
            kernel_bytes: Budget::new(limits.kernel_bytes),
            handles: Budget::new(limits.handles),
            place: Some((number, end_fn)),
        }
    }

    /// Returns the account's number in its tree.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        self.place.map(|(number, _)| number)
    }

    /// Takes limits out of the account's, for a child.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn grant(&self, limits: &Limits) -> Result<(), VmError> {
        self.frames.grant(limits.frames)?;
        if let Err(error) = self.kernel_bytes.grant(limits.kernel_bytes) {
            self.frames.take_back(limits.frames);
            return Err(error);
        }
        if let Err(error) = self.handles.grant(limits.handles) {
            self.frames.take_back(limits.frames);
            self.kernel_bytes.take_back(limits.kernel_bytes);
            return Err(error);
        }
        Ok(())
    }

    /// Takes back what was granted to a child that has ended.
    pub fn take_back(&self, limits: &Limits) {
        self.frames.take_back(limits.frames);
        self.kernel_bytes.take_back(limits.kernel_bytes);
        self.handles.take_back(limits.handles);
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
        self.frames.charge_many(frames)
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

    /// Charges one handle.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn charge_handle(&self) -> Result<(), VmError> {
        self.handles.charge(1)
    }

    /// Takes the charge of one handle back.
    pub fn credit_handle(&self) {
        self.handles.credit(1);
    }

    /// Returns the frames in use.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.used()
    }

    /// Returns the bytes of kernel memory in use.
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        self.kernel_bytes.used()
    }

    /// Returns the handles in use.
    #[must_use]
    pub fn handles(&self) -> u64 {
        self.handles.used()
    }

    /// Returns limits, grants and use; the sums over the accounts below are the account's own use.
    #[must_use]
    pub fn info(&self) -> AccountInfo {
        AccountInfo {
            frame_limit: self.frames.limit,
            kernel_byte_limit: self.kernel_bytes.limit,
            handle_limit: self.handles.limit,
            frames_granted: self.frames.granted(),
            kernel_bytes_granted: self.kernel_bytes.granted(),
            handles_granted: self.handles.granted(),
            frames: self.frames(),
            kernel_bytes: self.kernel_bytes(),
            handles: self.handles(),
            subtree_frames: self.frames(),
            subtree_kernel_bytes: self.kernel_bytes(),
            subtree_handles: self.handles(),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        debug_assert_eq!(self.frames.granted(), 0, "an account ended before one below it");
        if let Some((number, end_fn)) = self.place {
            end_fn(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::error::VmError;
    use core::sync::atomic::{AtomicU32, Ordering};
    use vellum_abi::Limits;

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

    #[test]
    fn a_grant_is_taken_out_of_the_limit_and_comes_back_whole() {
        let parent =
            Account::in_tree(&Limits { frames: 10, kernel_bytes: 100, handles: 5 }, 0, |_| ());
        let limits = Limits { frames: 8, kernel_bytes: 60, handles: 5 };
        assert_eq!(parent.grant(&limits), Ok(()));
        assert_eq!((parent.frames(), parent.kernel_bytes(), parent.handles()), (0, 0, 0));
        assert_eq!((parent.charge_frame(), parent.charge_frame()), (Ok(()), Ok(())));
        assert_eq!(parent.charge_frame(), Err(VmError::LimitReached));
        assert_eq!(parent.charge_handle(), Err(VmError::LimitReached));
        assert_eq!(parent.charge_kernel(41), Err(VmError::LimitReached));
        parent.take_back(&limits);
        assert_eq!(parent.charge_handle(), Ok(()));
        parent.credit_handle();
        assert_eq!((parent.handles(), parent.charge_handle()), (0, Ok(())));
        let info = parent.info();
        assert_eq!((info.frames_granted, info.frames, info.handles), (0, 2, 1));
    }

    #[test]
    fn handles_are_counted_up_to_the_limit_and_down_again() {
        let account = Account::in_tree(&Limits { handles: 3, ..Limits::default() }, 0, |_| ());
        for round in 0..3 {
            for handles in 0..3 {
                assert_eq!(account.handles(), handles, "round {round}");
                assert_eq!(account.charge_handle(), Ok(()));
            }
            assert_eq!(
                (account.charge_handle(), account.handles()),
                (Err(VmError::LimitReached), 3)
            );
            for left in (0..3).rev() {
                account.credit_handle();
                assert_eq!((account.handles(), account.info().handles), (left, left));
            }
        }
        assert_eq!((account.frames(), account.kernel_bytes()), (0, 0));
    }

    /// The number of the account that ended last, and how many have.
    static ENDED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

    #[test]
    fn an_account_knows_its_number_and_tells_it_once_when_it_ends() {
        let end_fn = |number| {
            ENDED[0].store(number, Ordering::Relaxed);
            ENDED[1].fetch_add(1, Ordering::Relaxed);
        };
        let ended = || [&ENDED[0], &ENDED[1]].map(|word| word.load(Ordering::Relaxed));
        let account = Account::in_tree(&Limits::default(), 41, end_fn);
        assert_eq!((account.number(), ended()), (Some(41), [0, 0]));
        drop(account);
        assert_eq!(ended(), [41, 1]);
        let alone = Account::new(1, 1);
        assert_eq!(alone.number(), None);
        drop(alone);
        assert_eq!(ended(), [41, 1], "an account in no tree has nobody to tell");
    }

    #[test]
    #[should_panic(expected = "an account ended before one below it")]
    fn an_account_never_ends_before_what_was_granted_comes_back() {
        let account = Account::new(8, 8);
        account.grant(&Limits { frames: 5, ..Limits::default() }).expect("as much is left");
        drop(account);
    }

    #[test]
    fn a_refused_grant_leaves_no_trace() {
        let parent = Account::new(10, 100);
        for limits in [
            Limits { frames: 11, kernel_bytes: 0, handles: 0 },
            Limits { frames: 10, kernel_bytes: 101, handles: 0 },
            Limits { frames: 10, kernel_bytes: 100, handles: u64::MAX },
            Limits { frames: u64::MAX, kernel_bytes: u64::MAX, handles: u64::MAX },
        ] {
            assert_eq!(parent.charge_frame(), Ok(()));
            let before = parent.info();
            assert_eq!(parent.grant(&limits), Err(VmError::LimitReached));
            assert_eq!(parent.info(), before);
            parent.credit_frame();
        }
    }
}
