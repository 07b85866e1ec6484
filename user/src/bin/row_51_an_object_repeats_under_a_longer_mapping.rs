//! Row 51: does an object of three pages repeat under a mapping of any length, are its pages private
//! one by one, and does its offset count?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind, Policy};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

const LETTERS: &[u8; 3] = b"ABC";

fn letter(page: usize) -> u8 {
    LETTERS[page % LETTERS.len()]
}

fn check_pages(name: &str, pages: &Mapping, first: usize) {
    for page in 0..pages.pages() {
        let other = pages.first_other(page * PAGE..(page + 1) * PAGE, letter(first + page));
        check!(format_args!("{name}, page {page}"), other, None);
    }
}

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::wrap(3 * PAGE as u64)?;
    check!("kind", object.query()?.kind, ObjectKind::Wrap as u64);
    let shared = MapRequest::of(object.handle(), 3 * PAGE).shared().map()?;
    testing::write_bytes(&shared, 0..3 * PAGE, |offset| letter(offset / PAGE));
    let request = MapRequest::of(object.handle(), 10 * PAGE).under(Policy::Wrap);
    let pages = request.map()?;
    let change = testing::measure(|| check_pages("read", &pages, 0));
    check!("reads share", (change.faults_read_map, change.private_frames), (10, 0));
    pages.write(3 * PAGE, b'x');
    check!("written", pages.read(3 * PAGE), b'x');
    check!("page 0", pages.read(0), b'A');
    check!("page 6", pages.read(6 * PAGE), b'A');
    check!("the object", shared.read(0), b'A');
    pages.decommit(0..10 * PAGE)?;
    check_pages("decommitted", &pages, 0);
    // What is left of a mapping keeps its place in the object.
    let (head, tail) = pages.split(4 * PAGE);
    head.unmap()?;
    tail.decommit(0..6 * PAGE)?;
    check_pages("tail", &tail, 4);
    let shifted = MapRequest { offset: 2 * PAGE as u64, ..request }.map()?;
    check_pages("from the third page", &shifted, 2);
    let far = MapRequest { length: 70_000 * PAGE, offset: 3 << 40, ..request }.map()?;
    check!("far away", far.read(69_999 * PAGE), letter((3 << 40) / PAGE + 69_999));
    let plain = MemoryObject::new(3 * PAGE as u64)?;
    let refused = MapRequest::of(plain.handle(), 3 * PAGE).under(Policy::Wrap).map();
    check!("an object that ends", refused.err(), Some(Error::WrongPolicy));
    Ok(())
}
