//! Calls that make objects and move handles.

use super::{Answer, Request, Result, Stop, no_flags};
use crate::ipc::handling;
use crate::memory::machine::Hardware;
use crate::process::handle::Object;
use crate::process::{Process, Wait, end_operation, has_let_go_of, orphan};
use vellum_abi::{Error, Handle, MemoryFlags, Rights};
use vellum_vm::addr::UserPointer;
use vellum_vm::counters::Counters;
use vellum_vm::object::{Extent, MemoryObject};
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

/// What the maker of a reference object may do with it: nobody writes one.
const REFERENCE: Rights =
    Rights::READ.union(Rights::MAP).union(Rights::TRANSFER).union(Rights::INSPECT);
/// What the maker of a memory object may do with it.
const MEMORY: Rights = REFERENCE.union(Rights::WRITE).union(Rights::EXECUTE);

pub(super) fn refpage_create(request: &Request<'_>) -> Result {
    let [content, size, flags, ..] = *request.arguments;
    // Flags first: the order of the thread's version 5.
    no_flags(flags)?;
    let process = request.process();
    give_reference(request, |counters| {
        refpage::from_user(&process.space, UserPointer::new(content), size, counters)
            .map_err(|refusal| Stop::from_refusal(refusal, process))
    })
}

pub(super) fn refpage_create_frameless(request: &Request<'_>) -> Result {
    let [content, size, flags, ..] = *request.arguments;
    no_flags(flags)?;
    let process = request.process();
    give_reference(request, |counters| {
        refpage::frameless_from_user(&process.space, UserPointer::new(content), size, counters)
            .map_err(|refusal| Stop::from_refusal(refusal, process))
    })
}

pub(super) fn refpage_create_pattern(request: &Request<'_>) -> Result {
    let [byte, flags, ..] = *request.arguments;
    no_flags(flags)?;
    let byte = u8::try_from(byte).map_err(|_| Error::InvalidContent)?;
    let account = request.process().account();
    give_reference(request, |counters| Ok(refpage::pattern(&Hardware, account, byte, counters)?))
}

pub(super) fn refpage_create_tag(request: &Request<'_>) -> Result {
    let [tag, flags, ..] = *request.arguments;
    no_flags(flags)?;
    let tag = Tag::new(tag).ok_or(Error::InvalidContent)?;
    let account = request.process().account();
    give_reference(request, |counters| Ok(refpage::tagged(&Hardware, account, tag, counters)?))
}

pub(super) fn memory_create(request: &Request<'_>) -> Result {
    let [length, flags, ..] = *request.arguments;
    let flags = MemoryFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let extent = if flags.contains(MemoryFlags::WRAP) { Extent::Wraps } else { Extent::Ends };
    let account = request.process().account().clone();
    let object = MemoryObject::memory_of(Hardware, account, length, extent)?;
    give(request, object, MEMORY)
}

/// Makes a reference object and gives it a handle; where there is none to be had, nothing was made. Other
/// threads of the process count meanwhile, so what was made is counted apart until then.
fn give_reference(
    request: &Request<'_>,
    make_fn: impl FnOnce(&Counters) -> core::result::Result<MemoryObject<Hardware>, Stop>,
) -> Result {
    let counters = Counters::new();
    let answer = give(request, make_fn(&counters)?, REFERENCE)?;
    refpage::count(request.process().space.counters(), &counters);
    Ok(answer)
}

fn give(request: &Request<'_>, object: MemoryObject<Hardware>, rights: Rights) -> Result {
    let handle = request.process().give_memory(object, rights)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn handle_close(request: &Request<'_>) -> Result {
    let handle = Handle::from_word(request.arguments[0]).ok_or(Error::BadHandle)?;
    let mut handles = request.process().handles.lock();
    if let (Object::Thread(thread), _) = handles.find(handle, Rights::NONE)?
        && !has_let_go_of(thread)
    {
        // Another CPU is about to let go of it: a matter of moments.
        return Err(Stop::Restart(Wait::AtRest(request.process().clone())));
    }
    // The object is dropped behind the lock: it may hold much.
    let object = handles.remove(handle)?;
    drop(handles);
    let orphan = orphan(object);
    handling::forget_closed(request.thread);
    request.thread.forget_closed();
    match orphan {
        Some(process) => {
            let (_, outcome) = end_operation(process).begin(request.thread);
            Ok(Answer::Then(0, outcome))
        }
        None => Ok(Answer::Value(0)),
    }
}

pub(super) fn handle_copy(request: &Request<'_>) -> Result {
    let [target, handle, rights, ..] = *request.arguments;
    let rights = Rights::from_bits(rights).ok_or(Error::InvalidFlags)?;
    let handle = Handle::from_word(handle).ok_or(Error::BadHandle)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let (object, held) = request.process().object(handle, Rights::TRANSFER)?;
    if !held.contains(rights) {
        return Err(Error::MissingRight.into());
    }
    if matches!(object, Object::Process(_) | Object::Thread(_)) && !target.has_started() {
        return Err(Error::InvalidState.into());
    }
    Ok(Answer::Value(target.give(object, rights)?.to_word()))
}
