//! What does a page from a pager cost? Instructions of one load of an absent page, whose pager, in another
//! process, answers with a page of its own that moves; then those of the same with a copy, and of eight pages
//! that are supplied at once.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, string::String};
use vellum_user::abi::{
    Action, Error, Handle, PAGE_SIZE, PagerFlags, Policy, Rights, Supply, SupplyFlags,
};
use vellum_user::figures::Samples;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Endpoint, MemoryObject, calls, counter, println, system, testing};

vellum_user::entry!(main);

const ROUNDS: usize = 1000;
/// Pages before those that count.
const WARM: usize = 20;
const PAGES: usize = ROUNDS + WARM;
const LENGTH: u64 = (PAGES * PAGE) as u64;

/// A case: its name, how pages are supplied, and how many at once.
struct Case {
    name: &'static str,
    how: Supply,
    together: usize,
}

const CASES: [Case; 3] = [
    Case { name: "pager_fault", how: Supply::Move, together: 1 },
    Case { name: "pager_fault_copy", how: Supply::Copy, together: 1 },
    Case { name: "pager_fault_of_eight", how: Supply::Move, together: 8 },
];

fn main(arguments: &Arguments) -> Result<(), Error> {
    let number = |at| arguments.at(at).and_then(|word| word.parse::<u64>().ok());
    if let (Some(case), Some(endpoint), Some(object)) = (number(0), number(1), number(2)) {
        let handle = |word| Handle::from_word(word).ok_or(Error::BadHandle);
        let case = CASES.get(case as usize).ok_or(Error::InvalidContent)?;
        let endpoint = Endpoint::from_handle(handle(endpoint)?);
        return serve(case, &endpoint, &MemoryObject::from_handle(handle(object)?));
    }
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of pages that a pager supplies; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let figures = arguments.has("figures");
    (0..CASES.len()).try_for_each(|case| measure(case, figures))
}

/// The pager: everything it gives is there before the first wish.
fn serve(case: &Case, endpoint: &Endpoint, object: &MemoryObject) -> Result<(), Error> {
    let request = MapRequest::anonymous(PAGES * PAGE);
    // Where there are tags, those of a page that moves are its own.
    let own = if system::tags_supported() { request.tagged() } else { request }.map()?;
    (0..PAGES).for_each(|page| own.write(page * PAGE, 1));
    let mut received = endpoint.receive()?;
    while let Some(wish) = received.wish() {
        let start = wish.offset as usize;
        let range = start..(start + case.together * PAGE).min(PAGES * PAGE);
        object.supply(wish.offset, (&own, range), case.how, SupplyFlags::NONE).1?;
        received = endpoint.answer_wish(Action::Resume)?;
    }
    calls::endpoint_reply(None, [0; 4])
}

fn measure(number: usize, figures: bool) -> Result<(), Error> {
    let case = &CASES[number];
    let endpoint = Endpoint::new()?;
    let object = MemoryObject::paged(&endpoint, LENGTH, PagerFlags::NONE)?;
    let give = |child: &vellum_user::loader::Child| -> Result<[String; 2], Error> {
        let rights = (Rights::READ, Rights::MANAGE);
        let endpoint = endpoint.copy_to(&child.process, rights.0)?;
        let object = object.copy_to(&child.process, rights.1)?;
        Ok([endpoint, object].map(|handle| format!("{}", handle.to_word())))
    };
    // The first handles that a child gets beyond those of every program.
    let words = give(&testing::load_self(&["0", "0", "0"]))?;
    let pager = testing::load_self(&[&format!("{number}"), &words[0], &words[1]]);
    give(&pager)?;
    pager.start()?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).under(Policy::UserPager).map()?;
    let mut samples = [0; ROUNDS];
    for page in 0..PAGES {
        let before = counter::read();
        let byte = pages.read(page * PAGE);
        let instructions = counter::read().wrapping_sub(before);
        testing::require(byte == 1, "the pager supplied something else");
        if let Some(sample) = page.checked_sub(WARM).and_then(|round| samples.get_mut(round)) {
            *sample = u64::from(instructions);
        }
    }
    // An offset that is none, so no wish.
    endpoint.call([0, u64::MAX, 0, PAGE_SIZE])?;
    pager.wait()?;
    let suffix = system::figure_suffix();
    Samples { case: case.name, samples: &mut samples, mean: None, suffix, figures }
        .print(|line| println!("{line}"));
    Ok(())
}
