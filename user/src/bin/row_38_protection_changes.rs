//! Row 38: does a read-only mapping of a reference object deny stores, until it allows them?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ExitKind, FaultAccess, Handle, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
/// Where the victim maps its page, so that the report is known.
const PLACE: usize = 0x50_0000_0000;
const READ: Protection = Protection::READ;

fn main(arguments: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    match arguments.at(0) {
        Some("fresh") => return store(&object, |_| Ok(())),
        Some("read") => {
            return store(&object, |page| {
                _ = page.read(0);
                Ok(())
            });
        }
        Some("written") => {
            return store(&object, |page| {
                page.protect(READ | Protection::WRITE)?;
                page.write(0, 1);
                page.protect(READ)
            });
        }
        Some("hidden") => return store(&object, |page| page.protect(Protection::NONE)),
        _ => {}
    }
    for victim in ["fresh", "read", "written", "hidden"] {
        let report = testing::run_self(&[victim]);
        check!(format_args!("{victim}: kind"), report.kind, ExitKind::AccessDenied as u64);
        check!(format_args!("{victim}: address"), report.address, PLACE as u64 + 9);
        check!(format_args!("{victim}: access"), report.access, FaultAccess::Write as u64);
    }
    protect_and_write(&object)
}

/// Maps a page for reading alone, prepares it, and stores to it.
fn store(
    object: &MemoryObject,
    prepare_fn: impl FnOnce(&Mapping) -> Result<(), Error>,
) -> Result<(), Error> {
    let page = MapRequest::of(object.handle(), PAGE).read_only().at(PLACE).map()?;
    prepare_fn(&page)?;
    page.write(9, 1);
    Ok(())
}

/// Has the kernel store a byte, which asks for the same permission and kills nobody.
fn kernel_store(page: &Mapping) -> (usize, Result<(), Error>) {
    let address = page.pointer(9).addr() as u64;
    // SAFETY: no Rust value lives in the mapping.
    unsafe { calls::memory_write(Handle::SELF, address, &[1]) }
}

fn protect_and_write(object: &MemoryObject) -> Result<(), Error> {
    let page = MapRequest::of(object.handle(), PAGE).read_only().map()?;
    let change = testing::measure(|| {
        check!("a store that is denied", kernel_store(&page), (0, Err(Error::BadAddress)));
    });
    check!("denied faults", (change.faults_denied, change.faults()), (1, 1));
    check!("no frame for it", change.private_frames, 0);
    check!("the content", page.first_other(0..PAGE, PATTERN), None);

    page.protect(READ | Protection::WRITE)?;
    let change = testing::measure(|| page.write(9, 7));
    check!("a store that is allowed", (change.faults_write_cow, change.private_frames), (1, 1));
    page.protect(READ)?;
    check!("the value stays", page.read(9), 7);
    check!("the rest stays", page.first_other(16..PAGE, PATTERN), None);
    check!("denied again", kernel_store(&page), (0, Err(Error::BadAddress)));
    check!("still its own frame", page.page_state(0), PageState::Private);

    page.protect(Protection::NONE)?;
    page.protect(READ | Protection::WRITE)?;
    let change = testing::measure(|| page.write(10, 8));
    check!("no fault, no frame", (change.faults(), change.private_frames), (0, 0));
    check!("both values", (page.read(9), page.read(10)), (7, 8));
    let other = Mapping::private(object, PAGE)?;
    check!("the object", other.first_other(0..PAGE, PATTERN), None);
    Ok(())
}
