//! Row 4: is every size refused that is not a power of two up to a page, and is no other?
#![no_std]
#![no_main]

use vellum_user::abi::{Errno, Error};
use vellum_user::{Arguments, Mapping, calls, check, mapping::PAGE, testing};

vellum_user::test!(main);

/// The largest ones are good sizes to somebody who looks at 32, 16 or 13 bits.
const BAD: [u64; 17] = [
    0,
    3,
    12,
    24,
    4095,
    4097,
    8192,
    1 << 16,
    1 << 31,
    1 << 32,
    (1 << 32) + 1,
    (1 << 32) + 16,
    (1 << 32) + 4096,
    1 << 48,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX,
];

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(4 * PAGE)?;
    testing::write_bytes(&content, 0..4 * PAGE, testing::mixed);
    let change = testing::measure(|| {
        for size in BAD {
            let answer = calls::refpage_create(content.pointer(0), size, 0);
            check!(format_args!("size {size:#x}"), answer, Err(Error::InvalidSize));
        }
    });
    check!("what refusals changed", change, testing::Change::default());
    check!("EINVAL", Error::InvalidSize.errno() == Errno::Einval);
    let before = testing::stat();
    for size in (0..=12).map(|shift| 1 << shift) {
        let object = testing::reference(&content, 0, size)?;
        check!("live objects", testing::stat().refpages_live - before.refpages_live, 1);
        let page = Mapping::private(&object, PAGE)?;
        let wrong = testing::wrong_byte(&page, 0..PAGE, |offset| testing::mixed(offset % size));
        check!(format_args!("size {size}"), wrong, None);
    }
    let after = testing::stat();
    check!("live objects", after.refpages_live, before.refpages_live);
    check!("free frames", after.free_frames, before.free_frames);
    Ok(())
}
