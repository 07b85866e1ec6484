//! Rows 71 and 72: do mappings that must stay refuse RETAIN, and devices to grow, unchanged?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MapFlags, ObjectKind, PAGE_SIZE, Protection, RemapFlags};
use vellum_user::mapping::{MapRequest, Mapping, PAGE};
use vellum_user::{Arguments, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// The clock's identification (PrimeCell PL031 manual, "PeriphID0 to 3").
const IDENTIFICATION: [(usize, u32); 2] = [(0xfe0, 0x31), (0xfe4, 0x10)];

fn main(arguments: &Arguments) -> Result<(), Error> {
    let device = arguments.device();
    testing::require(device.is_some(), "no real-time clock in the device tree");
    let device = device.unwrap_or(Handle::SELF);
    let registers = MapRequest::of(device, PAGE).shared().map()?;
    a_device_is_there_for_its_program_alone(device, &registers)?;
    refuses("device", registers.address(), Error::NotPermitted, Error::InvalidSize);
    check!("shared memory is not private", MapRequest::of(device, PAGE).map().is_err());
    let guard = MapRequest {
        protection: Protection::NONE,
        flags: MapFlags::GUARD,
        ..MapRequest::anonymous(PAGE)
    };
    let guard = guard.map()?;
    check!("guard flag", guard.query(0).flags, MapFlags::GUARD.bits());
    check!("a guard never opens", guard.protect(Protection::READ), Err(Error::MissingRight));
    check!("retain of a guard", guard.retain(PAGE).err(), Some(Error::NotPermitted));
    check!("unmap of a guard", guard.unmap(), Ok(()));
    let sealed = MapRequest { flags: MapFlags::SEALED, ..MapRequest::anonymous(PAGE) }.map()?;
    refuses("sealed", sealed.leak(), Error::Sealed, Error::Sealed);
    let text = main as fn(&Arguments) -> Result<(), Error> as usize & !(PAGE - 1);
    refuses("text", text, Error::Sealed, Error::Sealed);
    for (name, request) in [
        ("anonymous", MapRequest::anonymous(PAGE)),
        ("memory", MapRequest::of(MemoryObject::new(PAGE_SIZE)?.handle(), PAGE)),
        ("pattern", MapRequest::of(MemoryObject::pattern(7)?.handle(), PAGE)),
    ] {
        check!(name, request.map()?.retain(PAGE).is_ok());
    }
    Ok(())
}

fn a_device_is_there_for_its_program_alone(
    device: Handle,
    registers: &Mapping,
) -> Result<(), Error> {
    for (offset, want) in IDENTIFICATION {
        // SAFETY: a register of the clock that only reads, in the mapping.
        let found = unsafe { registers.pointer(offset).cast::<u32>().read_volatile() };
        check!("identification", found & 0xff, want);
    }
    let info = calls::object_query(device)?;
    check!("kind", (info.kind, info.frames), (ObjectKind::Device as u64, 0));
    check!("kind of mapping", registers.query(0).kind, ObjectKind::Device as u64);
    let address = registers.address() as u64;
    let read = calls::memory_read(Handle::SELF, address, &mut [0; 4]);
    check!("the kernel never reads it", read, (0, Err(Error::BadAddress)));
    let executable = Protection::READ | Protection::EXECUTE;
    check!("protect", registers.protect(executable), Err(Error::MissingRight));
    check!("read-only", registers.protect(Protection::READ), Ok(()));
    Ok(())
}

/// Checks that moving and growing are refused and change nothing.
fn refuses(name: &str, address: usize, retain: Error, grow: Error) {
    let old = (address as u64, PAGE_SIZE);
    let query = || calls::query_mapping(Handle::SELF, address as u64);
    for (flags, length, error) in [
        (RemapFlags::MAYMOVE | RemapFlags::RETAIN, PAGE_SIZE, retain),
        (RemapFlags::MAYMOVE | RemapFlags::RETAIN, 2 * PAGE_SIZE, retain),
        (RemapFlags::NONE, 2 * PAGE_SIZE, grow),
        (RemapFlags::MAYMOVE, 2 * PAGE_SIZE, grow),
    ] {
        let before = query();
        let change = testing::measure(|| {
            // SAFETY: the call is to be refused.
            let answer = unsafe { calls::remap(Handle::SELF, old, length, flags, 0) };
            check!(format_args!("{name}, {flags:?}, {length:#x}"), answer, Err(error));
        });
        check!(name, (change.mappings, change.private_frames, change.pt_frames), (0, 0, 0));
        check!(format_args!("{name} as before"), query(), before);
    }
}
