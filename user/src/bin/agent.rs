//! Does what another program asks for, one access or call at a time: the process that the scripts
//! of `test_scripts` change and whose memory they touch. Alone it dies: nobody has mapped it requests.
//!
//! Requests come through a page that the other program maps here, shared, before the start. The
//! agent uses no heap and touches no page of its own between two requests that it has not touched
//! before, so that its counters show the requests alone.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::{Arguments, calls, raw, tags};

vellum_user::entry!(main);

/// Where the page with requests is; `test_scripts` knows the number too.
const MAILBOX: usize = 0x8_0000_0000;

fn main(_: &Arguments) {
    loop {
        match word(0).load(Ordering::Acquire) {
            0 => calls::yield_now(),
            request => {
                let (status, value) = serve(request);
                word(8).store(status, Ordering::Relaxed);
                word(9).store(value, Ordering::Relaxed);
                word(0).store(0, Ordering::Release);
            }
        }
    }
}

/// Returns a word of the page: the request, up to seven arguments, and two words of an answer.
fn word(index: usize) -> &'static AtomicU64 {
    assert!(index < 10, "a word of the mailbox");
    let pointer = core::ptr::with_exposed_provenance_mut(MAILBOX + 8 * index);
    // SAFETY: the program that starts an agent has mapped the page for good; all access is atomic.
    unsafe { AtomicU64::from_ptr(pointer) }
}

fn argument(index: usize) -> u64 {
    word(1 + index).load(Ordering::Relaxed)
}

fn serve(request: u64) -> (u64, u64) {
    let pointer: *mut u8 = core::ptr::with_exposed_provenance_mut(argument(0) as usize);
    match request {
        1 => {
            let arguments = core::array::from_fn(|index| argument(1 + index));
            // SAFETY: scripts leave the agent's own memory alone.
            unsafe { raw::call(argument(0), arguments) }
        }
        // SAFETY: no Rust value lives where scripts map; an access that is refused ends the agent.
        2 => (0, u64::from(unsafe { pointer.read_volatile() })),
        3 => {
            // SAFETY: as above.
            unsafe { pointer.write_volatile(argument(1) as u8) };
            (0, 0)
        }
        4 => (0, u64::from(tags::load(pointer))),
        5 => {
            // SAFETY: as above; scripts align it.
            unsafe { tags::store(pointer) };
            (0, 0)
        }
        6 => {
            // SAFETY: a script asks for a fetch only where it is refused, which ends the agent.
            let code: extern "C" fn() = unsafe { core::mem::transmute(pointer) };
            code();
            (0, 0)
        }
        _ => (u64::MAX, 0),
    }
}
