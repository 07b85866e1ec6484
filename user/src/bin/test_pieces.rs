//! Pieces of memory moved by one call: does each go where its record says, and does the answer tell exactly
//! where the call stopped, with everything before that moved and nothing behind?
#![no_std]
#![no_main]

use core::ops::Range;
use vellum_user::abi::{
    Action, Error, Handle, MAX_PIECES, MapFlags, MapOptions, PAGE_SIZE, PageWish, PagerFlags,
    Piece, Protection, Supply, SupplyFlags, SupplyOptions, TransferFlags, Transferred,
};
use vellum_user::calls::{self, PieceRecord};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Paged;
use vellum_user::{Arguments, Mapping, MemoryObject, Process, check, system, testing};

vellum_user::test!(main);

/// Where the other process has its pages, and where this one has its own.
const THEIRS: u64 = 0x60_0000_0000;
const OWN: usize = 0x50_0000_0000;
const PAGES: usize = 4;
const MOST: usize = MAX_PIECES as usize;
const READ: TransferFlags = TransferFlags::NONE;
const WRITE: TransferFlags = TransferFlags::WRITE;

fn main(_: &Arguments) -> Result<(), Error> {
    drop(other()?);
    let before = testing::at_rest();
    sixty_four_pieces_go_there_and_back()?;
    it_tells_where_it_stopped()?;
    a_list_may_change_under_the_call()?;
    a_list_ends_where_its_memory_does()?;
    writes_copy_first()?;
    a_piece_may_lie_over_itself()?;
    pages_are_asked_for()?;
    if system::tags_supported() {
        tags_are_checked_on_one_side()?;
    }
    gathering_fills_a_buffer()?;
    check!("free frames, kernel memory and handles", testing::at_rest(), before);
    Ok(())
}

/// A process with pages of zeros.
fn other() -> Result<Process, Error> {
    let process = Process::new()?;
    let protection = Protection::READ | Protection::WRITE;
    let options = MapOptions { protection, flags: MapFlags::FIXED, ..MapOptions::default() };
    process.map(Handle::ANONYMOUS, THEIRS, PAGES as u64 * PAGE_SIZE, options, 0)?;
    Ok(process)
}

fn own(bytes: u8) -> Result<Mapping, Error> {
    let pages = MapRequest::anonymous(PAGES * PAGE).at(OWN).map()?;
    pages.fill(bytes);
    Ok(pages)
}

fn piece(theirs: u64, own: &Mapping, offset: usize, length: usize) -> PieceRecord {
    let own = own.pointer(offset).addr() as u64;
    Piece { theirs, own, length: length as u64 }.to_words()
}

fn are(pages: &Mapping, range: Range<usize>, byte: u8) -> bool {
    range.into_iter().all(|offset| pages.read(offset) == byte)
}

/// What `memory_transfer` answers.
type Ended = (Transferred, Result<(), Error>);

/// Moves pieces; what is written lies in mappings that no Rust value lives in.
fn transfer(process: Handle, list: &[PieceRecord], flags: TransferFlags) -> Ended {
    // SAFETY: as above.
    unsafe { calls::memory_transfer(process, list, flags) }
}

const fn all(pieces: usize) -> Ended {
    (Transferred { pieces: pieces as u64, bytes: 0 }, Ok(()))
}

const fn stopped(pieces: u64, bytes: u64) -> Ended {
    (Transferred { pieces, bytes }, Err(Error::BadAddress))
}

/// Where the pieces of the first test are: some of no length, many across pages.
fn spread(number: usize) -> (usize, usize) {
    (number * 251, [0, 1, 7, 64, 250, 251][number % 6])
}

fn sixty_four_pieces_go_there_and_back() -> Result<(), Error> {
    let (process, pages) = (other()?, own(0)?);
    (0..PAGES * PAGE).for_each(|offset| pages.write(offset, (offset % 249) as u8 + 1));
    // The last piece first, and each at another place there than here.
    let there = |number: usize| THEIRS + (PAGES * PAGE - 256 - number * 253) as u64;
    let list: [PieceRecord; MOST] = core::array::from_fn(|number| {
        let (offset, length) = spread(number);
        piece(there(number), &pages, offset, length)
    });
    check!("all are written", transfer(process.handle(), &list, WRITE), all(MOST));
    let mut byte = [0];
    for number in 0..MOST {
        let (offset, length) = spread(number);
        for index in 0..length.min(4) {
            _ = process.read(there(number) + index as u64, &mut byte);
            check!("what is there", byte[0], pages.read(offset + index));
        }
        _ = process.read(there(number) + length as u64, &mut byte);
        check!("and nothing behind it", byte[0], 0);
    }
    pages.fill(0);
    check!("all are read", transfer(process.handle(), &list, READ), all(MOST));
    for number in 0..MOST {
        let (offset, length) = spread(number);
        let is_back =
            |index: usize| pages.read(offset + index) == ((offset + index) % 249) as u8 + 1;
        check!("what is back", (0..length).all(is_back));
        check!("nothing behind it", are(&pages, offset + length..offset + 251, 0));
    }
    let (long, empty) = ([piece(THEIRS, &pages, 0, PAGES * PAGE)], [[0; Piece::WORDS]; MOST]);
    check!("one of several pages", transfer(process.handle(), &long, WRITE), all(1));
    check!("many of no length", transfer(process.handle(), &empty, READ), all(MOST));
    Ok(())
}

fn it_tells_where_it_stopped() -> Result<(), Error> {
    let (process, pages) = (other()?, own(7)?);
    let end = PAGES * PAGE;
    let good = piece(THEIRS, &pages, 0, 8);
    let last = piece(THEIRS + 16, &pages, 100, 8);
    let far = THEIRS + end as u64 - 5;
    for (name, bad, bytes) in [
        ("their end", piece(far, &pages, 200, 300), 5),
        ("the own end", piece(THEIRS + 100, &pages, end - 300, 301), 300),
        ("nothing there", piece(far + 5, &pages, 200, 8), 0),
        ("not user memory", piece(1 << 48, &pages, 200, 8), 0),
        ("a sum past 2^64", piece(THEIRS, &pages, 200, usize::MAX), 0),
        ("the kernel's half", [THEIRS, 0xffff_0000_0000_0000, 8], 0),
    ] {
        for flags in [READ, WRITE] {
            pages.fill(7);
            check!("a byte there", process.write(THEIRS + 16, &[1]), (1, Ok(())));
            let ended = transfer(process.handle(), &[good, good, bad, last], flags);
            check!(format_args!("{name}, {flags:?}"), ended, stopped(2, bytes));
            let mut byte = [0];
            _ = process.read(THEIRS + 16, &mut byte);
            let untouched = (byte[0], are(&pages, 100..108, 7));
            check!(format_args!("{name}, {flags:?}: behind"), untouched, (1, true));
        }
    }
    // What was moved before the end stays, and no more than the answer says.
    pages.fill(3);
    _ = transfer(process.handle(), &[good, piece(far, &pages, 200, 300)], READ);
    check!("the whole piece", are(&pages, 0..8, 7));
    check!("nothing between", are(&pages, 8..200, 3));
    check!("the bytes that came", are(&pages, 200..205, 7));
    check!("the bytes that did not", are(&pages, 205..PAGES * PAGE, 3));
    process.kill()?;
    _ = process.wait()?;
    check!("of a dead process", transfer(process.handle(), &[good], READ), stopped(0, 0));
    Ok(())
}

/// A piece that lies over the list changes the records that are not read yet, and no other.
fn a_list_may_change_under_the_call() -> Result<(), Error> {
    let (process, pages) = (other()?, own(0)?);
    let list_at = 2 * PAGE - 2 * 24;
    let (first, second) = (piece(THEIRS, &pages, list_at, 48), piece(THEIRS + 1000, &pages, 8, 8));
    // They have the records that come over both: the first is not read again.
    let over = [[1, 1, u64::MAX], piece(THEIRS + 2000, &pages, 16, 8)];
    check!("theirs", process.write(THEIRS, &bytes_of(&over)).1, Ok(()));
    check!("a word", process.write(THEIRS + 2000, &[9; 8]).1, Ok(()));
    for (index, word) in [first, second].iter().flatten().enumerate() {
        pages.write_word(list_at + 8 * index, *word);
    }
    let place = pages.pointer(list_at).addr() as u64;
    check!("by the new record", raw(process.handle(), place, 2), all(2));
    check!("where the old one said", pages.read_word(8), 0);
    check!("where the new one says", pages.read_word(16), u64::from_le_bytes([9; 8]));
    check!("a second time", raw(process.handle(), place, 1), stopped(0, 0));
    Ok(())
}

fn bytes_of(records: &[PieceRecord; 2]) -> [u8; 48] {
    let mut bytes = [0; 48];
    for (to, word) in bytes.chunks_exact_mut(8).zip(records.iter().flatten()) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// As [`transfer`], to read, with a list anywhere.
fn raw(process: Handle, list: u64, count: u64) -> Ended {
    let arguments = [process.to_word(), list, count, 0, 0, 0];
    let number = vellum_user::abi::Call::MemoryTransfer as u64;
    // SAFETY: no Rust value lives where the list says.
    let (status, value) = unsafe { vellum_user::raw::call(number, arguments) };
    (Transferred::from_word(value), calls::result((status, 0)).map(|_| ()))
}

/// The third record lies half in a page that is not there.
fn a_list_ends_where_its_memory_does() -> Result<(), Error> {
    let (process, pages) = (other()?, own(0)?);
    let (pages, gone) = pages.split(2 * PAGE);
    gone.unmap()?;
    let list_at = 2 * PAGE - 2 * 24 - 16;
    for (index, word) in [piece(THEIRS, &pages, 0, 8); 2].iter().flatten().enumerate() {
        pages.write_word(list_at + 8 * index, *word);
    }
    let place = pages.pointer(list_at).addr() as u64;
    check!("two records", raw(process.handle(), place, 2), all(2));
    check!("and a half", raw(process.handle(), place, 3), stopped(2, 0));
    let unaligned = (Transferred::default(), Err(Error::Misaligned));
    check!("not aligned", raw(process.handle(), place + 4, 2), unaligned);
    // The list alone is only read.
    pages.protect(Protection::READ)?;
    let list = [piece(THEIRS, &pages, 0, 8)];
    check!("into read-only memory", transfer(process.handle(), &list, READ), stopped(0, 0));
    check!("out of it", raw_write(process.handle(), place), all(2));
    Ok(())
}

fn raw_write(process: Handle, list: u64) -> Ended {
    let arguments = [process.to_word(), list, 2, WRITE.bits(), 0, 0];
    let number = vellum_user::abi::Call::MemoryTransfer as u64;
    // SAFETY: it writes another process's memory.
    let (status, value) = unsafe { vellum_user::raw::call(number, arguments) };
    (Transferred::from_word(value), calls::result((status, 0)).map(|_| ()))
}

/// Clean pages of a reference object, and pages shared with a clone, become private first.
fn writes_copy_first() -> Result<(), Error> {
    let object = MemoryObject::pattern(0xaa)?;
    let (pages, clean) = (own(1)?, Mapping::private(&object, 2 * PAGE)?);
    let clone = Process::from_handle(calls::process_clone(Handle::SELF)?);
    let theirs = clean.address() as u64;
    let list = [
        piece(theirs + PAGE_SIZE - 4, &pages, 0, 8),
        piece(pages.address() as u64 + 50, &pages, 0, 8),
        piece(theirs, &pages, 0, 0),
    ];
    let before = clone.stat()?.private_frames;
    pages.fill(2);
    check!("written", transfer(clone.handle(), &list, WRITE), all(3));
    let frames = clone.stat()?.private_frames - before;
    check!("frames: both clean pages have one of their own now", frames, 2);
    check!("the reference object", clean.first_other(0..2 * PAGE, 0xaa), None);
    check!("the own page", pages.first_other(0..PAGE, 2), None);
    let mut there = [0; 3];
    _ = clone.read(pages.address() as u64 + 49, &mut there[..2]);
    _ = clone.read(theirs + PAGE_SIZE, &mut there[2..]);
    check!("the clone's pages", there, [1, 2, 2]);
    Ok(())
}

fn a_piece_may_lie_over_itself() -> Result<(), Error> {
    let pages = own(0)?;
    (0..16).for_each(|offset| pages.write(offset, offset as u8));
    let start = pages.address() as u64;
    let list = [piece(start, &pages, 4, 12), piece(start + 4, &pages, 0, 12)];
    check!("over itself", transfer(Handle::SELF, &list, READ), all(2));
    let bytes: [u8; 16] = core::array::from_fn(|offset| pages.read(offset));
    check!("as if by a buffer", bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 9, 10, 11]);
    Ok(())
}

/// A pager supplies the list, and both sides of a piece, one page after the other.
fn pages_are_asked_for() -> Result<(), Error> {
    let paged = Paged::new(8 * PAGE_SIZE, PagerFlags::NONE)?;
    let view = MapRequest::of(paged.object.handle(), 8 * PAGE).map()?;
    let start = view.address() as u64;
    let content = Mapping::anonymous(PAGE)?;
    // Every page begins with the list; its second half is what is moved.
    let list = [
        piece(start + 3 * PAGE_SIZE + 2048, &view, 5 * PAGE + 2048, 64),
        piece(start + 7 * PAGE_SIZE - 8, &view, 4 * PAGE + 2048, 16),
    ];
    content.fill(6);
    for (index, word) in list.iter().flatten().enumerate() {
        content.write_word(8 * index, *word);
    }
    let source = content.address() as u64;
    let supply = |wish: PageWish| {
        let options = SupplyOptions { how: Supply::Copy, flags: SupplyFlags::NONE };
        // SAFETY: nothing moves.
        let (_, supplied) = unsafe {
            calls::pager_supply(paged.object.handle(), wish.offset, PAGE_SIZE, source, options)
        };
        check!("supplied", supplied, Ok(()));
        Action::Resume
    };
    let wishes = paged.serving(supply, || {
        check!("from a pager", raw(Handle::SELF, start + PAGE_SIZE, 2), all(2));
    });
    check!("pages that were asked for: the list, three of theirs, two own", wishes, 6);
    check!("what came", view.first_other(5 * PAGE + 2048..6 * PAGE, 6), None);
    Ok(())
}

/// The tag of a pointer matters in the own memory alone.
fn tags_are_checked_on_one_side() -> Result<(), Error> {
    let process = other()?;
    let tagged = MapRequest::anonymous(PAGE).tagged().map()?;
    tagged.set_tags(5);
    (64..80).step_by(16).for_each(|offset| tagged.set_tag(offset, 6));
    let own = |tag, offset| tagged.tagged_pointer(tag, offset).addr() as u64;
    let good = Piece { theirs: THEIRS | 9 << 56, own: own(5, 0), length: 64 };
    let bad = Piece { theirs: THEIRS, own: own(5, 48), length: 64 };
    let list = [good.to_words(), bad.to_words(), good.to_words()];
    for flags in [READ, WRITE] {
        let ended = transfer(process.handle(), &list, flags);
        check!(format_args!("up to the other tag, {flags:?}"), ended, stopped(1, 16));
    }
    let untagged = Piece { own: own(0, 0), ..good };
    let ended = transfer(process.handle(), &[untagged.to_words()], READ);
    check!("without a tag", ended, stopped(0, 0));
    Ok(())
}

fn gathering_fills_a_buffer() -> Result<(), Error> {
    let process = other()?;
    check!("theirs", process.write(THEIRS, b"pages and frames").1, Ok(()));
    let mut buffer = [0; 12];
    let parts = [(THEIRS + 10, 6), (THEIRS + 5, 5), (THEIRS, 5)];
    let gathered = calls::memory_gather(process.handle(), &parts, &mut buffer);
    check!("until it is full", (gathered, &buffer), ((12, Ok(())), b"frames and p"));
    let end = THEIRS + PAGES as u64 * PAGE_SIZE;
    let parts = [(THEIRS, 5), (end - 2, 4), (THEIRS, 1)];
    let gathered = calls::memory_gather(process.handle(), &parts, &mut buffer);
    check!("until memory ends", gathered, (7, Err(Error::BadAddress)));
    let parts = [(THEIRS, 1); MOST + 1];
    let gathered = calls::memory_gather(process.handle(), &parts, &mut buffer);
    check!("more than a list has", gathered, (0, Err(Error::InvalidSize)));
    Ok(())
}
