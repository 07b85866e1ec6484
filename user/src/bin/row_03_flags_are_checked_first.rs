//! Row 3: is a flag bit refused before anything else is looked at, without a trace?
#![no_std]
#![no_main]

use vellum_user::abi::{Call, Errno, Error};
use vellum_user::{Arguments, Mapping, check, mapping::PAGE, raw, testing};

vellum_user::test!(main);

/// Addresses that cannot be read, the last two misaligned too.
const BAD: [u64; 4] = [0, 0xffff_0000_0000_0000, 0x1001, u64::MAX];
/// Sizes that no call serves.
const SIZES: [u64; 4] = [0, 3, 8192, u64::MAX];

fn main(_: &Arguments) -> Result<(), Error> {
    let page = Mapping::anonymous(PAGE)?;
    page.write(0, 1);
    let good = page.address() as u64;
    let change = testing::measure(|| {
        for flags in (0..64).map(|bit| 1_u64 << bit).chain([u64::MAX]) {
            for address in BAD.into_iter().chain([good]) {
                for size in SIZES.into_iter().chain([16]) {
                    expect(Call::RefpageCreate, [address, size, flags], Error::InvalidFlags);
                }
            }
            for content in [0, 9, 16, 255, 256, u64::MAX] {
                expect(Call::RefpageCreatePattern, [content, flags, 0], Error::InvalidFlags);
                expect(Call::RefpageCreateTag, [content, flags, 0], Error::InvalidFlags);
            }
        }
        // What is checked next: the size, then the alignment, then whether it can be read.
        for size in SIZES {
            expect(Call::RefpageCreate, [BAD[2], size, 0], Error::InvalidSize);
        }
        expect(Call::RefpageCreate, [BAD[2], 16, 0], Error::Misaligned);
        expect(Call::RefpageCreate, [u64::MAX, 4096, 0], Error::Misaligned);
    });
    check!("nothing changed at all", change, testing::Change::default());
    check!("EINVAL", Error::InvalidFlags.errno() == Errno::Einval);
    expect(Call::RefpageCreate, [BAD[1], 16, 0], Error::BadAddress);
    Ok(())
}

fn expect(call: Call, [first, second, third]: [u64; 3], error: Error) {
    // SAFETY: these calls only read the memory of the process.
    let answer = unsafe { raw::call(call as u64, [first, second, third, 0, 0, 0]) };
    check!(call.name(), testing::refusal(answer), Some(error));
}
