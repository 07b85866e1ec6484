//! Handles that close themselves: memory objects, processes, threads, endpoints.

mod messages;
mod pagers;

use crate::calls;
use core::time::Duration;
use vellum_abi::{
    AccountInfo, Advice, Error, ExitReport, Handle, HandlerFlags, Limits, MapOptions, MappingInfo,
    MemoryFlags, ObjectInfo, Protection, Registers, RemapFlags, Rights, Stat,
};

/// Defines an owner of a handle.
macro_rules! owned {
    ($($(#[$meta:meta])* $name:ident;)*) => { $(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(Handle);

        impl $name {
            /// Takes over a handle that nobody else closes.
            #[must_use]
            pub const fn from_handle(handle: Handle) -> $name {
                $name(handle)
            }

            /// Returns the handle's value; it stays valid while `self` lives.
            #[must_use]
            pub const fn handle(&self) -> Handle {
                self.0
            }

            /// Gives the handle up without closing it.
            #[must_use]
            pub fn into_handle(self) -> Handle {
                let handle = self.0;
                core::mem::forget(self);
                handle
            }

            /// Puts a copy with at most `rights` into `process`; returns its value there.
            ///
            /// # Errors
            /// Those of [`calls::handle_copy`].
            pub fn copy_to(&self, process: &Process, rights: Rights) -> Result<Handle, Error> {
                calls::handle_copy(process.0, self.0, rights)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // Closing fails only for a handle that is closed already, which is what is wanted.
                let _ = calls::handle_close(self.0);
            }
        }
    )* };
}

owned! {
    /// Page-indexed contents that can be mapped. Mappings keep the object alive by themselves.
    MemoryObject;
    /// Another process. Dropping it neither ends the process nor reaps it; see [`Process::wait`].
    Process;
    /// A thread: of another process, or one that [`crate::threads`] keeps.
    Thread;
    /// Where callers and servers meet.
    Endpoint;
    /// Bits to wait for.
    Notification;
    /// A device's line to the interrupt controller.
    Interrupt;
    /// Who pays. It lives as long as anything is charged to it, by whatever process.
    Account;
}

impl Account {
    /// Makes an account with limits taken out of those of this process's own.
    ///
    /// # Errors
    /// Those of [`calls::account_create`].
    pub fn new(limits: &Limits) -> Result<Account, Error> {
        calls::account_create(Handle::SELF, limits).map(Account)
    }

    /// Makes an account with limits taken out of this one's.
    ///
    /// # Errors
    /// Those of [`calls::account_create`].
    pub fn child(&self, limits: &Limits) -> Result<Account, Error> {
        calls::account_create(self.0, limits).map(Account)
    }

    /// Returns limits and use.
    ///
    /// # Errors
    /// Those of [`calls::account_query`].
    pub fn query(&self) -> Result<AccountInfo, Error> {
        calls::account_query(self.0)
    }
}

impl MemoryObject {
    /// Makes an object of `length` zero bytes.
    ///
    /// # Errors
    /// Those of [`calls::memory_create`].
    pub fn new(length: u64) -> Result<MemoryObject, Error> {
        calls::memory_create(length, 0).map(MemoryObject)
    }

    /// Makes a reference object whose page repeats `content`, which must be a power of two of
    /// bytes, at most a page, and aligned to its length.
    ///
    /// # Errors
    /// Those of [`calls::refpage_create`].
    pub fn reference(content: &[u8]) -> Result<MemoryObject, Error> {
        calls::refpage_create(content.as_ptr(), content.len() as u64, 0).map(MemoryObject)
    }

    /// Makes a reference object of one repeated byte.
    ///
    /// # Errors
    /// Those of [`calls::refpage_create_pattern`].
    pub fn pattern(byte: u8) -> Result<MemoryObject, Error> {
        calls::refpage_create_pattern(u64::from(byte), 0).map(MemoryObject)
    }

    /// Makes a reference object of zeros under one allocation tag.
    ///
    /// # Errors
    /// Those of [`calls::refpage_create_tag`].
    pub fn tagged(tag: u8) -> Result<MemoryObject, Error> {
        calls::refpage_create_tag(u64::from(tag), 0).map(MemoryObject)
    }

    /// Makes a reference object of `content` that has no frame; see [`Self::reference`].
    ///
    /// # Errors
    /// Those of [`calls::refpage_create_frameless`].
    pub fn frameless(content: &[u8]) -> Result<MemoryObject, Error> {
        calls::refpage_create_frameless(content.as_ptr(), content.len() as u64, 0).map(MemoryObject)
    }

    /// Makes an object of `length` zero bytes that repeats without end.
    ///
    /// # Errors
    /// Those of [`calls::memory_create`].
    pub fn wrap(length: u64) -> Result<MemoryObject, Error> {
        calls::memory_create(length, MemoryFlags::WRAP.bits()).map(MemoryObject)
    }

    /// Returns what the object is.
    ///
    /// # Errors
    /// Those of [`calls::object_query`].
    pub fn query(&self) -> Result<ObjectInfo, Error> {
        calls::object_query(self.0)
    }
}

/// A `Process` names another process, never the caller's own: what its calls do to memory cannot
/// touch the caller's, which is why they are safe.
impl Process {
    /// Makes an empty process, this one's child.
    ///
    /// # Errors
    /// Those of [`calls::process_create`].
    pub fn new() -> Result<Process, Error> {
        calls::process_create(Handle::SELF).map(Process)
    }

    /// Makes an empty process that an account pays for.
    ///
    /// # Errors
    /// Those of [`calls::process_create`].
    pub fn paid_by(account: &Account) -> Result<Process, Error> {
        calls::process_create(account.0).map(Process)
    }

    /// Maps an object into the process; returns the address.
    ///
    /// # Errors
    /// Those of [`calls::map`]; `BadHandle` for a process made from [`Handle::SELF`].
    pub fn map(
        &self,
        object: Handle,
        address: u64,
        length: u64,
        options: MapOptions,
        offset: u64,
    ) -> Result<u64, Error> {
        self.other()?;
        // SAFETY: the range belongs to another process.
        unsafe { calls::map(self.0, object, address, length, options, offset) }
    }

    /// Removes mappings of the process.
    ///
    /// # Errors
    /// Those of [`calls::unmap`].
    pub fn unmap(&self, address: u64, length: u64) -> Result<(), Error> {
        self.other()?;
        // SAFETY: the range belongs to another process.
        unsafe { calls::unmap(self.0, address, length) }
    }

    /// Resizes or moves a mapping of the process, or a part of one: address and bytes before, and
    /// bytes after. Returns the address.
    ///
    /// # Errors
    /// Those of [`calls::remap`].
    pub fn remap(
        &self,
        old: (u64, u64),
        length: u64,
        flags: RemapFlags,
        new: u64,
    ) -> Result<u64, Error> {
        self.other()?;
        // SAFETY: both ranges belong to another process.
        unsafe { calls::remap(self.0, old, length, flags, new) }
    }

    /// Changes the protection of pages of the process.
    ///
    /// # Errors
    /// Those of [`calls::protect`].
    pub fn protect(&self, address: u64, length: u64, protection: Protection) -> Result<(), Error> {
        self.other()?;
        // SAFETY: the range belongs to another process.
        unsafe { calls::protect(self.0, address, length, protection) }
    }

    /// Gives private frames of the process back.
    ///
    /// # Errors
    /// Those of [`calls::advise`].
    pub fn decommit(&self, address: u64, length: u64) -> Result<(), Error> {
        self.other()?;
        // SAFETY: the range belongs to another process.
        unsafe { calls::advise(self.0, address, length, Advice::Decommit) }
    }

    /// Returns the mapping at `address`, or the next above it.
    ///
    /// # Errors
    /// Those of [`calls::query_mapping`].
    pub fn query(&self, address: u64) -> Result<MappingInfo, Error> {
        calls::query_mapping(self.0, address)
    }

    /// Copies the process's memory into `buffer`; see [`calls::memory_read`].
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> (usize, Result<(), Error>) {
        calls::memory_read(self.0, address, buffer)
    }

    /// Copies `bytes` into the process's memory; see [`calls::memory_write`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> (usize, Result<(), Error>) {
        if let Err(error) = self.other() {
            return (0, Err(error));
        }
        // SAFETY: the memory belongs to another process.
        unsafe { calls::memory_write(self.0, address, bytes) }
    }

    /// Returns the process's counters.
    ///
    /// # Errors
    /// Those of [`calls::stat`].
    pub fn stat(&self) -> Result<Stat, Error> {
        calls::stat(self.0)
    }

    /// Waits for the process's end.
    ///
    /// # Errors
    /// Those of [`calls::process_wait`].
    pub fn wait(&self) -> Result<ExitReport, Error> {
        calls::process_wait(self.0)
    }

    /// As [`Self::wait`], for a time at most.
    ///
    /// # Errors
    /// Those of [`calls::process_wait_for`].
    pub fn wait_for(&self, timeout: Duration) -> Result<ExitReport, Error> {
        calls::process_wait_for(self.0, timeout)
    }

    /// Ends the process.
    ///
    /// # Errors
    /// Those of [`calls::process_kill`].
    pub fn kill(&self) -> Result<(), Error> {
        calls::process_kill(self.0)
    }

    /// Sets where faults of the process are reported, under the badge of the handle.
    ///
    /// # Errors
    /// Those of [`calls::process_set_handler`].
    pub fn set_handler(&self, endpoint: &Endpoint) -> Result<(), Error> {
        calls::process_set_handler(self.0, Some(endpoint.0), HandlerFlags::NONE)
    }

    /// Likewise of a process that was not started, and makes it foreign: its calls are reported too.
    ///
    /// # Errors
    /// Those of [`calls::process_set_handler`].
    pub fn set_foreign_handler(&self, endpoint: &Endpoint) -> Result<(), Error> {
        calls::process_set_handler(self.0, Some(endpoint.0), HandlerFlags::FOREIGN)
    }

    /// Makes a stopped thread in the process.
    ///
    /// # Errors
    /// Those of [`calls::thread_create`].
    pub fn thread(&self) -> Result<Thread, Error> {
        self.other()?;
        calls::thread_create(self.0, 0).map(Thread)
    }

    /// Refuses the constant that names the caller: the methods' safety rests on it.
    fn other(&self) -> Result<(), Error> {
        if self.0 == Handle::SELF { Err(Error::BadHandle) } else { Ok(()) }
    }
}

impl Thread {
    /// Returns the stopped thread's registers.
    ///
    /// # Errors
    /// Those of [`calls::thread_read_registers`].
    pub fn registers(&self) -> Result<Registers, Error> {
        calls::thread_read_registers(self.0)
    }

    /// Writes the stopped thread's registers.
    ///
    /// # Errors
    /// Those of [`calls::thread_write_registers`].
    pub fn write_registers(&self, registers: &Registers) -> Result<(), Error> {
        calls::thread_write_registers(self.0, registers)
    }

    /// Lets the thread run.
    ///
    /// # Errors
    /// Those of [`calls::thread_start`].
    pub fn start(&self) -> Result<(), Error> {
        // SAFETY: a `Thread` comes from `Process::thread`, so it runs in another process, or from
        // `from_handle`, whose caller answers for a thread of its own process.
        unsafe { calls::thread_start(self.0) }
    }

    /// Ends the call in which the thread waits for something. Returns whether it did.
    ///
    /// # Errors
    /// Those of [`calls::thread_interrupt`].
    pub fn interrupt(&self) -> Result<bool, Error> {
        calls::thread_interrupt(self.0)
    }
}
