//! Is memory that is asked for to be written alone simply readable too, without faulting for ever?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const WRITE: Protection = Protection::WRITE;

fn main(_: &Arguments) -> Result<(), Error> {
    let (pattern, memory) = (MemoryObject::pattern(PATTERN)?, MemoryObject::new(4 * PAGE as u64)?);
    let pattern = MapRequest { protection: WRITE, ..MapRequest::of(pattern.handle(), 4 * PAGE) };
    let memory = MapRequest { protection: WRITE, ..MapRequest::of(memory.handle(), 4 * PAGE) };
    let zeros = MapRequest { object: Handle::ANONYMOUS, ..pattern };
    use_pages("pattern", &pattern.map()?, PATTERN, WRITE);
    use_pages("zeros", &zeros.map()?, 0, WRITE);
    use_pages("memory", &memory.map()?, 0, WRITE);
    use_pages("shared memory", &memory.shared().map()?, 0, WRITE);
    if system::tags_supported() {
        use_pages("tagged", &zeros.tagged().map()?, 0, WRITE | Protection::TAGGED);
    }
    for before in [Protection::NONE, Protection::READ] {
        let pages = MapRequest { protection: before, ..pattern }.map()?;
        if before != Protection::NONE {
            _ = pages.read(PAGE);
        }
        pages.protect(WRITE)?;
        use_pages("protected to be written", &pages, PATTERN, WRITE);
    }
    Ok(())
}

/// Reads, writes, and has the kernel do both: four pages, each of which needs few faults.
fn use_pages(name: &str, pages: &Mapping, byte: u8, asked: Protection) {
    let want = (asked | Protection::READ).bits();
    check!(format_args!("{name}: query"), pages.query(0).protection, want);
    let change = testing::measure(|| {
        pages.write(0, 1);
        check!(format_args!("{name}: read back"), (pages.read(0), pages.read(1)), (1, byte));
        check!(format_args!("{name}: read"), pages.read(PAGE), byte);
        pages.write(PAGE, 2);
        check!(
            format_args!("{name}: written"),
            (pages.read(PAGE), pages.read(PAGE + 1)),
            (2, byte)
        );
        let address = |page: usize| pages.pointer(page * PAGE).addr() as u64;
        let mut buffer = [0; 8];
        let read = calls::memory_read(Handle::SELF, address(2), &mut buffer);
        check!(format_args!("{name}: kernel read"), (read, buffer), ((8, Ok(())), [byte; 8]));
        // SAFETY: no Rust value lives in the mapping.
        let written = unsafe { calls::memory_write(Handle::SELF, address(3), &[3; 8]) };
        check!(format_args!("{name}: kernel write"), written, (8, Ok(())));
        check!(format_args!("{name}: what it wrote"), pages.read(PAGE * 3), 3);
    });
    check!(format_args!("{name}: faults"), change.faults() <= 5);
    check!(format_args!("{name}: denied"), change.faults_denied, 0);
}
