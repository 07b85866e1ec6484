//! Row 54: do mappings with a tag hint show that tag, with one reference page a tag for all processes,
//! made on first use and gone with its last user?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, MapFlags, Policy};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, check, system, testing};

vellum_user::test!(main);

fn request(tag: u8) -> MapRequest {
    MapRequest { flags: MapFlags::TAG_HINT, tag, ..MapRequest::anonymous(100 * PAGE).tagged() }
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("second") => return use_hint(0),
        Some("first") => return use_hint(1),
        _ => {}
    }
    if !system::tags_supported() {
        let refused = request(5).map();
        check!("no tags here", refused.err(), Some(Error::TagsUnsupported));
        let untagged =
            MapRequest { flags: MapFlags::TAG_HINT, tag: 5, ..MapRequest::anonymous(PAGE) };
        check!("nor any hint", untagged.map().err(), Some(Error::TagsUnsupported));
        return Ok(());
    }
    let before = testing::stat();
    use_hint(1)?;
    check!("gone with its user", testing::stat().refpages_live, before.refpages_live);
    let pages = request(5).map()?;
    check!("a second process", testing::exited_with(&testing::run_self(&["second"]), 0));
    check!("still there", testing::stat().refpages_live, before.refpages_live + 1);
    // Parts of a mapping are users, each for itself.
    let (head, tail) = pages.split(50 * PAGE);
    head.unmap()?;
    check!("half of it", tail.tag(7 * PAGE), 5);
    check!("half is a user", testing::stat().refpages_live, before.refpages_live + 1);
    tail.unmap()?;
    check!("the last is gone", testing::stat().refpages_live, before.refpages_live);
    check!("a process alone", testing::exited_with(&testing::run_self(&["first"]), 0));
    check!("gone with it", testing::stat().refpages_live, before.refpages_live);
    others(before.refpages_live)
}

/// Maps by a hint, which makes so many reference pages, and looks at the tags.
fn use_hint(made: i64) -> Result<(), Error> {
    let (pages, change) = testing::measure_value(|| request(5).map());
    let pages = pages?;
    check!("reference pages", change.refpages_live, made);
    check!("charged to the first account", change.account_frames - change.pt_frames, made);
    check!("tags", testing::wrong_tag(&pages, 0..100 * PAGE, |_| 5), None);
    let change = testing::measure(|| pages.write_as(5, 3 * PAGE, 1));
    check!("a first write", (change.private_frames, change.tag_bytes_written), (1, 128));
    check!("its tag", pages.tag(3 * PAGE + 4080), 5);
    let (again, change) = testing::measure_value(|| request(5).map());
    drop(again?);
    check!("a second mapping", change.refpages_live, 0);
    Ok(())
}

/// Every tag has its page; tag 0 is anonymous memory; a refused mapping leaves none.
fn others(live: u64) -> Result<(), Error> {
    let pages = [1, 6, 15].map(|tag| request(tag).map());
    check!("three tags", testing::stat().refpages_live, live + 3);
    let pages = pages.map(|mapping| mapping.map(|pages| pages.tag(99 * PAGE)));
    check!("their tags", pages, [Ok(1), Ok(6), Ok(15)]);
    let zero = request(0).map()?;
    check!("tag 0", (zero.tag(0), zero.read(0)), (0, 0));
    check!("tag 0 needs none", testing::stat().refpages_live, live);
    let refused = request(9).at(zero.address()).map();
    check!("over another", refused.err(), Some(Error::Overlap));
    let refused = request(9).shared().map();
    check!("shared for writing", refused.err(), Some(Error::SharedWritable));
    check!("refused ones leave none", testing::stat().refpages_live, live);
    // A page of the mapping's own is a copy, after which the hint has no user.
    let own = request(9).under(Policy::InMapping).map()?;
    check!("the mapping's own", testing::stat().refpages_live, live + 1);
    check!("its tag", own.tag(PAGE), 9);
    Ok(())
}
