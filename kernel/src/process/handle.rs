//! Handle tables: how processes name objects, with rights.
//!
//! Owns: the slots, their generations and the check of rights. Refuses to know: what the objects
//! do. A table grows in chunks from the pools and never shrinks before its process goes; a slot's
//! generation changes when its handle is closed, so that a stale handle names nothing.

use crate::ipc::{Interrupt, Named, NotificationName};
use crate::memory::machine::Hardware;
use crate::memory::pools::{PoolArc, PoolBox};
use crate::process::{Process, Thread};
use vellum_abi::{Error, Handle, Rights};
use vellum_vm::account::Account;
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;

/// Slots in a chunk and chunks in a directory.
const FAN_OUT: usize = 64;
/// Directories in a table.
const DIRECTORIES: usize = 32;
/// The most handles that a process may have.
pub const MAX_HANDLES: u32 = (DIRECTORIES * FAN_OUT * FAN_OUT) as u32;
/// Slots that [`HandleTable::remove_from`] looks at.
const SCAN: u32 = 256;
/// No slot.
const NONE: u32 = u32::MAX;

/// What a handle names.
#[derive(Clone)]
pub enum Object {
    /// A process and its address space.
    Process(PoolArc<Process>),
    /// A thread.
    Thread(PoolArc<Thread>),
    /// Contents that can be mapped.
    Memory(PoolArc<MemoryObject<Hardware>>),
    /// Who pays.
    Account(PoolArc<Account>),
    /// Where callers and servers meet.
    Endpoint(Named),
    /// Bits to wait for.
    Notification(NotificationName),
    /// A device's line.
    Interrupt(&'static Interrupt),
}

impl Object {
    /// Returns what a handle with these rights names.
    fn restricted(self, rights: Rights) -> Object {
        match self {
            Object::Endpoint(named) if !rights.contains(Rights::READ) => {
                Object::Endpoint(named.without_receiving())
            }
            object => object,
        }
    }

    /// Returns whether one can receive messages by this.
    fn receives(&self) -> bool {
        matches!(self, Object::Endpoint(named) if named.receives())
    }

    /// Returns the process that a handle to this keeps within reach.
    pub fn process(&self) -> Option<&PoolArc<Process>> {
        match self {
            Object::Process(process) => Some(process),
            Object::Thread(thread) => Some(&thread.process),
            Object::Memory(_)
            | Object::Account(_)
            | Object::Endpoint(_)
            | Object::Notification(_)
            | Object::Interrupt(_) => None,
        }
    }
}

struct Slot {
    object: Option<Object>,
    rights: Rights,
    generation: u16,
    /// The next free slot, while this one is free.
    next: u32,
}

type Chunk = [Slot; FAN_OUT];
type Directory = [Option<PoolBox<Chunk>>; FAN_OUT];

/// The handles of one process.
pub struct HandleTable {
    /// Who pays for handles and chunks.
    account: PoolArc<Account>,
    directories: [Option<PoolBox<Directory>>; DIRECTORIES],
    /// Slots that exist.
    length: u32,
    /// The first free slot.
    free: u32,
    count: u64,
    /// Handles that allow to receive messages.
    receivers: u64,
}

impl HandleTable {
    /// Returns an empty table, whose handles and chunks `account` pays for.
    pub const fn new(account: PoolArc<Account>) -> HandleTable {
        let directories = [const { None }; DIRECTORIES];
        HandleTable { account, directories, length: 0, free: NONE, count: 0, receivers: 0 }
    }

    /// Returns how many handles there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the object that a handle names, if it carries the rights.
    ///
    /// # Errors
    /// `BadHandle`, `MissingRight`.
    #[inline(always)]
    pub fn find(&self, handle: Handle, rights: Rights) -> Result<(&Object, Rights), Error> {
        let slot = self.slot(handle.index()).ok_or(Error::BadHandle)?;
        let object = slot.object.as_ref().ok_or(Error::BadHandle)?;
        if u32::from(slot.generation) != handle.generation() {
            return Err(Error::BadHandle);
        }
        if !slot.rights.contains(rights) {
            return Err(Error::MissingRight);
        }
        Ok((object, slot.rights))
    }

    /// Returns the endpoint that a handle names, if it is one and carries the rights. As [`Self::find`], for who
    /// need not know why not.
    #[inline(always)]
    pub fn find_endpoint(&self, handle: Handle, rights: Rights) -> Option<&Named> {
        let slot = self.slot(handle.index())?;
        let Some(Object::Endpoint(named)) = &slot.object else { return None };
        let is_it = u32::from(slot.generation) == handle.generation();
        (is_it && slot.rights.contains(rights)).then_some(named)
    }

    /// Gives an object a handle.
    ///
    /// # Errors
    /// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`; the object is dropped.
    pub fn insert(&mut self, object: Object, rights: Rights) -> Result<Handle, Error> {
        if self.free == NONE {
            self.grow()?;
        }
        self.account.charge_handle()?;
        let index = self.free;
        let slot = self.slot_mut(index).ok_or(Error::OutOfHandles)?;
        object.process().into_iter().for_each(|process| process.gain_name());
        let object = object.restricted(rights);
        let receives = u64::from(object.receives());
        slot.object = Some(object);
        slot.rights = rights;
        let (generation, next) = (u32::from(slot.generation), slot.next);
        self.free = next;
        self.count += 1;
        self.receivers += receives;
        Ok(Handle::new(index, generation))
    }

    /// Returns whether a handle allows to receive messages.
    pub fn can_receive(&self) -> bool {
        self.receivers != 0
    }

    /// Closes a handle and returns what it named, to be dropped when no lock is held.
    ///
    /// # Errors
    /// `BadHandle`.
    pub fn remove(&mut self, handle: Handle) -> Result<Object, Error> {
        self.find(handle, Rights::NONE)?;
        self.clear_slot(handle.index()).ok_or(Error::BadHandle)
    }

    /// Closes the first handle at or above an index, looking at a bounded number of slots. Returns
    /// where to go on, and what a handle named; `None` at the end of the table.
    pub fn remove_from(&mut self, index: u32) -> Option<(u32, Option<Object>)> {
        if index >= self.length {
            return None;
        }
        let end = self.length.min(index + SCAN);
        let used = |index: &u32| self.slot(*index).is_some_and(|slot| slot.object.is_some());
        Some(match (index..end).find(used) {
            Some(index) => (index + 1, self.clear_slot(index)),
            None => (end, None),
        })
    }

    /// Gives the chunks back. Every handle is closed.
    pub fn release(&mut self) {
        for directory in self.directories.iter_mut().filter_map(Option::take) {
            let chunks = directory.iter().flatten().count();
            self.account.credit_kernel(chunks * size_of::<Chunk>() + size_of::<Directory>());
        }
        (self.length, self.free, self.count, self.receivers) = (0, NONE, 0, 0);
    }

    fn clear_slot(&mut self, index: u32) -> Option<Object> {
        let free = self.free;
        let slot = self.slot_mut(index)?;
        let object = slot.object.take()?;
        slot.generation = slot.generation % Handle::LAST_GENERATION as u16 + 1;
        slot.next = free;
        self.free = index;
        self.count -= 1;
        self.receivers -= u64::from(object.receives());
        self.account.credit_handle();
        object.process().into_iter().for_each(|process| process.lose_name());
        Some(object)
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let (directory, chunk, slot) = place(index);
        Some(&self.directories.get(directory)?.as_ref()?[chunk].as_ref()?[slot])
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let (directory, chunk, slot) = place(index);
        Some(&mut self.directories.get_mut(directory)?.as_mut()?[chunk].as_mut()?[slot])
    }

    /// Adds a chunk of free slots.
    fn grow(&mut self) -> Result<(), Error> {
        let account = &self.account;
        let first = self.length;
        if first >= MAX_HANDLES {
            return Err(Error::OutOfHandles);
        }
        let (directory, chunk, _) = place(first);
        let slots: Chunk = core::array::from_fn(|slot| Slot {
            object: None,
            rights: Rights::NONE,
            generation: 1,
            next: if slot + 1 < FAN_OUT { first + slot as u32 + 1 } else { NONE },
        });
        let slots = charged(account, slots)?;
        if self.directories[directory].is_none() {
            let empty: Directory = [const { None }; FAN_OUT];
            // The chunk goes back if there is no room for what it hangs on.
            let made = charged(account, empty);
            let made = made.inspect_err(|_| account.credit_kernel(size_of::<Chunk>()))?;
            self.directories[directory] = Some(made);
        }
        if let Some(directory) = &mut self.directories[directory] {
            directory[chunk] = Some(slots);
        }
        self.length = first + FAN_OUT as u32;
        self.free = first;
        Ok(())
    }
}

/// Puts part of a table into a pool, charged to an account.
fn charged<T: Send + Sync + 'static>(account: &Account, value: T) -> Result<PoolBox<T>, Error> {
    account.charge_kernel(size_of::<T>())?;
    Hardware.own(value).map_err(|_| {
        account.credit_kernel(size_of::<T>());
        Error::OutOfKernelMemory
    })
}

/// Returns directory, chunk and slot of an index.
fn place(index: u32) -> (usize, usize, usize) {
    let index = index as usize;
    (index / (FAN_OUT * FAN_OUT), index / FAN_OUT % FAN_OUT, index % FAN_OUT)
}
