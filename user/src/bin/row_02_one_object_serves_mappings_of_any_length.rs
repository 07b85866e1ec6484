//! Row 2: does one handle serve mappings of any length, and give nobody the right to write?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MapOptions, ObjectKind, Protection, Rights};
use vellum_user::devices::Devices;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const LENGTHS: [usize; 3] = [1, 1000, 70_000];
/// Where the first mapping is, and how far it is to the next.
const PLACE: usize = 0x20_0000_0000;
const DISTANCE: usize = 0x1_0000_0000;
/// Where the object is mapped in the child that it is passed to.
const PASSED: usize = 0x40_0000_0000;
const WORDS: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let Some(number) = arguments.value("handle") {
        return child(number.parse().expect("the parent passes a number"));
    }
    let content = Mapping::anonymous(PAGE)?;
    WORDS.iter().enumerate().for_each(|(index, word)| content.write_word(8 * index, *word));
    let before = testing::stat().refpages_live;
    let object = testing::reference(&content, 0, 16)?;
    content.unmap()?;
    let mut mappings = [const { None }; 3];
    for (index, (slot, pages)) in mappings.iter_mut().zip(LENGTHS).enumerate() {
        // Side by side they would be one mapping.
        let request = MapRequest::of(object.handle(), pages * PAGE).at(PLACE + index * DISTANCE);
        let mapping = slot.insert(request.map()?);
        // Another word of each page, so that every part of the page is seen.
        let wrong = (0..pages).find(|page| {
            let offset = page * PAGE + page * 8 % PAGE;
            mapping.read_word(offset) != WORDS[page % 2]
        });
        check!("a page that shows something else", wrong, None);
        check!("live objects", testing::stat().refpages_live - before, 1);
    }
    let info = object.query()?;
    check!("references", info.references, 1 + LENGTHS.len() as u64);
    check!("frames", info.frames, 1);
    check!("kind", info.kind, ObjectKind::Bytes as u64);
    check!("length", info.length, 0);
    rights(&object);
    spawn(&object)
}

/// The handle maps and reads; it neither writes nor executes, and no copy of it does.
fn rights(object: &MemoryObject) {
    for right in [Rights::WRITE, Rights::EXECUTE, Rights::MANAGE] {
        let copy = calls::handle_copy(Handle::SELF, object.handle(), right);
        check!("a copy with more rights", copy, Err(Error::MissingRight));
    }
    let shared = MapRequest::of(object.handle(), PAGE).shared().map().map(drop);
    check!("shared for writing", shared, Err(Error::SharedWritable));
    let execute =
        MapRequest { protection: Protection::EXECUTE, ..MapRequest::of(object.handle(), PAGE) };
    check!("executable", execute.map().map(drop), Err(Error::MissingRight));
    let read_only = calls::handle_copy(Handle::SELF, object.handle(), Rights::READ);
    let copy = MemoryObject::from_handle(read_only.expect("fewer rights can be had"));
    let mapped = MapRequest::of(copy.handle(), PAGE).map().map(drop);
    check!("mapped without MAP", mapped, Err(Error::MissingRight));
}

/// A child has no handle of its parent's but those that it is passed.
fn spawn(object: &MemoryObject) -> Result<(), Error> {
    let number = object.handle().to_word();
    let mut text = [0; 20];
    let child = testing::load_self(&[decimal("handle=", number, &mut text)]);
    let options = MapOptions { protection: Protection::READ, ..MapOptions::default() };
    child.process.map(object.handle(), PASSED as u64, PAGE as u64, options, 0)?;
    child.start()?;
    check!("the child's status", testing::exited_with(&child.wait()?, 0));
    Ok(())
}

fn child(number: u64) -> Result<(), Error> {
    let handle = Handle::from_word(number).ok_or(Error::BadHandle)?;
    check!(
        "a handle that was not passed",
        calls::object_query(handle).err(),
        Some(Error::BadHandle)
    );
    let devices = Devices::own().iter().count() as u64;
    check!("handles: the archive and the devices", testing::stat().handles, 1 + devices);
    let mapping = calls::query_mapping(Handle::SELF, PASSED as u64)?;
    check!("the mapping that was passed", mapping.kind, ObjectKind::Bytes as u64);
    Ok(())
}

/// Writes a number behind a prefix.
fn decimal<'a>(prefix: &str, mut number: u64, text: &'a mut [u8; 20]) -> &'a str {
    text[..prefix.len()].copy_from_slice(prefix.as_bytes());
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    for place in text[prefix.len()..prefix.len() + digits].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    core::str::from_utf8(&text[..prefix.len() + digits]).expect("digits are text")
}
