//! Row 6: is content that the program could not read refused, without a trace?
#![no_std]
#![no_main]

use vellum_user::abi::{Call, Errno, Error, Protection, USER_END};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, raw, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let pages = Mapping::anonymous(3 * PAGE)?;
    pages.fill(0x5a);
    let (first, hole) = pages.split(PAGE);
    let (hole, last) = hole.split(PAGE);
    let unmapped = hole.address() as u64;
    hole.unmap()?;
    let none = MapRequest { protection: Protection::NONE, ..MapRequest::anonymous(PAGE) }.map()?;
    let lost = Mapping::anonymous(PAGE)?;
    lost.write(0, 1);
    lost.protect(Protection::NONE)?;
    for (name, address) in [
        ("null", 0),
        ("below the first mapping", 0x1000),
        ("between mappings", unmapped),
        ("a page without any access", none.address() as u64),
        ("a page that lost its access", lost.address() as u64),
        ("above every mapping", USER_END),
        ("above the user half", 1 << 48),
        ("the kernel's start", 0xffff_0000_0000_0000),
        ("the kernel's direct map", 0xffff_0000_4000_0000),
        ("the last page", 0xffff_ffff_ffff_f000),
        ("a hole under a tag", unmapped | 7 << 56),
        ("the kernel under a tag", 0xf0ff_0000_4000_0000),
    ] {
        let change = testing::measure(|| {
            for size in [1, 2, 16, 4096] {
                // SAFETY: the call only reads the memory of the process.
                let answer =
                    unsafe { raw::call(Call::RefpageCreate as u64, [address, size, 0, 0, 0, 0]) };
                check!(name, testing::refusal(answer), Some(Error::BadAddress));
            }
        });
        check!(name, change.free_frames, 0);
        check!(name, change.handles, 0);
        check!(name, change.refpages_live, 0);
        check!(name, change.pool_bytes, 0);
        check!(name, change.account_frames, 0);
        check!(name, change.account_kernel_bytes, 0);
        check!(name, change.create_bytes_written, 0);
    }
    check!("EFAULT", Error::BadAddress.errno() == Errno::Efault);
    check!("the pages beside the hole", first.read(PAGE - 1) == 0x5a && last.read(0) == 0x5a);
    readable()
}

/// What a program can read is content: a page mapped for writing alone, and one never touched.
fn readable() -> Result<(), Error> {
    let request = MapRequest::anonymous(2 * PAGE);
    let write = MapRequest { protection: Protection::WRITE, ..request }.map()?;
    testing::write_bytes(&write, 0..16, |offset| offset as u8 + 1);
    let page = Mapping::private(&testing::reference(&write, 0, 16)?, PAGE)?;
    let wrong = testing::wrong_byte(&page, 0..PAGE, |offset| (offset % 16) as u8 + 1);
    check!("content mapped for writing", wrong, None);
    let untouched = Mapping::private(&testing::reference(&write, PAGE, PAGE)?, PAGE)?;
    check!("content never touched", untouched.first_other(0..PAGE, 0), None);
    Ok(())
}
