//! Row 34: do the kernel's own reads leave clean pages shared, and its writes copy first?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, PageState};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const PAGES: usize = 100;

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    let pages = Mapping::private(&object, PAGES * PAGE)?;
    let witness = Mapping::private(&object, PAGE)?;
    check!("the witness before", witness.read(0), PATTERN);
    reads_share(&pages);
    writes_copy(&pages, 0, "a page that was read");
    let fresh = Mapping::private(&object, 2 * PAGE)?;
    fresh.write(PAGE, 1);
    writes_copy(&fresh, 0, "an untouched page");
    check!("the object", witness.first_other(0..PAGE, PATTERN), None);
    check!("the witness is still shared", witness.page_state(0), PageState::ReadShared);
    Ok(())
}

fn address(mapping: &Mapping, offset: usize) -> u64 {
    mapping.pointer(offset).addr() as u64
}

/// Has the kernel read every page, whole and across page boundaries.
fn reads_share(pages: &Mapping) {
    let mut buffer = [0; 64];
    let change = testing::measure(|| {
        for page in 0..PAGES {
            // Across the boundary to the next page, where there is one.
            let offset = if page + 1 < PAGES { (page + 1) * PAGE - 32 } else { page * PAGE };
            buffer.fill(0);
            let read = calls::memory_read(Handle::SELF, address(pages, offset), &mut buffer);
            check!("read", read, (64, Ok(())));
            check!("contents", buffer, [PATTERN; 64]);
        }
    });
    check!("private frames", change.private_frames, 0);
    check!("pages that were mapped to be read", change.faults_read_map, PAGES as i64);
    check!("other faults", change.faults(), PAGES as i64);
    check!("bytes written", change.kernel_bytes_written(), 0);
    // The content of a new reference object is another thing that the kernel reads.
    let change = testing::measure(|| {
        let made = calls::refpage_create(pages.pointer(0), PAGE as u64, 0).map(calls::handle_close);
        check!("an object made of a clean page", made, Ok(Ok(())));
    });
    check!("private frames of making it", change.private_frames, 0);
}

/// Has the kernel write one byte into a clean page.
fn writes_copy(pages: &Mapping, offset: usize, name: &str) {
    let place = offset + 1234;
    let change = testing::measure(|| {
        // SAFETY: no Rust value lives in the mapping.
        let written = unsafe { calls::memory_write(Handle::SELF, address(pages, place), &[0x55]) };
        check!(format_args!("{name}: written"), written, (1, Ok(())));
    });
    check!(format_args!("{name}: private frames"), change.private_frames, 1);
    check!(format_args!("{name}: faults"), change.faults(), 1);
    check!(format_args!("{name}: frame written once"), change.kernel_bytes_written(), PAGE as i64);
    check!(format_args!("{name}: the byte"), pages.read(place), 0x55);
    let before = pages.first_other(offset..offset + 1232, PATTERN);
    check!(format_args!("{name}: bytes before"), before, None);
    check!(format_args!("{name}: bytes beside"), pages.read(place - 1), PATTERN);
    check!(format_args!("{name}: byte behind"), pages.read(place + 1), PATTERN);
    let behind = pages.first_other(offset + 1240..offset + PAGE, PATTERN);
    check!(format_args!("{name}: bytes behind"), behind, None);
}
