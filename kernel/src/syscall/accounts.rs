//! Calls on accounts.

use super::{Answer, Request, Result, user};
use crate::memory::accounts;
use crate::memory::pools::PoolArc;
use crate::process::handle::Object;
use vellum_abi::{Error, Handle, Limits, Rights};
use vellum_vm::account::Account;

pub(super) fn account_create(request: &Request<'_>) -> Result {
    let [parent, from, ..] = *request.arguments;
    let parent = account_of(request, parent, Rights::MANAGE)?;
    let words = user::read_words::<{ Limits::WORDS }>(request.process(), from)?;
    let account = accounts::create(&parent, &Limits::from_words(words))?;
    let handle = request.process().give(Object::Account(account), Rights::ALL)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn account_query(request: &Request<'_>) -> Result {
    let [account, out, ..] = *request.arguments;
    let account = account_of(request, account, Rights::INSPECT)?;
    let info = accounts::query(&account);
    user::write_words(request.process(), out, info.to_words())?;
    Ok(Answer::Value(0))
}

/// Returns the account that a word names; SELF is the one that pays for the caller.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`.
pub(super) fn account_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<PoolArc<Account>, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    if handle == Handle::SELF {
        return Ok(request.process().account().clone());
    }
    request.process().named(handle, rights, |object| match object {
        Object::Account(account) => Some(account.clone()),
        _ => None,
    })
}
