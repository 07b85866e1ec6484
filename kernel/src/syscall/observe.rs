//! Calls that look and change nothing.

use super::{Answer, Request, Result, Stop, range, user};
use crate::arch::{features, timer};
use crate::memory::contention;
use crate::memory::layout::image;
use crate::memory::machine::Hardware;
use crate::memory::{frames, pools};
use crate::platform;
use crate::process::handle::Object;
use crate::process::{Process, spaces};
use vellum_abi::{Error, Handle, MAX_QUERY_PAGES, Rights, Stat, SystemInfo};
use vellum_vm::addr::UserPointer;
use vellum_vm::machine::{Machine, Pools};

/// Reference objects of the kernel itself: the zero object.
const OWN_REFPAGES: u64 = 1;

pub(super) fn clock() -> Result {
    Ok(Answer::Value(timer::now()))
}

pub(super) fn stat(request: &Request<'_>) -> Result {
    let [target, out, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    let mut stat = Stat {
        total_frames: frames::total(),
        free_frames: frames::free(),
        refpages_live: Hardware.system().refpages() - OWN_REFPAGES,
        processes_live: Process::live(),
        pool_bytes: pools::live_bytes(),
        handles: target.handles.lock().count(),
        ..Stat::default()
    };
    target.space.report(&mut stat);
    user::write_words(request.process(), out, stat.to_words())?;
    Ok(Answer::Value(0))
}

pub(super) fn object_query(request: &Request<'_>) -> Result {
    let [handle, out, ..] = *request.arguments;
    let handle = Handle::from_word(handle).ok_or(Error::BadHandle)?;
    let (object, rights) = request.process().object(handle, Rights::NONE)?;
    let Object::Memory(object) = object else { return Err(Error::WrongObject.into()) };
    if !rights.contains(Rights::INSPECT) {
        return Err(Error::MissingRight.into());
    }
    // The reference that this call holds is not one of the object's users.
    let info = object.info(Hardware.owners(&object) - 1);
    user::write_words(request.process(), out, info.to_words())?;
    Ok(Answer::Value(0))
}

pub(super) fn query(request: &Request<'_>) -> Result {
    let [target, address, out, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    // An address with a tag or of the kernel is no page of anybody's.
    let page = UserPointer::new(address).page().filter(|_| address >> 48 == 0);
    let page = page.ok_or(Error::OutOfRange)?;
    let info = target.space.query(page).map_err(|refusal| Stop::from_refusal(refusal, &target))?;
    user::write_words(request.process(), out, info.to_words())?;
    Ok(Answer::Value(0))
}

pub(super) fn query_pages(request: &Request<'_>) -> Result {
    let [target, address, buffer, length, ..] = *request.arguments;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    if range.pages() > MAX_QUERY_PAGES {
        return Err(Error::InvalidSize.into());
    }
    let mut states = [0; MAX_QUERY_PAGES as usize];
    let states = &mut states[..range.pages() as usize];
    // The buffer may lie in the range: it is made writable before anybody looks.
    user::make_writable(request.process(), buffer, states.len() as u64)?;
    let looked = target.space.query_pages(&range, states);
    looked.map_err(|refusal| Stop::from_refusal(refusal, &target))?;
    user::copy_out(request.process(), UserPointer::new(buffer), states)
        .map_err(|short| short.stop)?;
    Ok(Answer::Value(range.pages()))
}

pub(super) fn system_query(request: &Request<'_>) -> Result {
    let (features, machine, image) = (features::get(), platform::description(), image());
    let info = SystemInfo {
        features: features.abi_bits(),
        cpus: machine.cpus as u64,
        ram_bytes: machine.ram_bytes,
        zero_block_bytes: features.zero_block_bytes as u64,
        tag_block_bytes: features.tag_block_bytes as u64,
        asid_bits: u64::from(spaces::asid_bits()),
        kernel_bytes: image.end - image.start,
        lock_waits: contention::waits(),
    };
    user::write_words(request.process(), request.arguments[0], info.to_words())?;
    Ok(Answer::Value(0))
}
