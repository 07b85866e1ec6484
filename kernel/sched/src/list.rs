//! Lists that are linked through their members: joining never allocates, leaving takes constant time.
//!
//! Owns: the links. Refuses to know: what the list is for; one that a lock protects is as safe as that
//! lock. A member's own links have a lock, which nobody else ever waits for as all who use them hold
//! the list's: it is what makes them shareable without `unsafe`. Most lists have one member at most; one that
//! comes alone and goes alone has no links, so it needs neither their lock nor a second owner.
//!
//! Invariant: a list that has members stays where it is, as they know it by its address.

use core::marker::PhantomData;
use core::mem;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
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
pub struct Link<R, H> {
    /// The address of the list, 0 outside every list. Written under the list's lock.
    list: AtomicUsize,
    neighbours: Mutex<R, Neighbours<H>>,
}

struct Neighbours<H> {
    before: Option<H>,
    behind: Option<H>,
}

impl<R: RawMutex, H> Link<R, H> {
    /// Returns the links of what is in no list.
    #[must_use]
    pub const fn new() -> Link<R, H> {
        let neighbours = Mutex::new(Neighbours { before: None, behind: None });
        Link { list: AtomicUsize::new(0), neighbours }
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
    /// The last of two or more.
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
        ptr::from_ref(self).addr()
    }

    /// Appends what is in no list of this kind.
    #[inline]
    pub fn push_back(&mut self, member: T::Handle) {
        enter(&*member, self.address());
        match &self.first {
            None => self.first = Some(member),
            Some(first) => {
                let before = self.last.take().unwrap_or_else(|| first.clone());
                before.link().neighbours.lock().behind = Some(member.clone());
                member.link().neighbours.lock().before = Some(before);
                self.last = Some(member);
            }
        }
    }

    /// Puts what is in no list of this kind at the front.
    pub fn push_front(&mut self, member: T::Handle) {
        enter(&*member, self.address());
        if let Some(behind) = self.first.take() {
            if self.last.is_none() {
                self.last = Some(behind.clone());
            }
            behind.link().neighbours.lock().before = Some(member.clone());
            member.link().neighbours.lock().behind = Some(behind);
        }
        self.first = Some(member);
    }

    /// Takes the first member out.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T::Handle> {
        let first = self.first.take()?;
        leave(&*first, self.address());
        if self.last.is_some() {
            self.first = first.link().neighbours.lock().behind.take();
            if let Some(next) = &self.first {
                next.link().neighbours.lock().before = None;
            }
            self.forget_last_of_one();
        }
        Some(first)
    }

    /// Sees to it that a member which is alone now is not the last of two or more.
    fn forget_last_of_one(&mut self) {
        if let (Some(first), Some(last)) = (&self.first, &self.last)
            && ptr::eq::<T>(&**first, &**last)
        {
            self.last = None;
        }
    }

    /// Exchanges the only member for what is in no list of this kind: what taking the one out and appending
    /// the other come to, with less to do.
    ///
    /// # Errors
    /// The other, if the list has not exactly one member; then nothing has changed.
    #[inline]
    pub fn exchange_only(&mut self, member: T::Handle) -> Result<T::Handle, T::Handle> {
        let address = self.address();
        match (&mut self.first, &self.last) {
            (Some(only), None) => {
                enter(&*member, address);
                leave(&**only, address);
                Ok(mem::replace(only, member))
            }
            _ => Err(member),
        }
    }

    /// Returns whoever is behind a member of a list.
    pub(crate) fn behind(member: &T) -> Option<T::Handle> {
        member.link().neighbours.lock().behind.clone()
    }

    /// Returns whether something is in this list.
    pub fn holds(&self, member: &T) -> bool {
        member.link().list.load(Ordering::Relaxed) == self.address()
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
        leave(member, self.address());
        let (before, behind) = {
            let mut neighbours = member.link().neighbours.lock();
            (neighbours.before.take(), neighbours.behind.take())
        };
        match &before {
            Some(before) => before.link().neighbours.lock().behind.clone_from(&behind),
            None => self.first.clone_from(&behind),
        }
        match behind {
            Some(behind) => behind.link().neighbours.lock().before = before,
            None => self.last = before,
        }
        self.forget_last_of_one();
        true
    }
}

/// Notes that a member is in the list of an address.
#[inline]
fn enter<T: Member<L>, L>(member: &T, address: usize) {
    let list = &member.link().list;
    debug_assert!(list.load(Ordering::Relaxed) == 0, "in two lists at once");
    list.store(address, Ordering::Relaxed);
}

/// Notes that a member of the list of an address is in none.
#[inline]
fn leave<T: Member<L>, L>(member: &T, address: usize) {
    let list = &member.link().list;
    debug_assert!(list.load(Ordering::Relaxed) == address, "a list that has members was moved");
    list.store(0, Ordering::Relaxed);
}
