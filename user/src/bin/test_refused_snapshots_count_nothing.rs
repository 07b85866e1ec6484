//! While one thread makes mappings that come to be and another such as are refused when their snapshot is
//! made already: does the process's count of what was written for objects say what is there, to the byte?
#![no_std]
#![no_main]

extern crate alloc;

use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::scoped;
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

const ROUNDS: u64 = 2000;
/// What snapshots are taken of, and where one is refused because this is there.
const CONTENT: u64 = 0x50_0000_0000;
/// Where one is mapped.
const FREE: u64 = CONTENT + 8 * PAGE_SIZE;

/// Maps a snapshot of the content at an address that must be free.
fn snapshot(address: u64) -> Result<u64, Error> {
    let options = MapOptions {
        protection: Protection::READ,
        flags: MapFlags::FIXED | MapFlags::REFPAGE,
        ..MapOptions::default()
    };
    // SAFETY: no Rust value lives at either address, and nothing is replaced.
    unsafe { calls::map(Handle::SELF, Handle::ANONYMOUS, address, PAGE_SIZE, options, CONTENT) }
}

fn main(_: &Arguments) -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).at(CONTENT as usize).map()?;
    content.write(0, 1);
    let before = testing::stat();
    // SAFETY: joined before anything goes that it uses.
    let refused = unsafe { scoped(|| (0..ROUNDS).filter(|_| snapshot(CONTENT).is_err()).count()) }?;
    for _ in 0..ROUNDS {
        check!("a snapshot", snapshot(FREE), Ok(FREE));
        // SAFETY: no Rust value lives there.
        unsafe { calls::unmap(Handle::SELF, FREE, PAGE_SIZE) }?;
    }
    check!("refused", refused.join(), Some(ROUNDS as usize));
    let made = testing::stat().create_bytes_written - before.create_bytes_written;
    check!("bytes written for objects", made, ROUNDS * PAGE_SIZE);
    Ok(())
}
