//! The thread: registers, a process, and what it is doing.

use super::operation::Operation;
use super::process::Process;
use super::{Wait, scheduler};
use crate::arch::context::Context;
use crate::arch::thread_registers::ThreadRegisters;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use core::sync::atomic::Ordering;
use spin::Mutex;
use spin::mutex::SpinMutex;
use vellum_abi::{Error, TagMode};
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
    pub operation: Mutex<Option<Operation>>,
    /// The next thread of the queue that it is in.
    pub link: Mutex<Option<PoolArc<Thread>>>,
    /// What it waits for, in whose queue it then is.
    pub waiting: Mutex<Option<Wait>>,
    run: Mutex<Run>,
    payer: PoolArc<Account>,
}

impl Thread {
    /// Makes a stopped thread and puts it into its process; `payer` is charged.
    ///
    /// # Errors
    /// `InvalidState` if the process has a thread or ends; `OutOfKernelMemory`, `LimitReached`.
    pub fn create(
        process: &PoolArc<Process>,
        payer: &PoolArc<Account>,
    ) -> Result<PoolArc<Thread>, Error> {
        if !process.is_alive() || process.has_thread.swap(true, Ordering::Relaxed) {
            return Err(Error::InvalidState);
        }
        if let Err(error) = payer.charge_kernel(size_of::<Thread>()) {
            process.has_thread.store(false, Ordering::Relaxed);
            return Err(error.into());
        }
        let thread = Thread {
            context: SpinMutex::new(Context::new()),
            registers: ThreadRegisters::new(),
            process: process.clone(),
            operation: Mutex::new(None),
            link: Mutex::new(None),
            waiting: Mutex::new(None),
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
        // Held together with the check of life, as `process_kill` decides under it who cleans up.
        let mut thread = this.process.thread.lock();
        if *run != Run::Stopped || !this.process.is_alive() {
            return Err(Error::InvalidState);
        }
        *run = Run::Started;
        *thread = Some(this.clone());
        drop((run, thread));
        scheduler::make_ready(this.clone());
        Ok(())
    }

    /// Returns whether the thread's process ends and the thread has yet to see to that.
    pub fn is_interrupted(&self) -> bool {
        let ends = matches!(*self.operation.lock(), Some(Operation::End(_)));
        !ends && !self.process.is_alive()
    }

    /// Declares the thread gone.
    pub fn end(&self) {
        *self.run.lock() = Run::Ended;
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if *self.run.get_mut() == Run::Stopped {
            self.process.has_thread.store(false, Ordering::Relaxed);
        }
        self.payer.credit_kernel(size_of::<Thread>());
    }
}
