//! An address space: mappings, translation tables, counters and an identifier.
//!
//! Owns: the lock that everything in it hangs on, and its order. Faults and queries take the lock
//! shared, changes take it exclusively and bump the generation, so that whoever released the lock
//! learns whether what it saw may have changed. Refuses to know: processes and threads.
//!
//! Invariants: tables are installed under the shared lock by compare-and-exchange and freed under
//! the exclusive lock; a range that is marked *changing* is touched only by the [`Change`] that
//! marked it, which may release the lock between its steps.
//!
//! [`Change`]: crate::ops::Change

use crate::account::Account;
use crate::addr::{Page, PageRange};
use crate::asid::AsidSlot;
use crate::counters::{Counter, Counters};
use crate::error::{Refusal, VmError};
use crate::machine::{Asid, Machine};
use crate::mappings::Mappings;
use crate::ops::Change;
use crate::page_table::{self, Table};
use crate::reserve::Reserve;
use lock_api::{Mutex, RwLock, RwLockReadGuard};
use vellum_abi::Stat;

/// What the lock protects.
pub(crate) struct State<M: Machine> {
    pub(crate) mappings: Mappings<M>,
    /// Counts exclusive holders that changed something.
    pub(crate) generation: u64,
    /// What a long operation is changing.
    pub(crate) changing: Option<PageRange>,
    /// Where that operation moves pages to.
    pub(crate) destination: Option<PageRange>,
    /// Whether the address space is being torn down or was: nothing can be mapped any more.
    pub(crate) closed: bool,
}

impl<M: Machine> State<M> {
    /// Returns whether a long operation has the page in hand.
    #[inline]
    pub(crate) fn is_changing(&self, page: Page) -> bool {
        self.changing.is_some_and(|range| {
            range.contains(page) || self.destination.is_some_and(|range| range.contains(page))
        })
    }

    /// Returns whether a long operation has a page of a range in hand.
    pub(crate) fn changes(&self, range: &PageRange) -> bool {
        let marked = |mark: Option<PageRange>| mark.is_some_and(|mark| mark.overlaps(range));
        marked(self.changing) || marked(self.destination)
    }

    /// Takes the marks of a long operation off.
    pub(crate) fn rest(&mut self) {
        (self.changing, self.destination) = (None, None);
    }

    /// Refuses while a long operation is under way, and for good once the process ends.
    pub(crate) fn at_rest(&self) -> Result<(), Refusal> {
        match (self.changing, self.closed) {
            (Some(_), _) => Err(Refusal::Changing),
            (None, true) => Err(VmError::Closed.into()),
            (None, false) => Ok(()),
        }
    }
}

/// The memory of one process.
pub struct AddressSpace<M: Machine> {
    pub(crate) machine: M,
    pub(crate) root: Table,
    pub(crate) state: RwLock<M::RwLock, State<M>>,
    pub(crate) counters: Counters,
    /// Tables for splits of private blocks.
    pub(crate) reserve: Mutex<M::Mutex, Reserve>,
    pub(crate) account: M::Shared<Account>,
    context: AsidSlot,
}

impl<M: Machine> AddressSpace<M> {
    /// Makes an empty address space.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub fn new(machine: M, account: M::Shared<Account>) -> Result<AddressSpace<M>, VmError> {
        let root = page_table::allocate_table(&machine, &account)?;
        let mappings = Mappings::default();
        let (changing, destination) = (None, None);
        let state = State { mappings, generation: 0, changing, destination, closed: false };
        let counters = Counters::new();
        counters.add(Counter::TableFrames, 1);
        let (state, context) = (RwLock::new(state), AsidSlot::new());
        let reserve = Mutex::new(Reserve::default());
        Ok(AddressSpace { machine, root, state, counters, reserve, account, context })
    }

    /// Returns the root table, for the translation base register.
    #[must_use]
    pub fn root(&self) -> Table {
        self.root
    }

    /// Returns where the identifier is kept, for [`crate::asid::AsidAllocator`].
    #[must_use]
    pub fn asid_slot(&self) -> &AsidSlot {
        &self.context
    }

    /// Returns the identifier that TLB maintenance must name.
    #[must_use]
    #[inline]
    pub fn asid(&self) -> Asid {
        self.context.asid()
    }

    /// Returns who pays for frames and tables.
    #[must_use]
    pub fn account(&self) -> &M::Shared<Account> {
        &self.account
    }

    /// Returns the machine.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns whether no long operation is under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.shared().changing.is_none()
    }

    /// Writes the process's own numbers into `stat`.
    pub fn report(&self, stat: &mut Stat) {
        self.counters.report(stat);
        stat.account_frames = self.account.frames();
        stat.account_kernel_bytes = self.account.kernel_bytes();
    }

    /// Takes the lock shared.
    #[inline]
    pub(crate) fn shared(&self) -> RwLockReadGuard<'_, M::RwLock, State<M>> {
        self.state.read()
    }

    /// Takes the lock exclusively, hands the state over and bumps the generation.
    pub(crate) fn exclusive<R>(&self, change_fn: impl FnOnce(&mut State<M>) -> R) -> R {
        let mut state = self.state.write();
        let result = change_fn(&mut state);
        self.changed(&mut state);
        result
    }

    /// Returns when everybody is gone who has the lock shared now: who comes later sees what was
    /// changed before.
    #[inline]
    pub(crate) fn outlast_readers(&self) {
        drop(self.state.write());
    }

    /// As [`Self::exclusive`], for what begins an operation and needs the address space at rest. A
    /// refusal has changed nothing, so it sends no fault that is under way round again.
    ///
    /// # Errors
    /// `Refusal::Changing`, `Closed`, and what `begin_fn` refuses.
    pub(crate) fn begin_change<R>(
        &self,
        begin_fn: impl FnOnce(&mut State<M>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let mut state = self.state.write();
        state.at_rest()?;
        // Handed on as it is: what begins may be large.
        let begun = begin_fn(&mut state);
        if begun.is_ok() {
            self.changed(&mut state);
        }
        begun
    }

    fn changed(&self, state: &mut State<M>) {
        state.generation += 1;
        self.counters.set(Counter::Mappings, state.mappings.count());
    }
}

impl<M: Machine> Drop for AddressSpace<M> {
    fn drop(&mut self) {
        // A process that ran was torn down step by step before; what is left is an embryo's.
        if self.state.get_mut().mappings.count() != 0 {
            let mut teardown = Change::teardown();
            while !teardown.step(self) {}
        }
        debug_assert_eq!(self.counters.value(Counter::PrivateFrames), 0, "lost private frames");
        debug_assert_eq!(self.counters.value(Counter::TableFrames), 1, "lost tables");
        // The root goes last, when no walk can start from it: the CPU that ran it has another.
        self.machine.tlbi_asid(self.asid());
        self.machine.dsb_ish();
        page_table::free_table(&self.machine, &self.account, self.root);
    }
}
