//! What does it cost to read all of a GiB that nobody wrote, one byte of each page? Faults, and
//! frames of translation tables, with the object's own tables shared.
//!
//! The line that counts is the worst of several bases: aligned, off by a page, by a table less a
//! page, and so on.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Switches};
use vellum_user::figures::Figure;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, println, system, testing};

vellum_user::test!(main);

const GIB: usize = 1 << 30;
const TABLE_SPAN: usize = 512 * PAGE;
/// A GiB boundary with room before and behind.
const PLACE: usize = 0x40_0000_0000;
/// Where mappings begin, from [`PLACE`].
const BASES: [usize; 6] =
    [0, PAGE, TABLE_SPAN - PAGE, TABLE_SPAN, GIB - PAGE, GIB - TABLE_SPAN - PAGE];

fn main(arguments: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(0xaa)?;
    let (mut faults, mut frames) = (0, 0);
    println!("{:>12}{:>8}{:>8}", "base", "faults", "frames");
    for base in BASES {
        let request = MapRequest {
            switches: Switches::SHARED_TABLES,
            ..MapRequest::of(object.handle(), GIB).at(PLACE + base)
        };
        let mapping = request.map()?;
        let (wrong, change) = testing::measure_value(|| {
            (0..GIB).step_by(PAGE).find(|offset| mapping.read(*offset) != 0xaa)
        });
        check!("contents", wrong, None);
        check!("private frames", change.private_frames, 0);
        println!("{base:>#12x}{:>8}{:>8}", change.faults(), change.pt_frames);
        faults = faults.max(change.faults());
        frames = frames.max(change.pt_frames);
        mapping.unmap()?;
    }
    check!("at most 8 faults", faults <= 8);
    check!("at most 8 frames", frames <= 8);
    if arguments.has("figures") {
        let suffix = system::figure_suffix();
        for (metric, value) in [("faults", faults), ("frames", frames)] {
            let (bench, case, unit) = ("sparse_read", "read_1g", metric);
            println!("{}", Figure { bench, case, suffix, metric, unit, value });
        }
    }
    Ok(())
}
