//! Virtual CPUs that run virtual threads, under an explorer that picks who goes on.
//!
//! A CPU waits for an interrupt at a condition variable, so that the explorer notices when all wait for
//! ever: that is what a lost wake-up comes to.

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use vellum_model::{Family, SpinMutex};
use vellum_sched::{Cpus, Link, Machine, Member, Priority, Queued, Share, Task, Turn};

/// CPUs that an explorer interleaves, one a thread of its own.
pub(crate) struct Explored;

shuttle::thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
}

shuttle::lazy_static! {
    static ref LINES: Vec<(Mutex<bool>, Condvar)> =
        (0..4).map(|_| (Mutex::new(false), Condvar::new())).collect();
}

impl Family for Explored {
    fn cpu() -> usize {
        CPU.with(Cell::get)
    }

    fn step() {
        thread::sleep(std::time::Duration::ZERO);
    }

    fn wait() {
        thread::yield_now();
    }
}

impl Machine for Explored {
    type Mutex = SpinMutex<Explored>;

    fn step() {
        <Explored as Family>::step();
    }

    fn this_cpu() -> usize {
        Explored::cpu()
    }

    fn interrupt(cpu: usize) {
        let (line, raised) = &LINES[cpu];
        *line.lock().expect("no panic") = true;
        raised.notify_all();
    }

    // Slices never end here: nothing may depend on one.
    fn begin_slice() {}
}

/// What a thread does in its turns.
pub(crate) type Body = Box<dyn Fn(&System, &Arc<Thread>) -> After + Send + Sync>;

/// What becomes of a thread at the end of its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It could run again at once.
    Yields,
    /// Somebody makes it ready, or did already.
    Waits,
    /// It is done.
    Ends,
}

/// A virtual thread.
pub(crate) struct Thread {
    link: Link<SpinMutex<Explored>, Arc<Thread>>,
    cpu: AtomicUsize,
    priority: AtomicU8,
    share: Share,
    body: Body,
}

impl Member<Queued> for Thread {
    type Handle = Arc<Thread>;
    type Mutex = SpinMutex<Explored>;

    fn link(&self) -> &Link<SpinMutex<Explored>, Arc<Thread>> {
        &self.link
    }
}

impl Task for Thread {
    fn priority(&self) -> Priority {
        Priority::new(u64::from(self.priority.load(Ordering::SeqCst))).expect("a priority")
    }

    fn share(&self) -> Share {
        self.share
    }

    fn cpu(&self) -> &AtomicUsize {
        &self.cpu
    }
}

/// All CPUs, and how many threads are not yet done.
pub(crate) struct System {
    pub(crate) cpus: Cpus<Explored, Thread>,
    count: usize,
    left: AtomicUsize,
}

impl System {
    /// Returns CPUs that run until `threads` threads are done.
    pub(crate) fn new(count: usize, threads: usize) -> Arc<System> {
        Arc::new(System { cpus: Cpus::new(), count, left: AtomicUsize::new(threads) })
    }

    /// Makes a thread that last ran on a CPU. Threads that begin on the same one are of the same share.
    pub(crate) fn thread(priority: u8, cpu: usize, body: Body) -> Arc<Thread> {
        let share = Share::new(cpu).expect("fewer CPUs than shares");
        let (cpu, priority) = (AtomicUsize::new(cpu), AtomicU8::new(priority));
        Arc::new(Thread { link: Link::new(), cpu, priority, share, body })
    }

    /// Changes a thread's priority.
    pub(crate) fn set_priority(&self, thread: &Arc<Thread>, priority: u8) {
        self.cpus.set_priority(thread, || thread.priority.store(priority, Ordering::SeqCst));
    }

    /// Returns whether an interrupt waits at this CPU; it is taken.
    pub(crate) fn interrupted() -> bool {
        <Explored as Machine>::step();
        core::mem::take(&mut *LINES[Explored::cpu()].0.lock().expect("no panic"))
    }

    /// Runs every CPU, the first threads being ready on theirs, until all are done.
    pub(crate) fn run(self: &Arc<System>, ready: Vec<Arc<Thread>>) {
        ready.into_iter().for_each(|thread| self.cpus.make_ready(thread));
        let cpus: Vec<_> = (0..self.count)
            .map(|cpu| {
                let system = self.clone();
                thread::spawn(move || {
                    CPU.with(|this| this.set(cpu));
                    system.cpu();
                })
            })
            .collect();
        cpus.into_iter().for_each(|cpu| cpu.join().expect("a CPU that did not panic"));
    }

    fn cpu(&self) {
        while self.left.load(Ordering::SeqCst) != 0 {
            self.cpus.look();
            match self.cpus.next() {
                Some(thread) => self.turn(thread),
                None if self.cpus.may_wait() => {
                    let (line, raised) = &LINES[Explored::cpu()];
                    let mut line = line.lock().expect("no panic");
                    while !*line && self.left.load(Ordering::SeqCst) != 0 {
                        line = raised.wait(line).expect("no panic");
                    }
                    *line = false;
                    drop(line);
                    self.cpus.woken();
                }
                None => {}
            }
        }
    }

    fn turn(&self, mut thread: Arc<Thread>) {
        let this = self.cpus.cpu(Explored::this_cpu());
        loop {
            if this.run(&self.cpus, &thread) == Turn::Over {
                self.cpus.look();
                self.cpus.put_back(thread);
                return;
            }
            let after = (thread.body)(self, &thread);
            if after != After::Yields {
                self.cpus.look();
                return self.leave(after);
            }
            thread = this.rotate(thread);
        }
    }

    /// Deals with a thread that does not go on.
    fn leave(&self, after: After) {
        if after == After::Ends && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            (0..self.count).for_each(Explored::interrupt);
        }
    }
}
