//! Row 28: does an object live as long as a handle or a mapping, and no longer?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, mapping::PAGE, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let before = testing::stat();
    let content = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&content, 0..PAGE, testing::mixed);
    let object = testing::reference(&content, 0, PAGE)?;
    content.unmap()?;
    let first = Mapping::private(&object, 4 * PAGE)?;
    let second = Mapping::private(&object, 4 * PAGE)?;
    let made = testing::stat();
    check!("made", made.refpages_live - before.refpages_live, 1);
    let handle = object.into_handle();
    check!("closed", calls::handle_close(handle), Ok(()));
    check!("closed twice", calls::handle_close(handle), Err(Error::BadHandle));
    live("after the handle", 1, &before);
    use_pages(&first);
    use_pages(&second);
    check!("the first mapping goes", first.unmap(), Ok(()));
    live("after a mapping", 1, &before);
    // A hole leaves two mappings where one was.
    let (low, high) = second.split(PAGE);
    let (middle, high) = high.split(PAGE);
    check!("a hole", middle.unmap(), Ok(()));
    live("after a hole", 1, &before);
    check!("the lower part goes", low.unmap(), Ok(()));
    live("after the lower part", 1, &before);
    let byte_fn = |offset: usize| testing::mixed(offset % PAGE);
    check!("the last part", testing::wrong_byte(&high, 0..PAGE, byte_fn), None);
    high.write(PAGE, 1);
    let change = testing::measure(|| check(high.unmap()));
    check!("the last part goes", change.refpages_live, -1);
    live("at the end", 0, &before);
    let after = testing::stat();
    check!("free frames", after.free_frames, before.free_frames);
    check!("kernel memory", after.account_kernel_bytes, before.account_kernel_bytes);
    check!("pool memory", after.pool_bytes, before.pool_bytes);
    handles_last()
}

fn check(result: Result<(), Error>) {
    check!("unmap", result, Ok(()));
}

fn live(name: &str, want: u64, before: &vellum_user::abi::Stat) {
    check!(name, testing::stat().refpages_live - before.refpages_live, want);
}

/// Reads a page, writes to another and reads the rest of that.
fn use_pages(pages: &Mapping) {
    let change = testing::measure(|| pages.write(PAGE + 7, 0));
    check!("a private page", change.private_frames, 1);
    let byte_fn = |at: usize| if at == PAGE + 7 { 0 } else { testing::mixed(at % PAGE) };
    check!("contents", testing::wrong_byte(pages, 0..3 * PAGE, byte_fn), None);
}

/// The other way round: mappings come and go, and the handle is what is last.
fn handles_last() -> Result<(), Error> {
    let before = testing::stat();
    let object = MemoryObject::pattern(3)?;
    for _ in 0..3 {
        let pages = Mapping::private(&object, 2 * PAGE)?;
        check!("contents", pages.read(PAGE), 3);
        drop(pages);
        live("while there is a handle", 1, &before);
    }
    drop(object);
    live("without handle and mapping", 0, &before);
    check!("free frames", testing::stat().free_frames, before.free_frames);
    Ok(())
}
