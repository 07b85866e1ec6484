//! A handle table with no room left. The table never shrinks, so this runs in a process of its own.

use crate::state::State;
use vellum_user::abi::{Call, Error, Handle, PAGE_SIZE, Rights};
use vellum_user::mapping::PAGE;
use vellum_user::{Endpoint, Mapping, MemoryObject, Process, calls, check, raw};

/// More handles than a table may ever have.
const MANY: u64 = 1 << 20;

/// Fills the table, asks every call that gives out a handle for one more, and empties the table.
pub(crate) fn check_full_table() -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.write(0, 1);
    let (object, child, other) = (MemoryObject::pattern(1)?, Process::new()?, Process::new()?);
    let (none, endpoint) = (Rights::NONE, Endpoint::new()?);
    let first = calls::handle_copy(Handle::SELF, object.handle(), none)?;
    let mut last = first;
    let refusal = (0..MANY).find_map(|_| {
        match calls::handle_copy(Handle::SELF, object.handle(), Rights::NONE) {
            Ok(handle) => {
                last = handle;
                None
            }
            Err(error) => Some(error),
        }
    });
    check!("the table is full", refusal, Some(Error::OutOfHandles));
    let own = Handle::SELF.to_word();
    let object_word = object.handle().to_word();
    let calls: [(Call, [u64; 3]); 11] = [
        (Call::HandleCopy, [own, object_word, 0]),
        (Call::RefpageCreate, [content.address() as u64, 16, 0]),
        (Call::RefpageCreateFrameless, [content.address() as u64, 16, 0]),
        (Call::RefpageCreatePattern, [2, 0, 0]),
        (Call::RefpageCreateTag, [0, 0, 0]),
        (Call::MemoryCreate, [PAGE_SIZE, 0, 0]),
        (Call::ProcessCreate, [own, 0, 0]),
        (Call::ThreadCreate, [child.handle().to_word(), 0, 0]),
        (Call::EndpointCreate, [0; 3]),
        (Call::NotificationCreate, [0; 3]),
        (Call::PagerCreate, [endpoint.handle().to_word(), PAGE_SIZE, 0]),
    ];
    for (call, [x0, x1, x2]) in calls {
        let before = State::now();
        // SAFETY: the call is refused; if it were not, it would make a handle and touch no memory.
        let answer = unsafe { raw::call(call as u64, [x0, x1, x2, 0, 0, 0]) };
        let name = format_args!("{} with a full table", call.name());
        check!(name, answer, (Error::OutOfHandles as u64, 0));
        check!(format_args!("{name}: what it changed"), State::now(), before);
    }
    // Another process's table has room.
    let theirs = object.copy_to(&other, Rights::READ);
    check!("a copy for another process", theirs.is_ok());
    // One handle less is room for one.
    check!("closing the last handle", calls::handle_close(last), Ok(()));
    let thread = child.thread();
    check!("a thread in the free slot", thread.is_ok());
    drop(thread);
    check!("the closed handle", calls::handle_close(last), Err(Error::BadHandle));
    Ok(())
}
