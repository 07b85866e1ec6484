//! Lists that are linked through their members: joining never allocates, leaving takes constant time.
//!
//! Owns: the links. Refuses to know: what the list is for; one that a lock protects is as safe as that
//! lock. A member's own links have a lock, which nobody else ever waits for as all who use them hold
//! the list's: it is what makes them shareable without `unsafe`.
//!
//! Invariant: a list that has members stays where it is, as they know it by its address.

use core::marker::PhantomData;
use core::ops::Deref;
use lock_api::{Mutex, RawMutex};

/// What can be in one list of the kind `L` at a time.
pub trait Member<L>: Sized {
    /// An owner of a member. Each of its neighbours in a list is one.
    type Handle: Clone + Deref<Target = Self>;
    /// Protects the links.
    type Mutex: RawMutex;

    /// Returns the links.
    fn link(&self) -> &Link<Self::Mutex, Self::Handle>;
}

/// The links of a member of one list.
pub struct Link<R, H>(Mutex<R, Place<H>>);

struct Place<H> {
    /// The address of the list, 0 outside every list.
    list: usize,
    before: Option<H>,
    behind: Option<H>,
}

impl<R: RawMutex, H> Link<R, H> {
    /// Returns the links of what is in no list.
    #[must_use]
    pub const fn new() -> Link<R, H> {
        Link(Mutex::new(Place { list: 0, before: None, behind: None }))
    }
}

impl<R: RawMutex, H> Default for Link<R, H> {
    fn default() -> Link<R, H> {
        Link::new()
    }
}

/// Members in an order.
pub struct List<T: Member<L>, L> {
    first: Option<T::Handle>,
    last: Option<T::Handle>,
    kind: PhantomData<fn() -> L>,
}

impl<T: Member<L>, L> Default for List<T, L> {
    fn default() -> List<T, L> {
        List::new()
    }
}

impl<T: Member<L>, L> List<T, L> {
    /// Returns an empty list.
    #[must_use]
    pub const fn new() -> List<T, L> {
        List { first: None, last: None, kind: PhantomData }
    }

    /// Returns whether it has no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Returns the first member.
    #[must_use]
    pub const fn first(&self) -> Option<&T::Handle> {
        self.first.as_ref()
    }

    fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Appends what is in no list of this kind.
    pub fn push_back(&mut self, member: T::Handle) {
        let before = self.last.take();
        match &before {
            Some(before) => before.link().0.lock().behind = Some(member.clone()),
            None => self.first = Some(member.clone()),
        }
        self.enter(&member, before, None);
        self.last = Some(member);
    }

    /// Puts what is in no list of this kind at the front.
    pub fn push_front(&mut self, member: T::Handle) {
        let behind = self.first.take();
        match &behind {
            Some(behind) => behind.link().0.lock().before = Some(member.clone()),
            None => self.last = Some(member.clone()),
        }
        self.enter(&member, None, behind);
        self.first = Some(member);
    }

    fn enter(&self, member: &T, before: Option<T::Handle>, behind: Option<T::Handle>) {
        let mut place = member.link().0.lock();
        debug_assert!(place.list == 0, "in two lists at once");
        *place = Place { list: self.address(), before, behind };
    }

    /// Takes the first member out.
    pub fn pop_front(&mut self) -> Option<T::Handle> {
        let first = self.first.take()?;
        let behind = self.leave(&first).1;
        match &behind {
            Some(behind) => behind.link().0.lock().before = None,
            None => self.last = None,
        }
        self.first = behind;
        Some(first)
    }

    /// Exchanges the only member for what is in no list of this kind: what taking the one out and appending
    /// the other come to, with less to do.
    ///
    /// # Errors
    /// The other, if the list has not exactly one member; then nothing has changed.
    pub fn exchange_only(&mut self, member: T::Handle) -> Result<T::Handle, T::Handle> {
        let address = self.address();
        match (&mut self.first, &mut self.last) {
            (Some(first), Some(last)) if core::ptr::eq::<T>(&**first, &**last) => {
                member.link().0.lock().list = address;
                last.clone_from(&member);
                let only = core::mem::replace(first, member);
                only.link().0.lock().list = 0;
                Ok(only)
            }
            _ => Err(member),
        }
    }

    /// Returns whoever is behind a member of a list.
    pub(crate) fn behind(member: &T) -> Option<T::Handle> {
        member.link().0.lock().behind.clone()
    }

    /// Returns whether something is in this list.
    pub fn holds(&self, member: &T) -> bool {
        member.link().0.lock().list == self.address()
    }

    /// Takes a member out, wherever it is. Returns whether it was in this list.
    pub fn remove(&mut self, member: &T) -> bool {
        self.remove_if(member, || true)
    }

    /// As [`Self::remove`], unless `is_meant_fn` says no. It is asked only about who is in this list.
    pub fn remove_if(&mut self, member: &T, is_meant_fn: impl FnOnce() -> bool) -> bool {
        if !self.holds(member) || !is_meant_fn() {
            return false;
        }
        let (before, behind) = self.leave(member);
        match &before {
            Some(before) => before.link().0.lock().behind.clone_from(&behind),
            None => self.first.clone_from(&behind),
        }
        match behind {
            Some(behind) => behind.link().0.lock().before = before,
            None => self.last = before,
        }
        true
    }

    /// Clears the links of a member; returns its neighbours.
    fn leave(&self, member: &T) -> (Option<T::Handle>, Option<T::Handle>) {
        let mut place = member.link().0.lock();
        debug_assert!(place.list == self.address(), "a list that has members was moved");
        place.list = 0;
        (place.before.take(), place.behind.take())
    }
}
