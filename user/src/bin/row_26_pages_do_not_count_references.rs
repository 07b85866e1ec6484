//! Row 26: does an object count mappings and handles, however many pages show it?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Rights};
use vellum_user::{Arguments, Mapping, calls, check, mapping::PAGE, testing};

vellum_user::test!(main);

const PAGES: usize = 1 << 20;

fn main(_: &Arguments) -> Result<(), Error> {
    // Content whose private pages are copies: a copy holds its source while it is made.
    let content = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&content, 0..16, testing::mixed);
    let object = testing::reference(&content, 0, 16)?;
    let references = || object.query().map(|info| info.references);
    check!("a handle", references()?, 1);
    let before = testing::stat();
    let pages = Mapping::private(&object, PAGES * PAGE)?;
    check!("a handle and a mapping", references()?, 2);
    let change = testing::measure(|| {
        let wrong = (0..PAGES)
            .find(|page| pages.read(page * PAGE + page % PAGE) != testing::mixed(page % 16));
        check!("a page that shows something else", wrong, None);
    });
    check!("faults", (change.faults_read_map, change.faults()), (PAGES as i64, PAGES as i64));
    check!("private frames", change.private_frames, 0);
    check!("a million pages later", references()?, 2);
    // Private pages, pages given back, and parts of a mapping.
    (0..100).for_each(|page| pages.write(page * PAGE, 1));
    check!("with private pages", references()?, 2);
    pages.decommit(0..PAGES * PAGE)?;
    check!("with pages given back", references()?, 2);
    let (low, high) = pages.split(PAGES / 2 * PAGE);
    let (middle, high) = high.split(PAGE);
    middle.unmap()?;
    check!("with a hole: two mappings", references()?, 3);
    let copy = calls::handle_copy(Handle::SELF, object.handle(), Rights::READ)?;
    check!("with another handle", references()?, 4);
    calls::handle_close(copy)?;
    low.unmap()?;
    check!("with one half", references()?, 2);
    high.unmap()?;
    check!("unmapped", references()?, 1);
    let after = testing::stat();
    check!("free frames", after.free_frames, before.free_frames);
    check!("table frames", after.pt_frames, before.pt_frames);
    check!("live objects", after.refpages_live, before.refpages_live);
    Ok(())
}
