//! Members in order of arrival, through whom several CPUs look at the same time, a few at a time.
//!
//! Owns: how far each CPU has looked. Refuses to know: whom it looks for, and the lock that everything here is done
//! under. Between two steps of a search the lock is free, and members come and go: a CPU keeps whom it looks at next,
//! and whoever leaves is replaced by the one behind him wherever he is kept. So no search looks at anybody twice, or
//! leaves anybody out who was there when it began; and it looks at no more than there were then, whoever comes
//! meanwhile.

use crate::MAX_CPUS;
use crate::list::{List, Member};

/// Members in order of arrival.
pub struct Crowd<T: Member<L>, L> {
    members: List<T, L>,
    count: usize,
    searches: [Search<T::Handle>; MAX_CPUS],
}

/// How far a CPU has looked.
struct Search<H> {
    /// Whom it looks at next.
    next: Option<H>,
    /// How many it looks at still.
    left: usize,
}

/// What a step of a search came to.
#[derive(Debug)]
pub enum Found<H> {
    /// Somebody, who has left.
    One(H),
    /// Nobody so far.
    NotYet,
    /// There is nobody else to look at.
    Nobody,
}

impl<T: Member<L>, L> Default for Crowd<T, L> {
    fn default() -> Crowd<T, L> {
        Crowd::new()
    }
}

impl<T: Member<L>, L> Crowd<T, L> {
    /// Returns a crowd of nobody.
    #[must_use]
    pub const fn new() -> Crowd<T, L> {
        let searches = [const { Search { next: None, left: 0 } }; MAX_CPUS];
        Crowd { members: List::new(), count: 0, searches }
    }

    /// Adds a member behind all others.
    pub fn push_back(&mut self, member: T::Handle) {
        self.members.push_back(member);
        self.count += 1;
    }

    /// Takes a member out if it is here and `is_meant_fn` says so. Returns whether it did.
    pub fn remove_if(&mut self, member: &T, is_meant_fn: impl FnOnce() -> bool) -> bool {
        let is_meant = self.members.holds(member) && is_meant_fn();
        if is_meant {
            self.leave(member);
        }
        is_meant
    }

    /// Begins a search of a CPU.
    pub fn begin(&mut self, cpu: usize) {
        self.searches[cpu] = Search { next: self.members.first().cloned(), left: self.count };
    }

    /// Looks at so many members for a CPU, or until `is_meant_fn` picks one, who leaves.
    pub fn step(
        &mut self,
        cpu: usize,
        most: usize,
        is_meant_fn: impl Fn(&T) -> bool,
    ) -> Found<T::Handle> {
        for _ in 0..most {
            let search = &mut self.searches[cpu];
            let Some(member) = search.next.take().filter(|_| search.left != 0) else {
                return Found::Nobody;
            };
            search.left -= 1;
            search.next = List::<T, L>::behind(&member);
            if is_meant_fn(&member) {
                self.leave(&member);
                return Found::One(member);
            }
        }
        Found::NotYet
    }

    /// Ends the search of a CPU: it keeps nobody.
    pub fn end(&mut self, cpu: usize) {
        self.searches[cpu].next = None;
    }

    fn leave(&mut self, member: &T) {
        for search in &mut self.searches {
            if let Some(next) = search.next.take_if(|next| core::ptr::eq(&raw const **next, member))
            {
                search.next = List::<T, L>::behind(&next);
            }
        }
        self.members.remove(member);
        self.count -= 1;
    }
}
