//! Calls that make, start, steer and end threads, and those by which threads wait for each other.

use super::user::copy_in;
use super::{Answer, Request, Result, user};
use crate::ipc::{Report, report};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::address::{Place, WordWait};
use crate::process::handle::Object;
use crate::process::{Outcome, Process, Thread, Wait, scheduler, timing};
use crate::trap;
use vellum_abi::{
    Error, Handle, MAX_WAKE, RegisterSet, Registers, Rights, VectorRegisters, WaitFlags,
};
use vellum_sched::{Priority, Task};
use vellum_vm::addr::UserPointer;
use vellum_vm::machine::Machine;

/// Bytes of a word that threads wait at.
const WORD: u64 = 4;

pub(super) fn thread_create(request: &Request<'_>) -> Result {
    let [target, word, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    if word != 0 {
        word_at(word)?;
    }
    let (account, priority) = (request.process().account(), request.thread.priority());
    let thread = Thread::create(&target, account, word, priority)?;
    let handle = request.process().give(Object::Thread(thread), Rights::ALL)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn thread_read_registers(request: &Request<'_>) -> Result {
    let [thread, out, set, ..] = *request.arguments;
    let set = RegisterSet::from_number(set).ok_or(Error::InvalidFlags)?;
    let thread = thread_of(request, thread, Rights::INSPECT)?;
    match set {
        RegisterSet::General => {
            let registers = thread.with_registers(|context| context.registers())?;
            user::write_words(request.process(), out, registers.to_words())?;
        }
        RegisterSet::Vectors => {
            let random = thread.registers.random();
            let registers = thread.with_registers(|context| context.vectors(random))?;
            user::write_words(request.process(), out, registers.to_words())?;
        }
    }
    Ok(Answer::Value(0))
}

pub(super) fn thread_write_registers(request: &Request<'_>) -> Result {
    let [thread, from, set, ..] = *request.arguments;
    let set = RegisterSet::from_number(set).ok_or(Error::InvalidFlags)?;
    let thread = thread_of(request, thread, Rights::MANAGE)?;
    if set == RegisterSet::Vectors {
        return write_vectors(request, &thread, from);
    }
    let words = user::read_words::<{ Registers::WORDS }>(request.process(), from)?;
    let registers = Registers::from_words(&words);
    if registers.pstate & !Registers::PSTATE_MASK != 0 {
        return Err(Error::InvalidRegisters.into());
    }
    thread.with_registers(|context| context.set_registers(&registers))?;
    Ok(Answer::Value(0))
}

fn write_vectors(request: &Request<'_>, thread: &Thread, from: u64) -> Result {
    let words = user::read_words::<{ VectorRegisters::WORDS }>(request.process(), from)?;
    let registers = VectorRegisters::from_words(&words);
    if registers.random & !VectorRegisters::RANDOM_MASK != 0 {
        return Err(Error::InvalidRegisters.into());
    }
    thread.with_registers(|context| {
        context.set_vectors(&registers);
        thread.registers.set_random(registers.random);
    })?;
    Ok(Answer::Value(0))
}

pub(super) fn thread_start(request: &Request<'_>) -> Result {
    let thread = thread_of(request, request.arguments[0], Rights::MANAGE)?;
    Thread::start(&thread)?;
    Ok(Answer::Value(0))
}

pub(super) fn thread_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<PoolArc<Thread>, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    if handle == Handle::CALLER {
        let caller = report::caller_of(request.thread)?;
        return Report::allow(rights).map(|()| caller);
    }
    request.process().named(handle, rights, |object| match object {
        Object::Thread(thread) => Some(thread.clone()),
        _ => None,
    })
}

pub(super) fn thread_exit(request: &Request<'_>) -> Result {
    request.thread.doom();
    Ok(Answer::Outcome(Outcome::Die))
}

pub(super) fn thread_kill(request: &Request<'_>) -> Result {
    let thread = thread_of(request, request.arguments[0], Rights::MANAGE)?;
    if !thread.doom() {
        return Err(Error::InvalidState.into());
    }
    if core::ptr::eq(&raw const *thread, &raw const **request.thread) {
        return Ok(Answer::Outcome(Outcome::Die));
    }
    Thread::interrupt(&thread);
    Ok(Answer::Value(0))
}

pub(super) fn thread_interrupt(request: &Request<'_>) -> Result {
    let thread = thread_of(request, request.arguments[0], Rights::MANAGE)?;
    Ok(Answer::Value(u64::from(timing::interrupt(&thread))))
}

pub(super) fn thread_set_priority(request: &Request<'_>) -> Result {
    let [word, priority, ..] = *request.arguments;
    let thread = if word == Handle::SELF.to_word() {
        request.thread.clone()
    } else {
        thread_of(request, word, Rights::MANAGE)?
    };
    let priority = Priority::new(priority).ok_or(Error::OutOfRange)?;
    // Neither more than the caller may have, nor more than the thread's process may.
    if priority > request.process().ceiling || priority > thread.process.ceiling {
        return Err(Error::NotPermitted.into());
    }
    Thread::set_priority(&thread, priority);
    Ok(Answer::Value(0))
}

pub(super) fn address_wait(request: &Request<'_>) -> Result {
    let [address, value, flags, timeout, ..] = *request.arguments;
    let flags = WaitFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let pointer = word_at(address)?;
    let value = u32::try_from(value).map_err(|_| Error::OutOfRange)?;
    let process = request.process();
    let mut bytes = [0; WORD as usize];
    copy_in(process, pointer, &mut bytes).map_err(|short| short.stop)?;
    if u32::from_le_bytes(bytes) != value {
        return Ok(Answer::Value(0));
    }
    if timeout == 0 {
        return Err(Error::TimedOut.into());
    }
    let place = Place::of(process, pointer, flags);
    *request.thread.word_wait.lock() = Some(WordWait { pointer, place, value });
    timing::begin(request.thread, timeout);
    Ok(Answer::Then(0, Outcome::Block(Wait::Word)))
}

pub(super) fn address_wake(request: &Request<'_>) -> Result {
    let [address, count, flags, ..] = *request.arguments;
    let flags = WaitFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let place = Place::of(request.process(), word_at(address)?, flags);
    let (mut paused, mut slice_over) = (false, false);
    let woken = place.wake(count.min(MAX_WAKE), || {
        if Hardware.should_pause() {
            (paused, slice_over) = (true, trap::serve_interrupts() || slice_over);
        }
    });
    // What came meanwhile may be more urgent.
    let outcome = if paused { scheduler::interrupted(slice_over) } else { Outcome::Resume };
    Ok(Answer::Then(woken, outcome))
}

/// Returns the pointer to a word that threads wait at.
fn word_at(address: u64) -> core::result::Result<UserPointer, Error> {
    let pointer = UserPointer::new(address);
    if !address.is_multiple_of(WORD) {
        Err(Error::Misaligned)
    } else if !pointer.is_user(WORD) {
        Err(Error::BadAddress)
    } else {
        Ok(pointer)
    }
}
