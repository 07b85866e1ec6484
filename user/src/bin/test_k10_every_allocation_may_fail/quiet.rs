//! Calls that never allocate: armed for the first allocation, nothing fails, because there is none.

use super::{PLACE, arm, close, six_pages, tried, unmap};
use core::sync::atomic::{AtomicU32, Ordering};
use vellum_user::abi::start::Device;
use vellum_user::abi::{Call, Error, FOR_EVER, Handle, PAGE_SIZE, Rights, TagMode, WaitFlags};
use vellum_user::devices::Devices;
use vellum_user::threads::spawn;
use vellum_user::{Endpoint, MemoryObject, Notification, Process, calls, check, raw, testing};

/// Makes a call with the next allocation failing, and checks that there was none.
fn quiet(call: Call, arguments: [u64; 6]) {
    tried(call);
    check!("armed", arm(1).is_ok());
    // SAFETY: the calls change none of this process's memory.
    let (status, _) = unsafe { raw::call(call as u64, arguments) };
    let injected = arm(0);
    let name = call.name();
    check!(name, matches!(Error::from_number(status), None | Some(Error::TagsUnsupported)));
    check!(format_args!("{name} allocates nothing"), injected, Ok(0));
}

pub(crate) fn allocate_nothing() -> Result<(), Error> {
    let own = Handle::SELF.to_word();
    quiet(Call::Null, [0; 6]);
    quiet(Call::Yield, [0; 6]);
    quiet(Call::Clock, [0; 6]);
    quiet(Call::ThreadTagMode, [own, 0, 0, 0, 0, 0]);
    let mode = calls::thread_tag_mode(Handle::SELF).map_or(TagMode::None, |control| control.mode);
    quiet(Call::ThreadSetTagMode, [own, mode as u64, 0, 0, 0, 0]);
    quiet(Call::Test, [0; 6]);
    let object = MemoryObject::pattern(9)?;
    let copy = calls::handle_copy(Handle::SELF, object.handle(), Rights::NONE)?;
    quiet(Call::HandleClose, [copy.to_word(), 0, 0, 0, 0, 0]);
    check!("closed", close(copy.to_word()), Err(Error::BadHandle));
    let child = Process::new()?;
    let thread = child.thread()?;
    // It dies at once: nothing is mapped there.
    quiet(Call::ThreadStart, [thread.handle().to_word(), 0, 0, 0, 0, 0]);
    let other = Process::new()?;
    let endpoint = Endpoint::new()?.into_handle().to_word();
    quiet(Call::ProcessSetHandler, [other.handle().to_word(), endpoint, 0, 0, 0, 0]);
    quiet(Call::HandleClose, [endpoint, 0, 0, 0, 0, 0]);
    quiet(Call::ProcessKill, [other.handle().to_word(), 0, 0, 0, 0, 0]);
    child.wait()?;
    // Decommitting needs no memory either, even inside a mapping.
    six_pages()?;
    quiet(Call::Advise, [own, PLACE + PAGE_SIZE, PAGE_SIZE, 0, 0, 0]);
    unmap(PLACE, 6)?;
    threads(own)?;
    for (call, word) in [(Call::Exit, "leave"), (Call::ThreadExit, "part")] {
        tried(call);
        let report = testing::run_self(&[word]);
        check!(call.name(), (testing::exited_with(&report, 0), arm(0)), (true, Ok(0)));
    }
    Ok(())
}

/// The calls on threads that run, and those by which they wait.
fn threads(own: u64) -> Result<(), Error> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let word = WORD.as_ptr().expose_provenance() as u64;
    quiet(Call::ThreadSetPriority, [own, 16, 0, 0, 0, 0]);
    quiet(Call::AddressWait, [word, 1, 0, FOR_EVER, 0, 0]);
    quiet(Call::AddressWake, [word, 1, 0, 0, 0, 0]);
    let notification = Notification::new()?;
    quiet(Call::NotificationRaise, [notification.handle().to_word(), 1, 0, 0, 0, 0]);
    quiet(Call::NotificationWait, [notification.handle().to_word(), FOR_EVER, 0, 0, 0, 0]);
    if let Some(line) = Devices::own().get(Device::ClockInterrupt) {
        let (line, bits) = (line.to_word(), notification.handle().to_word());
        quiet(Call::InterruptBind, [line, bits, 1, 0, 0, 0]);
        quiet(Call::InterruptAcknowledge, [line, 0, 0, 0, 0, 0]);
    }
    let thread = spawn(|| {
        WORD.store(2, Ordering::Relaxed);
        loop {
            calls::address_wait(&WORD, 2, WaitFlags::NONE);
        }
    })?;
    // Once it was woken it has all the stack that it needs: what fails from now on is not its.
    while calls::address_wake(&WORD, 1, WaitFlags::NONE) == 0 {
        calls::yield_now();
    }
    quiet(Call::ThreadInterrupt, [thread.handle().to_word(), 0, 0, 0, 0, 0]);
    quiet(Call::ThreadKill, [thread.handle().to_word(), 0, 0, 0, 0, 0]);
    check!("no result", thread.join(), None::<()>);
    Ok(())
}

/// Ends this process's only thread, with the next allocation failing.
pub(crate) fn part() -> ! {
    _ = arm(1);
    calls::thread_exit()
}

/// Ends this process, with the next allocation failing.
pub(crate) fn leave() -> ! {
    _ = arm(1);
    calls::exit(0)
}
