//! K9: does `remap` refuse lengths and addresses that overflow, by name and without a change?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, PAGE_SIZE, RemapFlags, USER_END};
use vellum_user::mapping::{Mapping, PAGE};
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let pages = Mapping::anonymous(4 * PAGE)?;
    pages.fill(1);
    let (old, length, last) = (pages.address() as u64, 4 * PAGE_SIZE, PAGE_SIZE.wrapping_neg());
    for flags in [
        RemapFlags::NONE,
        RemapFlags::MAYMOVE,
        RemapFlags::MAYMOVE | RemapFlags::RETAIN,
        RemapFlags::MAYMOVE | RemapFlags::FIXED,
        RemapFlags::MAYMOVE | RemapFlags::FIXED | RemapFlags::RETAIN,
    ] {
        for (old, new_length, error) in [
            ((old, 0), length, Error::InvalidSize),
            ((old, length), 0, Error::InvalidSize),
            ((old, 1 << 63), length, Error::OutOfRange),
            ((old, length), 1 << 63, Error::OutOfRange),
            ((old, last), length, Error::OutOfRange),
            ((old, length), last, Error::OutOfRange),
            ((old, last.wrapping_sub(old)), length, Error::OutOfRange),
            ((old, length), last.wrapping_sub(old) & !(PAGE_SIZE - 1), Error::OutOfRange),
            ((last, length), length, Error::OutOfRange),
            ((USER_END - PAGE_SIZE, length), length, Error::OutOfRange),
            ((1 << 45, length), length, Error::NotMapped),
            ((old, length), PAGE_SIZE + 1, Error::Misaligned),
        ] {
            let change = testing::measure(|| {
                let new = 1 << 44;
                // SAFETY: the call is to be refused.
                let answer = unsafe { calls::remap(Handle::SELF, old, new_length, flags, new) };
                check!(format_args!("{old:x?} {new_length:#x} {flags:?}"), answer, Err(error));
            });
            let zero = (change.mappings, change.private_frames, change.pt_frames);
            check!("what it changed", zero, (0, 0, 0));
        }
    }
    check!("the pages", pages.first_other(0..4 * PAGE, 1), None);
    Ok(())
}
