//! Does a kernel write to a read-only private mapping fail every time, whatever decommit does
//! between the attempts?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Piece, Protection, TransferFlags, Transferred};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const ROUNDS: usize = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    let memory = MemoryObject::new(PAGE as u64)?;
    let witness = Mapping::private(&object, PAGE)?;
    let clean = MapRequest::of(object.handle(), 2 * PAGE).read_only().map()?;
    attack(&clean, PATTERN, "a clean page");
    let written = Mapping::private(&object, 2 * PAGE)?;
    written.write(100, 1);
    written.protect(Protection::READ)?;
    attack(&written, PATTERN, "a page that was private once");
    let shared = MapRequest::of(memory.handle(), PAGE).shared();
    shared.map()?.write(0, 7);
    attack(&MapRequest::of(memory.handle(), PAGE).read_only().map()?, 0, "a memory object");
    attack(&shared.read_only().map()?, 0, "a shared memory object");
    check!("the reference page", witness.first_other(0..PAGE, PATTERN), None);
    check!("the memory object", shared.map()?.read(0), 7);
    Ok(())
}

/// Reads, decommits and tries to write, in every order that rounds bring about.
fn attack(pages: &Mapping, byte: u8, name: &str) {
    let address = pages.pointer(100).addr() as u64;
    let mut refused = 0;
    let change = testing::measure(|| {
        for round in 0..ROUNDS {
            if round.is_multiple_of(2) {
                _ = pages.read(0);
            }
            if !round.is_multiple_of(3) {
                check!("decommit", pages.decommit(0..PAGE), Ok(()));
            }
            let is_refused = if round % 4 < 2 { write_is_refused } else { piece_is_refused };
            refused += usize::from(is_refused(address));
        }
    });
    check!(format_args!("{name}: refused"), refused, ROUNDS);
    check!(format_args!("{name}: frames"), change.private_frames <= 0);
    check!(format_args!("{name}: denied"), change.faults_denied, ROUNDS as i64);
    check!(format_args!("{name}: byte"), pages.read(100), byte);
    check!(format_args!("{name}: bytes"), pages.first_other(96..PAGE, byte), None);
}

fn write_is_refused(address: u64) -> bool {
    // SAFETY: no Rust value lives in the mapping.
    let written = unsafe { calls::memory_write(Handle::SELF, address, &[0x55; 16]) };
    written == (0, Err(Error::BadAddress))
}

fn piece_is_refused(theirs: u64) -> bool {
    let own = [0x55_u8; 16];
    let place = own.as_ptr().expose_provenance() as u64;
    let list = [Piece { theirs, own: place, length: 16 }.to_words()];
    // SAFETY: as above.
    let written = unsafe { calls::memory_transfer(Handle::SELF, &list, TransferFlags::WRITE) };
    written == (Transferred::default(), Err(Error::BadAddress))
}
