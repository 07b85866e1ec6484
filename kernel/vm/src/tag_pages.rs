//! One reference page a tag for the whole kernel: what `map` with a tag hint shows.
//!
//! Owns: the objects, each made when its tag is first asked for and gone with its last user, and the
//! count of their users. Refuses to know: who the users are. A user is a [`TagUse`], which a mapping
//! has for as long as it is there.
//!
//! Users are counted, not owners of the object: a fault may hold the object a moment longer than
//! its last mapping. Counting and the list are under one lock, so that a last user who goes and a
//! first one who comes are in one order or the other: the newcomer finds the object, or makes
//! another. What left the list is dropped behind the lock.
//!
//! Source: the review of "[PATCH v5] mm: introduce reference pages" by Catalin Marinas.

use crate::account::Account;
use crate::counters::Counters;
use crate::error::VmError;
use crate::machine::{Machine, Pools};
use crate::object::MemoryObject;
use crate::refpage;
use crate::tag::Tag;
use core::fmt;
use lock_api::Mutex;

/// How many tags there are.
const TAGS: usize = 16;

/// An object and one of its owners.
type SharedObject<M> = <M as Pools>::Shared<MemoryObject<M>>;

/// The object of a tag.
struct Entry<M: Machine> {
    object: SharedObject<M>,
    /// At least one.
    users: u64,
}

/// The objects of all tags.
pub struct TagPages<M: Machine> {
    account: M::Shared<Account>,
    entries: Mutex<M::Mutex, [Option<Entry<M>>; TAGS]>,
}

/// Keeps the object of a tag in the list.
pub struct TagUse<M: Machine> {
    machine: M,
    tag: Tag,
}

impl<M: Machine> TagPages<M> {
    /// Returns a list without objects, which `account` will pay for: no process owns them.
    #[must_use]
    pub fn new(account: M::Shared<Account>) -> TagPages<M> {
        TagPages { account, entries: Mutex::new([const { None }; TAGS]) }
    }

    /// Returns who pays.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl<M: Machine> TagUse<M> {
    /// Becomes a user of a tag's object. If it has to be made, what that writes is counted in
    /// `counters`.
    ///
    /// # Errors
    /// `TagsUnsupported`, `OutOfFrames`, `OutOfKernelMemory`, `LimitReached`.
    pub(crate) fn new(
        machine: &M,
        tag: Tag,
        counters: &Counters,
    ) -> Result<(TagUse<M>, SharedObject<M>), VmError> {
        let tag_use = || TagUse { machine: machine.clone(), tag };
        if let Some(object) = Self::join(machine, tag, None) {
            return Ok((tag_use(), object));
        }
        // Made outside the lock, as every fill; of two who make one at once, one throws it away.
        let account = &machine.tag_pages().account;
        let made = machine.share(refpage::tagged(machine, account, tag, counters)?)?;
        let object = Self::join(machine, tag, Some(made.clone())).unwrap_or(made);
        Ok((tag_use(), object))
    }

    /// Counts a user of the tag's object, which is `made` if there is none. Returns the object.
    fn join(machine: &M, tag: Tag, made: Option<SharedObject<M>>) -> Option<SharedObject<M>> {
        let mut entries = machine.tag_pages().entries.lock();
        let entry = &mut entries[usize::from(tag.value())];
        if entry.is_none() {
            *entry = made.map(|object| Entry { object, users: 0 });
        }
        let entry = entry.as_mut()?;
        entry.users += 1;
        Some(entry.object.clone())
    }
}

impl<M: Machine> Clone for TagUse<M> {
    fn clone(&self) -> TagUse<M> {
        let mut entries = self.machine.tag_pages().entries.lock();
        if let Some(entry) = &mut entries[usize::from(self.tag.value())] {
            entry.users += 1;
        }
        drop(entries);
        TagUse { machine: self.machine.clone(), tag: self.tag }
    }
}

impl<M: Machine> Drop for TagUse<M> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl<M: Machine> TagUse<M> {
    /// Counts a user less. Few mappings are users: out of line.
    #[cold]
    fn leave(&self) {
        let mut entries = self.machine.tag_pages().entries.lock();
        let entry = &mut entries[usize::from(self.tag.value())];
        let last = match entry {
            Some(Entry { users: 1, .. }) => entry.take(),
            Some(Entry { users, .. }) => {
                *users -= 1;
                None
            }
            None => None,
        };
        drop(entries);
        drop(last);
    }
}

impl<M: Machine> fmt::Debug for TagUse<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TagUse({})", self.tag.value())
    }
}
