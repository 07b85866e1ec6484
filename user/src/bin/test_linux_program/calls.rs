//! The calls of Linux for arm64 that a small static program makes (asm-generic/unistd.h). What needs no
//! answer for such a program, signals above all, is answered with 0.

use crate::tasks::{self, Task, exited};
use alloc::string::String;
use alloc::vec;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection};
use vellum_user::{Process, calls as kernel, println};

const IOCTL: u64 = 29;
const READ: u64 = 63;
const WRITE: u64 = 64;
const WRITEV: u64 = 66;
const PPOLL: u64 = 73;
const EXIT: u64 = 93;
const EXIT_GROUP: u64 = 94;
const SET_TID_ADDRESS: u64 = 96;
const SIGALTSTACK: u64 = 132;
const RT_SIGACTION: u64 = 134;
const RT_SIGPROCMASK: u64 = 135;
const GETPID: u64 = 172;
const GETPPID: u64 = 173;
const GETTID: u64 = 178;
const BRK: u64 = 214;
const MUNMAP: u64 = 215;
const MREMAP: u64 = 216;
const CLONE: u64 = 220;
const MMAP: u64 = 222;
const MPROTECT: u64 = 226;
const MADVISE: u64 = 233;
const WAIT4: u64 = 260;
const GETRANDOM: u64 = 278;

const ECHILD: i64 = 10;
const ENOMEM: i64 = 12;
const EFAULT: i64 = 14;
const EINVAL: i64 = 22;
const ENOTTY: i64 = 25;
const ENOSYS: i64 = 38;

const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
/// The longest text that is taken at once; a program writes the rest by another call.
const LONGEST: u64 = 4096;
const MOST_PARTS: u64 = 16;

static UNKNOWN: AtomicU64 = AtomicU64::new(0);

/// What becomes of a process that called.
pub(crate) enum Next {
    /// The call returns.
    Value(u64),
    /// It ends, with this status for its parent.
    End(u64),
}

/// Returns how many calls were not known.
pub(crate) fn unknown() -> u64 {
    UNKNOWN.load(Ordering::Relaxed)
}

/// Serves the call of the process whose report this thread has.
pub(crate) fn serve(task: &mut Task) -> Result<Next, Error> {
    let registers = kernel::thread_read_registers(Handle::CALLER)?;
    let [a, b, c, d] = [0, 1, 2, 3].map(|number| registers.x[number]);
    let result = match registers.x[8] {
        EXIT | EXIT_GROUP => return Ok(Next::End(exited(a))),
        WRITE => write(&[(b, c)]),
        WRITEV => parts(b, c).and_then(|parts| write(&parts)),
        BRK => Ok(set_heap_end(task, a)),
        MMAP => map(a, b, c, d),
        MUNMAP => change(|caller| caller.unmap(a, pages(b))),
        MPROTECT => change(|caller| caller.protect(a, pages(b), protection(c))),
        CLONE if b == 0 => task.fork(&registers).map_err(|_| ENOMEM),
        WAIT4 => wait(task, a, b),
        GETRANDOM => put(a, &vec![4; b as usize]).map(|()| b),
        GETPID | GETTID | SET_TID_ADDRESS => Ok(task.number),
        GETPPID => Ok(task.parent),
        READ | PPOLL | SIGALTSTACK | RT_SIGACTION | RT_SIGPROCMASK | MADVISE => Ok(0),
        IOCTL => Err(ENOTTY),
        MREMAP => Err(ENOMEM),
        number => {
            println!("a call that the handler does not know: {number}");
            UNKNOWN.fetch_add(1, Ordering::Relaxed);
            Err(ENOSYS)
        }
    };
    Ok(Next::Value(result.unwrap_or_else(|error| error.wrapping_neg() as u64)))
}

/// The process that calls, by a handle that need not be closed.
fn caller() -> ManuallyDrop<Process> {
    ManuallyDrop::new(Process::from_handle(Handle::CALLER))
}

fn pages(length: u64) -> u64 {
    length.next_multiple_of(PAGE_SIZE)
}

fn get(address: u64, length: u64) -> Result<alloc::vec::Vec<u8>, i64> {
    let mut bytes = vec![0; length as usize];
    let (_, read) = kernel::memory_read(Handle::CALLER, address, &mut bytes);
    read.map(|()| bytes).map_err(|_| EFAULT)
}

fn put(address: u64, bytes: &[u8]) -> Result<(), i64> {
    caller().write(address, bytes).1.map_err(|_| EFAULT)
}

/// Reads what `writev` is told to write.
fn parts(address: u64, count: u64) -> Result<alloc::vec::Vec<(u64, u64)>, i64> {
    let bytes = get(address, 16 * count.min(MOST_PARTS))?;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Ok(bytes.chunks_exact(16).map(|part| (word(&part[..8]), word(&part[8..]))).collect())
}

fn write(parts: &[(u64, u64)]) -> Result<u64, i64> {
    let length = parts.iter().fold(0, |sum: u64, (_, length)| sum.saturating_add(*length));
    let mut bytes = vec![0; length.min(LONGEST) as usize];
    kernel::memory_gather(Handle::CALLER, parts, &mut bytes).1.map_err(|_| EFAULT)?;
    tasks::print(&String::from_utf8_lossy(&bytes));
    Ok(bytes.len() as u64)
}

fn protection(bits: u64) -> Protection {
    let all = [(1, Protection::READ), (2, Protection::WRITE), (4, Protection::EXECUTE)];
    let set = all.into_iter().filter(|(bit, _)| bits & bit != 0);
    set.fold(Protection::NONE, |sum, (_, protection)| sum | protection)
}

fn options(protection: Protection, flags: MapFlags) -> MapOptions {
    MapOptions { protection, flags, ..MapOptions::default() }
}

fn map(address: u64, length: u64, bits: u64, flags: u64) -> Result<u64, i64> {
    if flags & MAP_ANONYMOUS == 0 || length == 0 {
        return Err(EINVAL);
    }
    let fixed = flags & MAP_FIXED != 0;
    let (address, flags) =
        if fixed { (address, MapFlags::FIXED | MapFlags::REPLACE) } else { (0, MapFlags::NONE) };
    let options = options(protection(bits), flags);
    caller().map(Handle::ANONYMOUS, address, pages(length), options, 0).map_err(|_| ENOMEM)
}

fn change(change_fn: impl FnOnce(&Process) -> Result<(), Error>) -> Result<u64, i64> {
    change_fn(&caller()).map(|()| 0).map_err(|_| EINVAL)
}

/// Moves the end of the heap, if that can be; returns where it is.
fn set_heap_end(task: &mut Task, end: u64) -> u64 {
    let (before, after) = (pages(task.heap_end), pages(end));
    if end == 0 {
        return task.heap_end;
    }
    let options = options(Protection::READ | Protection::WRITE, MapFlags::FIXED);
    let moved = if after > before {
        caller().map(Handle::ANONYMOUS, before, after - before, options, 0).map(|_| ())
    } else if after < before {
        caller().unmap(after, before - after)
    } else {
        Ok(())
    };
    if moved.is_ok() {
        task.heap_end = end;
    }
    task.heap_end
}

fn wait(task: &Task, number: u64, status: u64) -> Result<u64, i64> {
    let number = Some(number).filter(|number| (*number as i32) > 0);
    let (child, ended) = tasks::wait(task.number, number).ok_or(ECHILD)?;
    if status != 0 {
        put(status, &(ended as u32).to_le_bytes())?;
    }
    Ok(child)
}
