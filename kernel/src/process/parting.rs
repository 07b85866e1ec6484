//! How a thread that has to end parts from its process.
//!
//! Owns: the order of it, and which processes each CPU has in hand. Refuses to know: how a process is
//! taken down (`end`).
//!
//! Invariant: when a process is gone for whoever waits for its end ([`is_let_go`]), no CPU has a
//! reference to it or to one of its threads any more but for handles; the same holds for a thread whose
//! handle is closed ([`has_let_go_of`]). So closing the last handle gives everything back, and what is
//! free then is exact, however many CPUs had a part in it.

use super::thread::Standing;
use super::{Life, Process, Thread, Wait, address, paging};
use crate::ipc::{endpoint, handling, report};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::{percpu, trap};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use vellum_vm::machine::Machine;
use vellum_vm::ops::AccessRefusal;

/// The addresses of what a CPU has in hand, for comparison alone: during a switch the thread, its
/// process, and the process that the thread goes to wait for; and the process whose tables are active. 0
/// is none.
pub struct InHand([AtomicUsize; 4]);

impl InHand {
    /// Returns what a CPU has in hand that runs nothing yet.
    pub const fn nothing() -> InHand {
        InHand([const { AtomicUsize::new(0) }; 4])
    }
}

const THREAD: usize = 0;
const PROCESS: usize = 1;
const AWAITED: usize = 2;
const ACTIVE: usize = 3;

/// How far a thread came.
pub(super) enum Parting {
    /// It is gone; others of the process are left.
    Gone,
    /// An interrupt waits, and there is more to do.
    Paused,
    /// Somebody is changing the address space, which is in the way.
    Block(Wait),
    /// It was the last: it takes the process down.
    Last,
}

fn number<T>(value: &T) -> usize {
    ptr::from_ref(value).addr()
}

fn set(slot: usize, number: usize) {
    percpu::this().in_hand.0[slot].store(number, Ordering::SeqCst);
}

fn nobody_has(number: usize) -> bool {
    percpu::in_hand().flat_map(|cpu| &cpu.0).all(|slot| slot.load(Ordering::SeqCst) != number)
}

/// Declares that this CPU has a thread in hand, which another CPU may get hold of before this one has
/// let go of it.
pub fn take_in_hand(thread: &Thread) {
    let words = &percpu::this().in_hand.0;
    words[THREAD].store(number(thread), Ordering::SeqCst);
    words[PROCESS].store(number::<Process>(&thread.process), Ordering::SeqCst);
}

/// Declares likewise that the thread goes to wait for something of a process.
pub(super) fn wait_in_hand(process: Option<&PoolArc<Process>>) {
    set(AWAITED, process.map_or(0, |process| number::<Process>(process)));
}

/// Declares that this CPU has let go of what it had in hand for a switch.
pub fn let_go() {
    let words = &percpu::this().in_hand.0;
    [THREAD, PROCESS, AWAITED].iter().for_each(|slot| words[*slot].store(0, Ordering::SeqCst));
}

/// Declares which process's tables this CPU has active, when it has let go of the one before.
pub(super) fn has_active(process: Option<&Process>) {
    set(ACTIVE, process.map_or(0, number));
}

/// Returns whether no CPU has a process in hand, which is dead.
pub fn is_let_go(process: &Process) -> bool {
    nobody_has(number(process))
}

/// Returns whether no CPU has a thread in hand that is about to end. One whose process ends may be
/// taking that down, which takes long, and is let go of before the process is.
pub fn has_let_go_of(thread: &Thread) -> bool {
    let process_ends = matches!(thread.process.life(), Life::Ending(_));
    thread.standing() == Standing::Runs || process_ends || nobody_has(number(thread))
}

/// Parts a thread from its process, which may end or go on without it. This CPU has no address
/// space active.
pub(super) fn part(thread: &PoolArc<Thread>) -> Parting {
    let process = &thread.process;
    if !process.is_alive() {
        loop {
            let Some(sibling) = process.threads.lock().tell() else { break };
            Thread::interrupt(&sibling);
            if Hardware.should_pause() {
                return Parting::Paused;
            }
        }
    }
    endpoint::abandon(thread);
    // A server that was called when it had to end has its note still.
    thread.waiting.end();
    report::forget(thread);
    paging::answered(thread, None);
    // Nothing of it runs any more: what it ran on may go.
    if let Some(word) = thread.word()
        && address::clear_and_wake(process, word) == Err(AccessRefusal::Changing)
    {
        return Parting::Block(Wait::AtRest(process.clone()));
    }
    thread.forget_word();
    if Thread::part(thread) {
        return Parting::Last;
    }
    handling::left_alone(process);
    // As many threads as there are may part in a row, with nobody's turn between.
    if Hardware.should_pause() {
        trap::serve_interrupts();
    }
    Parting::Gone
}

/// Tells others that what a thread in hand waited for is there.
pub(super) fn pass_on(wait: Wait) {
    wait_in_hand(wait.process());
    wait.pass_on();
    drop(wait);
    // What the thread does next may take long.
    set(AWAITED, 0);
}
