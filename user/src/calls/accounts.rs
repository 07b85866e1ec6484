//! Stubs of the calls on accounts, and of the one for tests of checked kernels.

use super::{call, handle, query};
use vellum_abi::{AccountInfo, Call, Error, Handle, Limits, TestOperation};

/// Makes an account whose limits are taken out of its parent's.
///
/// # Errors
/// `LimitReached`, `OutOfHandles`, `OutOfKernelMemory` and those of the handle.
pub fn account_create(parent: Handle, limits: &Limits) -> Result<Handle, Error> {
    let words = limits.to_words();
    let address = words.as_ptr().expose_provenance() as u64;
    // SAFETY: the call reads the record only.
    unsafe { call(Call::AccountCreate, [parent.to_word(), address]) }.map(handle)
}

/// Returns limits and use of an account; [`Handle::SELF`] is the caller's own.
///
/// # Errors
/// Those of the handle.
pub fn account_query(account: Handle) -> Result<AccountInfo, Error> {
    query(Call::AccountQuery, [account.to_word()]).map(AccountInfo::from_words)
}

/// Makes a checked kernel do something that only tests want; see [`TestOperation`].
///
/// # Errors
/// `UnknownCall` where the kernel is not a checked one.
pub fn test(operation: TestOperation, argument: u64) -> Result<u64, Error> {
    // SAFETY: pages are moved with their contents; what else it changes is the kernel's own.
    unsafe { call(Call::Test, [operation as u64, argument]) }
}
