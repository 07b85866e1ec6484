//! The process: an address space, a handle table, an account and a life.

use super::handle::{HandleTable, Object};
use super::queue::WaitQueue;
use super::thread::Thread;
use super::threads::Threads;
use crate::ipc::{Endpoint, Report, report};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::percpu;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use spin::Mutex;
use vellum_abi::{Error, ExitReport, Handle, Rights};
use vellum_sched::Priority;
use vellum_vm::account::Account;
use vellum_vm::address_space::AddressSpace;
use vellum_vm::error::VmError;
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;

/// Processes that are not yet gone.
static LIVE: AtomicU64 = AtomicU64::new(0);

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its threads may run.
    Alive,
    /// It will run no more user code; what it had is being given back.
    Ending(ExitReport),
    /// Everything is given back but the report.
    Dead(ExitReport),
}

/// Where a process's faults are reported.
#[derive(Clone)]
pub struct Handler {
    /// Where.
    pub endpoint: PoolArc<Endpoint>,
    /// Under which badge.
    pub badge: u64,
}

/// A process.
pub struct Process {
    /// Its memory.
    pub space: AddressSpace<Hardware>,
    /// Its handles.
    pub handles: Mutex<HandleTable>,
    /// Its threads, each from its start to its end.
    pub threads: Mutex<Threads>,
    /// Who waits for its end.
    pub mourners: WaitQueue,
    /// Who waits for its address space to be at rest.
    pub patient: WaitQueue,
    /// The highest priority that its threads may have: that of the thread that made it.
    pub ceiling: Priority,
    /// How many handles name it or a thread of it, in all tables.
    names: AtomicU64,
    life: Mutex<Life>,
    handler: Mutex<Option<Handler>>,
    foreign: AtomicBool,
    /// Threads that wait for answers to what the kernel said of them.
    reporting: AtomicUsize,
    /// Whether `life` is `Alive`, to be looked at without the lock. It changes once, under the lock.
    alive: AtomicBool,
    payer: PoolArc<Account>,
}

impl Process {
    /// Makes an empty process; `payer` is charged for it and for what it makes.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `OutOfFrames`, `LimitReached`.
    pub fn create(
        payer: &PoolArc<Account>,
        ceiling: Priority,
    ) -> Result<PoolArc<Process>, VmError> {
        let space = AddressSpace::new(Hardware, payer.clone())?;
        payer.charge_kernel(size_of::<Process>())?;
        LIVE.fetch_add(1, Ordering::Relaxed);
        let process = Process {
            space,
            handles: Mutex::new(HandleTable::new(payer.clone())),
            threads: Mutex::new(Threads::new()),
            mourners: WaitQueue::new(),
            patient: WaitQueue::new(),
            ceiling,
            names: AtomicU64::new(0),
            life: Mutex::new(Life::Alive),
            handler: Mutex::new(None),
            foreign: AtomicBool::new(false),
            reporting: AtomicUsize::new(0),
            alive: AtomicBool::new(true),
            payer: payer.clone(),
        };
        Ok(Hardware.share(process)?)
    }

    /// Returns how many processes are not yet gone.
    pub fn live() -> u64 {
        LIVE.load(Ordering::Relaxed)
    }

    /// Returns who pays for what the process makes.
    pub fn account(&self) -> &PoolArc<Account> {
        self.space.account()
    }

    /// Returns where the process is in its life.
    pub fn life(&self) -> Life {
        *self.life.lock()
    }

    /// Returns whether the process may run user code.
    #[inline]
    pub fn is_alive(&self) -> bool {
        // Sequentially consistent: see `scheduler::interrupt`. Everybody else looks under a lock that who
        // ends the process takes afterwards.
        self.alive.load(Ordering::SeqCst)
    }

    /// Returns whether everything is given back but the report.
    pub fn is_dead(&self) -> bool {
        matches!(*self.life.lock(), Life::Dead(_))
    }

    /// Returns whether the process runs or ran: it may hold handles to processes and threads.
    ///
    /// One that never started may not: it has no end that would close them, and a handle to itself
    /// would keep it for ever.
    pub fn has_started(&self) -> bool {
        self.threads.lock().have_started()
    }

    /// Begins the end. Returns whether this call was the first to.
    pub fn begin_end(&self, report: ExitReport) -> bool {
        let mut life = self.life.lock();
        let alive = *life == Life::Alive;
        if alive {
            *life = Life::Ending(report);
            self.alive.store(false, Ordering::SeqCst);
        }
        alive
    }

    /// Returns who is told of faults.
    pub fn handler(&self) -> Option<Handler> {
        self.handler.lock().clone()
    }

    /// Sets who is told of faults from now on, and whether calls are faults too.
    ///
    /// # Errors
    /// `InvalidState` if the process ends, or it has started and its calls would be somebody else's.
    pub fn set_handler(&self, handler: Option<Handler>, foreign: bool) -> Result<(), Error> {
        // Held together with the check of life, as in `Thread::start`, which looks whose calls they are.
        let threads = self.threads.lock();
        if !self.is_alive() || threads.have_started() && foreign != self.is_foreign() {
            return Err(Error::InvalidState);
        }
        self.foreign.store(foreign, Ordering::Relaxed);
        let before = core::mem::replace(&mut *self.handler.lock(), handler);
        drop(threads);
        drop(before);
        Ok(())
    }

    /// Forgets who was told of faults.
    pub fn forget_handler(&self) {
        let before = self.handler.lock().take();
        drop(before);
    }

    /// Returns whether calls of the process are its handler's to serve. It does not change once a thread
    /// was started.
    pub fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }

    /// Returns whether a handle of the process allows to receive messages.
    pub fn can_receive(&self) -> bool {
        self.handles.lock().can_receive()
    }

    /// Returns whether all its threads wait for answers to what the kernel said of them.
    pub fn is_stuck(&self) -> bool {
        let threads = self.threads.lock();
        threads.count() == self.reporting.load(Ordering::SeqCst)
    }

    /// Counts a thread that waits so.
    pub fn begin_report(&self) {
        self.reporting.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a thread less.
    pub fn end_report(&self) {
        self.reporting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts a handle to the process or to a thread of it.
    pub fn gain_name(&self) {
        self.names.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a handle less.
    pub fn lose_name(&self) {
        let before = self.names.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before != 0, "more handles closed than there were");
    }

    /// Begins the end of a process that never started and that no handle names any more. Returns whether
    /// this call did: then the caller takes it down, whoever may still have it in hand.
    pub fn begin_end_unnamed(&self, report: ExitReport) -> bool {
        // Held together with the check of life, as in `begin_kill`.
        let threads = self.threads.lock();
        !threads.have_started() && self.names.load(Ordering::Acquire) == 0 && self.begin_end(report)
    }

    /// Begins the end from outside. Returns a thread that has to be told, if one was started; `None` if
    /// the end had begun before.
    pub fn begin_kill(&self, report: ExitReport) -> Option<Option<PoolArc<Thread>>> {
        // Held together with the check of life, as `Thread::start` decides under it who cleans up.
        let mut threads = self.threads.lock();
        self.begin_end(report).then(|| threads.tell())
    }

    /// Declares the process dead and wakes whoever waits for it.
    pub fn complete_end(&self) {
        let mut life = self.life.lock();
        if let Life::Ending(report) = *life {
            *life = Life::Dead(report);
        }
        drop(life);
        self.mourners.wake_all();
    }

    /// Returns the process that a word names; SELF is this one, CALLER that of whom the running thread has
    /// to answer as a handler.
    ///
    /// # Errors
    /// `BadHandle`, `WrongObject`, `MissingRight`.
    #[inline]
    pub fn target<'a>(
        this: &'a PoolArc<Process>,
        word: u64,
        rights: Rights,
    ) -> Result<Target<'a>, Error> {
        if Handle::from_word(word) == Some(Handle::SELF) {
            return Ok(Target::Own(this));
        }
        Process::other(this, word, rights)
    }

    /// As [`Self::target`], of a process that is not this one.
    fn other<'a>(
        this: &'a PoolArc<Process>,
        word: u64,
        rights: Rights,
    ) -> Result<Target<'a>, Error> {
        let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
        if handle == Handle::CALLER {
            let caller = report::caller_of(percpu::current())?;
            return Report::allow(rights).map(|()| Target::Other(caller.process.clone()));
        }
        let process = |object: &Object| match object {
            Object::Process(process) => Some(process.clone()),
            _ => None,
        };
        this.named(handle, rights, process).map(Target::Other)
    }

    /// Returns what a handle of this process names, if it is of the kind that `kind_fn` picks.
    ///
    /// # Errors
    /// `BadHandle`, `WrongObject`, `MissingRight`.
    pub fn named<T>(
        &self,
        handle: Handle,
        rights: Rights,
        kind_fn: impl FnOnce(&Object) -> Option<T>,
    ) -> Result<T, Error> {
        let handles = self.handles.lock();
        // The kind first: a handle to something else is none of this kind that lacks a right.
        let (object, held) = handles.find(handle, Rights::NONE)?;
        let named = kind_fn(object).ok_or(Error::WrongObject)?;
        if held.contains(rights) { Ok(named) } else { Err(Error::MissingRight) }
    }

    /// Returns the object that a handle of this process names, and the handle's rights.
    ///
    /// # Errors
    /// `BadHandle`, `MissingRight`.
    pub fn object(&self, handle: Handle, rights: Rights) -> Result<(Object, Rights), Error> {
        let handles = self.handles.lock();
        let (object, rights) = handles.find(handle, rights)?;
        Ok((object.clone(), rights))
    }

    /// Gives an object a handle in this process's table.
    ///
    /// # Errors
    /// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`; `InvalidState` if the process ends.
    pub fn give(&self, object: Object, rights: Rights) -> Result<Handle, Error> {
        let mut handles = self.handles.lock();
        // Under the table's lock: the end of the process takes it to close every handle.
        if !self.is_alive() {
            return Err(Error::InvalidState);
        }
        handles.insert(object, rights)
    }

    /// Gives a new memory object a handle.
    ///
    /// # Errors
    /// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`.
    pub fn give_memory(
        &self,
        object: MemoryObject<Hardware>,
        rights: Rights,
    ) -> Result<Handle, Error> {
        let object = Hardware.share(object).map_err(VmError::from)?;
        self.give(Object::Memory(object), rights)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let handles = self.handles.get_mut();
        let mut index = 0;
        while let Some((next, object)) = handles.remove_from(index) {
            index = next;
            drop(object);
        }
        handles.release();
        self.payer.credit_kernel(size_of::<Process>());
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The process that a call works on.
pub enum Target<'a> {
    /// The caller's own: nothing needs counting.
    Own(&'a PoolArc<Process>),
    /// Another's.
    Other(PoolArc<Process>),
}

impl Deref for Target<'_> {
    type Target = PoolArc<Process>;

    fn deref(&self) -> &PoolArc<Process> {
        match self {
            Target::Own(process) => process,
            Target::Other(process) => process,
        }
    }
}
