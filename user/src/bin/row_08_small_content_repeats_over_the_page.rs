//! Row 8: is content that is smaller than a page repeated to its very end, on every page?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, testing};

vellum_user::test!(main);

const CONTENT: &[u8; 2] = b"AB";
/// More than one translation table covers.
const PAGES: usize = 520;

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.fill(b'x');
    testing::write_bytes(&content, 6..8, |offset| CONTENT[offset & 1]);
    let object = testing::reference(&content, 6, 2)?;
    content.fill(b'y');
    for more in testing::attributes() {
        let request = MapRequest::of(object.handle(), PAGES * PAGE);
        let pages = MapRequest { protection: request.protection | more, ..request }.map()?;
        let byte_fn = |offset: usize| CONTENT[offset & 1];
        let read = testing::wrong_byte(&pages, 0..2 * PAGE, byte_fn);
        check!("the first pages, read", read, None);
        for page in (0..PAGES).step_by(7) {
            pages.write(page * PAGE + 100, b'!');
            let rest = testing::wrong_byte(&pages, page * PAGE..page * PAGE + 100, byte_fn);
            check!("a written page before the store", rest, None);
            let rest = testing::wrong_byte(&pages, page * PAGE + 101..(page + 1) * PAGE, byte_fn);
            check!("a written page behind the store", rest, None);
        }
        let ends = |page: usize| (pages.read(page * PAGE), pages.read((page + 1) * PAGE - 1));
        let wrong = (0..PAGES).find(|page| ends(*page) != (b'A', b'B'));
        check!("a page with other ends", wrong, None);
    }
    Ok(())
}
