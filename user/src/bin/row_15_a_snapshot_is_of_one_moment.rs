//! Row 15: is a reference object one snapshot, the same on every page and for every way to make a page,
//! while other threads change its content?
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, Ordering};
use vellum_user::abi::{Error, ObjectKind};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::tags::GRANULE;
use vellum_user::testing::{Contended, Runner, race, reference, stat};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

const ROUNDS: usize = 10_000;
const SIZES: [usize; 4] = [PAGE, 16, 1, 64];
const WORDS: usize = PAGE / 8;
const GRANULES: usize = PAGE / GRANULE;

/// One page: its bytes are stored through one mapping, its tags through the other.
struct Content {
    plain: Mapping,
    /// Tagged memory where there are tags.
    tagged: Mapping,
}

/// How many objects of a whole page were made of content that was all the same, and of mixed content.
#[derive(Default)]
struct Kinds {
    uniform: usize,
    mixed: usize,
}

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let memory = MemoryObject::new(PAGE as u64)?;
    let shared = MapRequest::of(memory.handle(), PAGE).shared();
    let tagged = if system::tags_supported() { shared.tagged() } else { shared };
    // SAFETY: the threads store single words and tags of it.
    let content =
        unsafe { Contended::new(Content { plain: shared.map()?, tagged: tagged.map()? }) };
    content.plain.fill(0);
    let before = stat();
    let over = AtomicBool::new(false);
    race(|runner| {
        if runner.index > 0 {
            return change(runner, &content, &over);
        }
        let result = take_snapshots(&content);
        over.store(true, Ordering::Relaxed);
        check!("snapshots", result, Ok(()));
    });
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Changes the content until it is over: one thread bytes, all zero or all ones, another tags.
fn change(runner: &Runner<'_>, content: &Content, over: &AtomicBool) {
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        match runner.index {
            1 => {
                let word = if turn % 2 == 0 { 0 } else { u64::MAX };
                (0..WORDS).for_each(|index| content.plain.write_word(index * 8, word));
            }
            2 if system::tags_supported() => {
                let tag = (turn % 16) as u8;
                (0..GRANULES).for_each(|granule| content.tagged.set_tag(granule * GRANULE, tag));
            }
            _ => return,
        }
        // Now and then the content is whole for a while.
        (0..turn % 4 * 200).for_each(|_| core::hint::spin_loop());
        turn += 1;
    }
}

fn take_snapshots(content: &Content) -> Result<(), Error> {
    let mut kinds = Kinds::default();
    for round in 0..ROUNDS {
        let size = SIZES[round % SIZES.len()];
        let object = reference(&content.tagged, 0, size)?;
        bytes_are_one(&object, size, &mut kinds)?;
        if system::tags_supported() {
            tags_are_one(&object, size)?;
        }
    }
    let Kinds { uniform, mixed } = kinds;
    check!(format_args!("{mixed} snapshots in the middle of a change"), mixed > 0);
    check!(format_args!("{uniform} between two changes"), uniform > 0);
    Ok(())
}

/// Compares three pages: one that shows the object, one that is written first, one that is read before.
fn bytes_are_one(object: &MemoryObject, size: usize, kinds: &mut Kinds) -> Result<(), Error> {
    let pages = Mapping::private(object, 3 * PAGE)?;
    let place = 5;
    pages.write_word(PAGE + place * 8, 1);
    _ = pages.read(2 * PAGE);
    pages.write_word(2 * PAGE + place * 8, 1);
    let mut all = [0, 1, 2].map(|page| words(&pages, page));
    let shown = all[0][place];
    let stored = [1, 2].map(|page: usize| core::mem::replace(&mut all[page][place], shown));
    check!("the stores", stored, [1, 1]);
    check!(
        format_args!("size {size}: the pages are the same"),
        all[0] == all[1] && all[0] == all[2]
    );
    let period = size.div_ceil(8);
    let repeats = (period..WORDS).all(|index| all[0][index] == all[0][index - period]);
    check!(format_args!("size {size}: repeats"), repeats);
    kind_is_of(object, size, &all[0], kinds)
}

/// Returns a page's words.
fn words(pages: &Mapping, page: usize) -> [u64; WORDS] {
    core::array::from_fn(|index| pages.read_word(page * PAGE + index * 8))
}

/// The kind that the object says it has is that of its bytes.
fn kind_is_of(
    object: &MemoryObject,
    size: usize,
    words: &[u64; WORDS],
    kinds: &mut Kinds,
) -> Result<(), Error> {
    let info = object.query()?;
    let is_all = |byte: u8| words.iter().all(|word| *word == u64::from_ne_bytes([byte; 8]));
    if info.kind == ObjectKind::Pattern as u64 {
        check!("a pattern", is_all(info.detail as u8));
    } else if info.kind == ObjectKind::Tagged as u64 {
        check!("zeros", is_all(0));
    } else {
        check!("bytes", info.kind, ObjectKind::Bytes as u64);
    }
    if size == PAGE {
        let is_uniform = is_all(words[0] as u8);
        kinds.uniform += usize::from(is_uniform);
        kinds.mixed += usize::from(!is_uniform);
    }
    Ok(())
}

/// As [`bytes_are_one`] for tags; the first store to a page is of a tag.
fn tags_are_one(object: &MemoryObject, size: usize) -> Result<(), Error> {
    let pages = MapRequest::of(object.handle(), 3 * PAGE).tagged().map()?;
    let tag = |page: usize, granule: usize| pages.tag(page * PAGE + granule * GRANULE);
    pages.set_tag(PAGE, tag(0, 0));
    _ = tag(2, 0);
    pages.set_tag(2 * PAGE, tag(0, 0));
    let differs = |granule: &usize| {
        let shown = tag(0, *granule);
        (tag(1, *granule), tag(2, *granule)) != (shown, shown)
    };
    check!(format_args!("size {size}: a tag that differs"), (0..GRANULES).find(differs), None);
    if size < GRANULE {
        check!("no tags with so few bytes", pages.first_other_tag(0..PAGE, 0), None);
    }
    Ok(())
}
