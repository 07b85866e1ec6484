//! The thread: registers, a process, and what it is doing.

use super::address::WordWait;
use super::operation::Unfinished;
use super::paging::Asking;
use super::process::Process;
use super::threads::Siblings;
use super::waiting::Waiting;
use super::{Ending, scheduler};
use crate::arch::context::Context;
use crate::arch::thread_registers::ThreadRegisters;
use crate::ipc::{Handling, Report, report};
use crate::memory::accounts;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::percpu;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use spin::Mutex;
use spin::mutex::SpinMutex;
use vellum_abi::{Error, ExitKind, ExitReport, TagMode};
use vellum_sched::{
    AtomicPriority, Link, Member, Priority, Queued, Share, Sleeper, Stop, Task, Timed, Timer,
};
use vellum_vm::account::Account;
use vellum_vm::error::VmError;
use vellum_vm::machine::Pools;

/// Whether a thread may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Made, never started: its registers may be read and written.
    Stopped,
    /// Runs, or is in the run queue, or waits in a queue.
    Started,
    /// Gone for good.
    Ended,
}

/// What a thread may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may run user code.
    Runs,
    /// It runs no user code any more and parts from its process when it next comes by.
    MustEnd,
    /// It has parted. The last one of a process still takes that down.
    Ended,
}

/// A thread.
pub struct Thread {
    /// Its registers. Filled by the vector when the thread leaves user mode.
    ///
    /// The vector uses it by address while the thread runs, without the lock: nobody takes the lock
    /// then, as only a stopped thread's registers and those of a finished operation are touched.
    pub context: SpinMutex<Context>,
    /// Registers that are saved and loaded at a switch alone.
    pub registers: ThreadRegisters,
    /// Its process.
    pub process: PoolArc<Process>,
    /// What it still has to do in the kernel before it may go on.
    pub unfinished: Unfinished,
    /// The address of a word of the process that becomes 0 when the thread has ended; 0 for none.
    word: AtomicU64,
    /// What it waits for, in whose queue it then is, or waited for last.
    pub waiting: Waiting,
    /// The place where it waits, or waited last, for somebody to wake it.
    pub word_wait: Mutex<Option<WordWait>>,
    /// Whose call it has received and not yet answered.
    pub serving: Mutex<Option<PoolArc<Thread>>>,
    /// The badge of the handle that it calls by, while the call waits.
    pub badge: Mutex<u64>,
    /// What the kernel says of it, as long as its call is a report.
    pub report: Mutex<Option<Report>>,
    /// Where it handles reports of others.
    pub handles: Mutex<Option<Handling>>,
    /// Whether its call is a report: see `ipc::report`.
    reports: AtomicBool,
    /// Why its wait is to end early, if somebody wants that.
    pub stop: Stop,
    /// When the time of its wait is over.
    timer: Timer,
    /// Its place among the threads whose time runs.
    timed: Link<SpinMutex<()>, PoolArc<Thread>>,
    /// What it asks a pager.
    pub asking: Mutex<Asking>,
    /// The rank of the endpoint where it received last: see `paging`.
    rank: AtomicU64,
    /// Its place among the threads that are ready or wait.
    queued: Link<SpinMutex<()>, PoolArc<Thread>>,
    /// Its place among the threads of its process.
    siblings: Link<SpinMutex<()>, PoolArc<Thread>>,
    /// The CPU whose queue it is in, or that ran it last.
    cpu: AtomicUsize,
    /// With whom it shares its turns.
    share: Share,
    priority: AtomicPriority,
    /// Ticks that it had used of its slice when something more urgent came. Its CPU's alone.
    used: AtomicU64,
    /// Whether it has to end, whatever becomes of its process.
    doomed: AtomicBool,
    run: Mutex<Run>,
    payer: PoolArc<Account>,
}

impl Thread {
    /// Makes a stopped thread of a process, of a priority that is none too high for the process;
    /// `payer` is charged.
    ///
    /// # Errors
    /// `InvalidState` if the process ends; `OutOfKernelMemory`, `LimitReached`.
    pub fn create(
        process: &PoolArc<Process>,
        payer: &PoolArc<Account>,
        word: u64,
        priority: Priority,
    ) -> Result<PoolArc<Thread>, Error> {
        if !process.is_alive() {
            return Err(Error::InvalidState);
        }
        payer.charge_kernel(size_of::<Thread>())?;
        let thread = Thread {
            context: SpinMutex::new(Context::new()),
            registers: ThreadRegisters::new(),
            process: process.clone(),
            unfinished: Unfinished::new(),
            word: AtomicU64::new(word),
            waiting: Waiting::nothing(),
            word_wait: Mutex::new(None),
            serving: Mutex::new(None),
            badge: Mutex::new(0),
            report: Mutex::new(None),
            handles: Mutex::new(None),
            reports: AtomicBool::new(false),
            stop: Stop::new(),
            timer: Timer::new(),
            timed: Link::new(),
            asking: Mutex::new(Asking::NOTHING),
            rank: AtomicU64::new(0),
            queued: Link::new(),
            siblings: Link::new(),
            share: accounts::share(process.account()),
            cpu: AtomicUsize::new(percpu::id()),
            priority: AtomicPriority::new(priority.min(process.ceiling)),
            used: AtomicU64::new(0),
            doomed: AtomicBool::new(false),
            run: Mutex::new(Run::Stopped),
            payer: payer.clone(),
        };
        Ok(Hardware.share(thread).map_err(VmError::from)?)
    }

    /// Uses the registers of a stopped thread.
    ///
    /// # Errors
    /// `InvalidState` if it is not stopped.
    pub fn with_stopped<R>(&self, use_fn: impl FnOnce(&mut Context) -> R) -> Result<R, Error> {
        let run = self.run.lock();
        if *run != Run::Stopped {
            return Err(Error::InvalidState);
        }
        Ok(use_fn(&mut self.context.lock()))
    }

    /// Uses the registers of a thread that is stopped, or whose report the running thread has to answer.
    ///
    /// # Errors
    /// `InvalidState` if it is neither.
    pub fn with_registers<R>(&self, use_fn: impl FnOnce(&mut Context) -> R) -> Result<R, Error> {
        // Only its server answers it, which is busy here; and if it has to end it never uses them again.
        match report::caller_of(percpu::current()) {
            Ok(caller) if core::ptr::eq(&raw const *caller, self) => {
                Ok(use_fn(&mut self.context.lock()))
            }
            _ => self.with_stopped(use_fn),
        }
    }

    /// Keeps what the kernel says of the running thread, which is about to wait for the answer.
    pub fn begin_report(&self, report: Report) {
        *self.report.lock() = Some(report);
        self.reports.store(true, Ordering::Relaxed);
    }

    /// Returns whether its call, if it calls, is a report.
    #[inline]
    pub fn is_reporting(&self) -> bool {
        self.reports.load(Ordering::Relaxed)
    }

    /// Forgets the report, which was answered or never will be. Returns whether there was one that its
    /// process counts.
    pub fn end_report(&self) -> bool {
        self.reports.store(false, Ordering::Relaxed);
        let mut report = self.report.lock();
        let was_counted = report.as_ref().is_some_and(Report::opens_thread);
        *report = None;
        was_counted
    }

    /// Returns the rank of the endpoint where it received last; 0 if that was none of a pager.
    pub fn rank(&self) -> u64 {
        self.rank.load(Ordering::Relaxed)
    }

    /// Sets the rank of the endpoint where it receives.
    #[inline]
    pub fn set_rank(&self, rank: u64) {
        // Who reads it runs the thread or serves it, and has its locks.
        self.rank.store(rank, Ordering::Relaxed);
    }

    /// Returns how tag check faults of the thread are reported.
    #[inline]
    pub fn tag_mode(&self) -> TagMode {
        self.registers.tag_control().mode
    }

    /// Lets a stopped thread run.
    ///
    /// # Errors
    /// `InvalidState` if it is not stopped or its process ends.
    pub fn start(this: &PoolArc<Thread>) -> Result<(), Error> {
        let mut run = this.run.lock();
        // Held together with the check of life, as `Process::begin_kill` decides under it who cleans up.
        let mut threads = this.process.threads.lock();
        if *run != Run::Stopped || !this.process.is_alive() {
            return Err(Error::InvalidState);
        }
        *run = Run::Started;
        this.registers.set_foreign(this.process.is_foreign());
        threads.join(this.clone());
        drop((run, threads));
        scheduler::make_ready(this.clone());
        Ok(())
    }

    /// Returns whether the thread may run user code. Once it may not, it never may again.
    #[inline]
    pub fn may_run(&self) -> bool {
        // Sequentially consistent: see `scheduler::interrupt`.
        !self.doomed.load(Ordering::SeqCst) && self.process.is_alive()
    }

    /// Returns what the thread may do next.
    pub fn standing(&self) -> Standing {
        if self.may_run() {
            Standing::Runs
        } else if *self.run.lock() == Run::Ended {
            Standing::Ended
        } else {
            Standing::MustEnd
        }
    }

    /// Returns whether the thread must stop waiting, because it has to end. Whoever takes a process down
    /// waits on.
    pub fn is_interrupted(&self) -> bool {
        self.standing() == Standing::MustEnd && !self.unfinished.is_end()
    }

    /// Returns why the thread is to be taken out of where it waits, if it is.
    pub fn ending(&self) -> Option<Ending> {
        if self.is_interrupted() {
            Some(Ending::ForGood)
        } else {
            self.stop.is_asked_for().then_some(Ending::Early)
        }
    }

    /// Makes the thread see that it has to end, whatever it does and wherever it runs. It is as urgent then
    /// as its process may be: what it has must come back although more urgent threads are never done.
    pub fn interrupt(this: &PoolArc<Thread>) {
        Thread::set_priority(this, this.process.ceiling);
        if let Some(wait) = this.waiting.get() {
            wait.end(this, Ending::ForGood);
        }
        scheduler::interrupt(this);
    }

    /// Makes the thread, which is in no queue and has to end, as urgent as its process may be.
    pub fn hurry(&self) {
        self.priority.store(self.process.ceiling, Ordering::SeqCst);
    }

    /// Dooms the thread: it ends when it is next about to run user code. Returns whether it had been
    /// started and was not doomed before.
    pub fn doom(&self) -> bool {
        *self.run.lock() == Run::Started && !self.doomed.swap(true, Ordering::SeqCst)
    }

    /// Parts from the process for good. Returns whether the process has no thread any more: then its
    /// end has begun, and the caller takes it down.
    pub fn part(this: &PoolArc<Thread>) -> bool {
        let mut run = this.run.lock();
        // Held together with the end's begin: a process that is alive without a thread could be started
        // again, or be ended by somebody else who would take it down too.
        let mut threads = this.process.threads.lock();
        *run = Run::Ended;
        let was_last = threads.part(this);
        if was_last {
            // If its threads ended one by one, nobody has said yet that the process does.
            let kind = ExitKind::Exited as u64;
            this.process.begin_end(ExitReport { kind, ..ExitReport::default() });
        }
        was_last
    }

    /// Returns the place where it waits, or waited last.
    pub fn word_wait(&self) -> Option<WordWait> {
        *self.word_wait.lock()
    }

    /// Returns the address of the word that becomes 0 when the thread has ended.
    pub fn word(&self) -> Option<u64> {
        Some(self.word.load(Ordering::Relaxed)).filter(|word| *word != 0)
    }

    /// Declares that the word is 0.
    pub fn forget_word(&self) {
        self.word.store(0, Ordering::Relaxed);
    }

    /// Keeps how much of its slice is used, for the rest of its turn.
    pub fn keep_slice(&self, used: u64) {
        self.used.store(used, Ordering::Relaxed);
    }

    /// Takes how much of the slice is used of the turn that goes on or begins.
    #[inline]
    pub fn take_slice(&self) -> u64 {
        let used = self.used.load(Ordering::Relaxed);
        self.used.store(0, Ordering::Relaxed);
        used
    }

    /// Changes the priority, at once.
    pub fn set_priority(this: &PoolArc<Thread>, priority: Priority) {
        scheduler::CPUS.set_priority(this, || this.priority.store(priority, Ordering::SeqCst));
    }
}

impl Member<Queued> for Thread {
    type Handle = PoolArc<Thread>;
    type Mutex = SpinMutex<()>;

    #[inline]
    fn link(&self) -> &Link<SpinMutex<()>, PoolArc<Thread>> {
        &self.queued
    }
}

impl Member<Siblings> for Thread {
    type Handle = PoolArc<Thread>;
    type Mutex = SpinMutex<()>;

    fn link(&self) -> &Link<SpinMutex<()>, PoolArc<Thread>> {
        &self.siblings
    }
}

impl Member<Timed> for Thread {
    type Handle = PoolArc<Thread>;
    type Mutex = SpinMutex<()>;

    fn link(&self) -> &Link<SpinMutex<()>, PoolArc<Thread>> {
        &self.timed
    }
}

impl Sleeper for Thread {
    #[inline]
    fn timer(&self) -> &Timer {
        &self.timer
    }
}

impl Task for Thread {
    #[inline]
    fn priority(&self) -> Priority {
        self.priority.load(Ordering::SeqCst)
    }

    #[inline]
    fn share(&self) -> Share {
        self.share
    }

    #[inline]
    fn cpu(&self) -> &AtomicUsize {
        &self.cpu
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.payer.credit_kernel(size_of::<Thread>());
    }
}
