//! Row 35: may the kernel move a program's private pages to other frames, so that the program sees
//! the same contents, tags and permissions, and no frame is lost?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection, TestOperation};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

/// Pages of each mapping: more than one step of the move takes, and in two tables.
const PAGES: usize = 600;

fn main(_: &Arguments) -> Result<(), Error> {
    let refused = calls::test(TestOperation::FailAllocation, 0).err();
    testing::require(refused != Some(Error::UnknownCall), "not a checked kernel");
    let free = testing::stat().free_frames;
    let object = MemoryObject::pattern(0x3c)?;
    let shared = MemoryObject::new((4 * PAGE) as u64)?;
    let own = Mapping::private(&object, PAGES * PAGE)?;
    // Every third page is private, one of the others is seen, and some are untouched.
    (0..PAGES).step_by(3).for_each(|page| own.write(page * PAGE + page, page as u8));
    (1..PAGES).step_by(3).for_each(|page| _ = own.read(page * PAGE));
    let theirs = MapRequest::of(shared.handle(), 4 * PAGE).shared().map()?;
    theirs.write(1, 1);
    let sealed = Mapping::anonymous(PAGE)?;
    sealed.write(9, 9);
    sealed.protect(Protection::READ)?;
    let tagged = tagged_page()?;
    let before = testing::stat();
    check!("the move", calls::test(TestOperation::MoveFrames, 0), Ok(0));
    let after = testing::stat();
    let moved = after.bytes_copied - before.bytes_copied;
    check!("every private page was moved", moved, before.private_frames * PAGE as u64);
    check!("private frames", after.private_frames, before.private_frames);
    check!("free frames", after.free_frames, before.free_frames);
    check!("charged", after.account_frames, before.account_frames);
    for page in 0..PAGES {
        let (at, want) = (page * PAGE + page, if page % 3 == 0 { page as u8 } else { 0x3c });
        check!(format_args!("page {page}"), own.read(at), want);
        check!(format_args!("page {page}, beside"), own.read(page * PAGE + page + 1), 0x3c);
    }
    check!("the shared page", theirs.read(1), 1);
    check!("the read-only page", sealed.read(9), 9);
    if let Some(tagged) = &tagged {
        let wrong = testing::wrong_tag(tagged, 0..PAGE, |offset| (offset / 16 % 16) as u8);
        check!("tags", wrong.is_none());
    }
    drop((own, theirs, sealed, tagged, object, shared));
    check!("all frames are back", testing::stat().free_frames, free);
    Ok(())
}

/// A page with tags of every kind, where there are tags.
fn tagged_page() -> Result<Option<Mapping>, Error> {
    if !system::tags_supported() {
        return Ok(None);
    }
    let page = MapRequest::anonymous(PAGE).tagged().map()?;
    (0..PAGE / 16).for_each(|granule| page.set_tag(16 * granule, (granule % 16) as u8));
    Ok(Some(page))
}
