//! Is a memory object one thing for all who share it, and its private copies nobody else's?
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, ObjectKind, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

/// Where the child has the object: shared, and private from [`PRIVATE`] on.
const SHARED: u64 = 0x50_0000_0000;
const PRIVATE: u64 = 0x51_0000_0000;
const PAGES: usize = 8;
const BYTES: u64 = (PAGES * PAGE) as u64;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("child") {
        return child();
    }
    shared_and_private()?;
    partial_views()?;
    pages_come_when_they_are_used()?;
    if system::tags_supported() {
        tags_are_shared()?;
    }
    two_processes()
}

fn map(object: &MemoryObject, sharing: MapFlags) -> Result<Mapping, Error> {
    MapRequest { flags: sharing, ..MapRequest::of(object.handle(), PAGES * PAGE) }.map()
}

/// A private page follows the object until it is written; from then on it is on its own.
fn shared_and_private() -> Result<(), Error> {
    let object = MemoryObject::new(BYTES)?;
    let shared = map(&object, MapFlags::SHARED)?;
    let other = map(&object, MapFlags::SHARED)?;
    let private = map(&object, MapFlags::NONE)?;
    check!("zeros", shared.first_other(0..PAGES * PAGE, 0), None);
    shared.write(10, 1);
    check!("seen by all", (other.read(10), private.read(10)), (1, 1));
    // Page 1 was read privately and not written: it still follows.
    check!("private, read", private.read(PAGE), 0);
    shared.write(PAGE, 2);
    check!("private, read, follows", private.read(PAGE), 2);
    check!("its state", private.page_state(PAGE), PageState::ReadShared);
    // Page 2 is written privately first, page 3 after it was read.
    shared.write(2 * PAGE + 1, 9);
    private.write(2 * PAGE, 3);
    check!("the copy has the object's bytes", private.read(2 * PAGE + 1), 9);
    _ = private.read(3 * PAGE);
    private.write(3 * PAGE, 4);
    for page in [2, 3] {
        shared.write(page * PAGE + 1, 5);
        check!("the object is as it was", shared.read(page * PAGE), 0);
    }
    check!(
        "copies do not follow",
        (private.read(2 * PAGE + 1), private.read(3 * PAGE + 1)),
        (9, 0)
    );
    private.decommit(2 * PAGE..4 * PAGE)?;
    let back = (private.read(2 * PAGE), private.read(2 * PAGE + 1), private.read(3 * PAGE + 1));
    check!("decommit shows the object", back, (0, 5, 5));
    // Decommit of a shared mapping takes nothing from anybody.
    let change = testing::measure(|| {
        check!("decommit of a shared mapping", shared.decommit(0..PAGES * PAGE), Ok(()));
    });
    check!("frames", change.free_frames, 0);
    check!("bytes", (shared.read(10), other.read(PAGE)), (1, 2));
    Ok(())
}

/// Mappings of parts of the object, and offsets.
fn partial_views() -> Result<(), Error> {
    let object = MemoryObject::new(BYTES)?;
    let whole = map(&object, MapFlags::SHARED)?;
    for page in 0..PAGES {
        whole.write(page * PAGE, page as u8 + 1);
        let offset = (page * PAGE) as u64;
        let view = MapRequest { offset, ..MapRequest::of(object.handle(), PAGE).shared() }.map()?;
        check!(format_args!("page {page}"), view.read(0), page as u8 + 1);
        check!("its offset", view.query(0).offset, offset);
        view.write(1, 0x80 + page as u8);
        check!("back through the whole", whole.read(page * PAGE + 1), 0x80 + page as u8);
    }
    let request =
        MapRequest { offset: 2 * PAGE as u64, ..MapRequest::of(object.handle(), 3 * PAGE) };
    let (head, tail) = request.map()?.split(PAGE);
    head.unmap()?;
    check!("the rest of a mapping that was cut", tail.read(PAGE), 5);
    tail.write(PAGE, 99);
    check!("is private", whole.read(4 * PAGE), 5);
    Ok(())
}

/// Pages get frames when they are first used, and lose them with the object.
fn pages_come_when_they_are_used() -> Result<(), Error> {
    let before = testing::stat();
    let object = MemoryObject::new(BYTES)?;
    let info = object.query()?;
    check!("kind", (info.kind, info.length), (ObjectKind::Memory as u64, BYTES));
    check!("no frames yet", info.frames, 0);
    let shared = map(&object, MapFlags::SHARED)?;
    shared.write(0, 1);
    _ = shared.read(5 * PAGE);
    check!("two frames", object.query()?.frames, 2);
    check!("none of them private", testing::stat().private_frames, before.private_frames);
    drop(object);
    check!("mapped without a handle", shared.read(0), 1);
    drop(shared);
    check!("all back", testing::stat().free_frames, before.free_frames);
    Ok(())
}

/// Tags belong to the object's frames: whoever sets one sets it for all.
fn tags_are_shared() -> Result<(), Error> {
    let object = MemoryObject::new(BYTES)?;
    let request = MapRequest::of(object.handle(), PAGES * PAGE).shared().tagged();
    let (one, two) = (request.map()?, request.map()?);
    let plain = map(&object, MapFlags::SHARED)?;
    check!("no tags at first", one.first_other_tag(0..PAGE, 0), None);
    one.set_tag(32, 7);
    check!("a tag for all", (two.tag(32), two.tag(48), plain.tag(32)), (7, 0, 0));
    two.write_as(7, 32, 1);
    check!("and its bytes", (one.read_as(7, 32), plain.read(32)), (1, 1));
    let copy = MapRequest::of(object.handle(), PAGE).tagged().map()?;
    copy.write(0, 2);
    check!("a copy has the tags", (copy.tag(32), copy.read_as(7, 32)), (7, 1));
    copy.set_tag(32, 3);
    check!("of its own", one.tag(32), 7);
    Ok(())
}

fn word(address: u64, index: usize) -> &'static AtomicU64 {
    let place = core::ptr::with_exposed_provenance::<AtomicU64>(address as usize + 8 * index);
    // SAFETY: the pages are mapped there from the start of the child to its end, and used as
    // atomic words alone.
    unsafe { &*place }
}

fn two_processes() -> Result<(), Error> {
    let object = MemoryObject::new(BYTES)?;
    let ours = map(&object, MapFlags::SHARED)?;
    ours.write_word(0, 1);
    let child = testing::load_self(&["child"]);
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::FIXED | MapFlags::SHARED,
        ..MapOptions::default()
    };
    let process = &child.process;
    process.map(object.handle(), SHARED, BYTES, options, 0)?;
    // Read-only at first: a test writes to every page that it can before it begins.
    let private = MapOptions { protection: Protection::READ, flags: MapFlags::FIXED, ..options };
    process.map(object.handle(), PRIVATE, BYTES, private, 0)?;
    child.start()?;
    let ours_fn = |index| word(ours.address() as u64, index);
    // 1: the child has read its private page. 2: this process has changed the object.
    while ours_fn(1).load(Ordering::Acquire) < 1 {
        calls::yield_now();
    }
    ours_fn(100).store(55, Ordering::Release);
    ours_fn(1).store(2, Ordering::Release);
    let report = child.wait()?;
    check!("the child", testing::exited_with(&report, 0));
    check!("its store to the object", ours_fn(200).load(Ordering::Acquire), 66);
    check!("none of its private ones", ours.read_word(PAGE), 0);
    Ok(())
}

fn child() -> Result<(), Error> {
    check!("the object", word(SHARED, 0).load(Ordering::Acquire), 1);
    check!("seen privately", word(PRIVATE, 100).load(Ordering::Acquire), 0);
    word(SHARED, 1).store(1, Ordering::Release);
    while word(SHARED, 1).load(Ordering::Acquire) < 2 {
        calls::yield_now();
    }
    check!("changed by the parent", word(SHARED, 100).load(Ordering::Acquire), 55);
    check!("and seen privately", word(PRIVATE, 100).load(Ordering::Acquire), 55);
    word(SHARED, 200).store(66, Ordering::Release);
    // SAFETY: the change takes no access away.
    unsafe { calls::protect(Handle::SELF, PRIVATE, BYTES, Protection::READ | Protection::WRITE)? };
    word(PRIVATE, PAGE / 8).store(77, Ordering::Release);
    check!("a private store", word(PRIVATE, PAGE / 8).load(Ordering::Acquire), 77);
    check!("is not the object's", word(SHARED, PAGE / 8).load(Ordering::Acquire), 0);
    Ok(())
}
