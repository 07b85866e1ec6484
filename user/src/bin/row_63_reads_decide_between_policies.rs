//! Row 63: who is right, the patch or those who would make a page private at any fault? Reference pages
//! win as more pages are only read, and lose where pages are read and then written. And is a pager in user space
//! too slow for this? Asked for one page at a time it takes several times what a fault does; one that names the
//! shared page for all pages at its first wish wins over private pages where enough are only read, and never over
//! the kernel.
#![no_std]
#![no_main]

use vellum_user::services::Trouble;
use vellum_user::sweep::{Cost, LINE, Mix, PAGES, Sweep, crossover};
use vellum_user::ways::Way;
use vellum_user::{Arguments, check, println, system, testing};

vellum_user::test!(main);

/// The ends of the line: every page is read and then written, or only read.
const ENDS: [usize; 2] = [0, 100];
const COUNT: i64 = PAGES as i64;
const BYTES: i64 = COUNT * 4096;
/// Frames by which the object of a pager knows its pages: two tables of slots, and one that names them.
const SLOTS: i64 = 3;
/// The ways of pagers that show a page which others share.
const NAMING: [Way; 3] = [Way::UserPagerReference, Way::UserPagerAhead, Way::UserPagerAtOnce];

fn main(_: &Arguments) -> Result<(), Trouble> {
    let sweep = Sweep::new()?;
    what_policies_do(&sweep)?;
    what_pagers_do(&sweep)?;
    if !system::instruction_counter() {
        sweep.end()?;
        testing::skip("no instruction counter: needs --icount");
    }
    let line = |way| instructions(&sweep, way, LINE);
    let (reference, any) = (line(Way::ReferencePage)?, line(Way::PatternOnAnyFault)?);
    decides("shared frames", &reference, &any);
    let at_once = line(Way::UserPagerAtOnce)?;
    decides("a pager that names all pages at once", &at_once, &any);
    let ends = |way| instructions(&sweep, way, ENDS);
    let (each, ahead) = (ends(Way::UserPagerReference)?, ends(Way::UserPagerAhead)?);
    let of_ends = |line: &[i64; LINE.len()]| [line[0], line[LINE.len() - 1]];
    let [reference, any, at_once] = [reference, any, at_once].map(|line| of_ends(&line));
    check!("the kernel takes least", is_below(&reference, &at_once));
    check!("the fewer wishes the better", is_below(&at_once, &ahead) && is_below(&ahead, &each));
    check!("a wish for each page loses where every page is written", any[0] < each[0]);
    check!("a wish takes several faults", each[1] > 3 * reference[1]);
    for way in [Way::UserPagerMove, Way::UserPagerMoveInPlace, Way::UserPagerCopyInPlace] {
        check!(format_args!("{way:?}: frames of its own cost more"), is_below(&each, &ends(way)?));
    }
    sweep.end()
}

/// Returns what a way takes where these shares of pages are only read, and prints it.
fn instructions<const N: usize>(
    sweep: &Sweep,
    way: Way,
    shares: [usize; N],
) -> Result<[i64; N], Trouble> {
    let mut found = [0; N];
    for (instructions, share) in found.iter_mut().zip(shares) {
        *instructions = sweep.measure(way, Mix::line(share))?.instructions();
    }
    println!("{:<26}{found:?}", way.name());
    Ok(found)
}

/// Returns whether a way takes fewer instructions than another wherever on the line.
fn is_below(line: &[i64], other: &[i64]) -> bool {
    line.iter().zip(other).all(|(instructions, other)| instructions < other)
}

/// Checks that the share of pages only read decides between a way that shares frames and one that does not.
fn decides(name: &str, shared: &[i64; LINE.len()], private: &[i64; LINE.len()]) {
    let mut behind = [(0, 0); LINE.len()];
    for (point, (share, pair)) in behind.iter_mut().zip(LINE.iter().zip(shared.iter().zip(private)))
    {
        *point = (*share, pair.0 - pair.1);
    }
    let gains = behind.windows(2).all(|pair| pair[1].1 < pair[0].1);
    check!(format_args!("{name} gain with every page that is only read"), gains);
    let (written, read) = (behind[0].1, behind[LINE.len() - 1].1);
    check!(format_args!("{name} lose where every page is read and then written"), written > 0);
    check!(format_args!("{name} win where every page is only read"), read < 0);
    match crossover(&behind) {
        Some(share) => println!("{name}: as good as each other at {share} % of pages only read"),
        None => _ = check!("a crossover", false),
    }
}

fn what_policies_do(sweep: &Sweep) -> Result<(), Trouble> {
    let both = |mix: Mix| -> Result<_, Trouble> {
        Ok((sweep.measure(Way::ReferencePage, mix)?, sweep.measure(Way::PatternOnAnyFault, mix)?))
    };
    let (reference, any) = both(Mix::line(0))?;
    check!("read, then written: faults", (reference.faults, any.faults), (2 * COUNT, COUNT));
    check!("read, then written: TLB maintenance", (reference.tlbi, any.tlbi), (COUNT, 0));
    check!("read, then written: bytes", (reference.bytes, any.bytes), (BYTES, BYTES));
    check!("read, then written: frames", (reference.frames, any.frames), (COUNT + 1, COUNT));
    let (reference, any) = both(Mix::line(100))?;
    check!("only read: faults", (reference.faults, any.faults), (COUNT, COUNT));
    check!("only read: bytes", (reference.bytes, any.bytes), (0, BYTES));
    check!("only read: frames", (reference.frames, any.frames), (1, COUNT));
    let (reference, any) = both(Mix { write_first: PAGES, ..Mix::default() })?;
    check!("written: faults", (reference.faults, any.faults), (COUNT, COUNT));
    check!("written: bytes", (reference.bytes, any.bytes), (BYTES, BYTES));
    Ok(())
}

/// Frames, bytes, faults and TLB maintenance of a program and its pager.
fn what_pagers_do(sweep: &Sweep) -> Result<(), Trouble> {
    let told = |cost: &Cost| (cost.frames, cost.bytes, cost.faults, cost.tlbi);
    for (way, wishes) in NAMING.into_iter().zip([PAGES, PAGES.div_ceil(16), 1]) {
        let read = sweep.measure(way, Mix::line(100))?;
        check!(format_args!("{way:?}: wishes"), read.wishes, wishes as u64);
        check!(format_args!("{way:?}: only read"), told(&read), (1 + SLOTS, 0, COUNT, 0));
        let written = sweep.measure(way, Mix::line(0))?;
        let want = (COUNT + 1 + SLOTS, BYTES, 2 * COUNT, COUNT);
        check!(format_args!("{way:?}: read, then written"), told(&written), want);
        let none = sweep.measure(way, Mix { untouched: PAGES, ..Mix::default() })?;
        // The shared page, and the table that an object begins with.
        check!(format_args!("{way:?}: untouched"), (none.wishes, told(&none)), (0, (2, 0, 0, 0)));
    }
    // The page moves out of the pager's mapping and may be copied once more by the store.
    let own = COUNT + 1 + SLOTS;
    let moved = sweep.measure(Way::UserPagerMove, Mix::line(0))?;
    check!("moved, then copied", told(&moved), (own + COUNT, 2 * BYTES, 2 * COUNT, 2 * COUNT));
    let moved = sweep.measure(Way::UserPagerMoveInPlace, Mix::line(0))?;
    check!("moved", told(&moved), (own, BYTES, COUNT, COUNT));
    // The pager has read the page that it lets the kernel copy.
    let copied = sweep.measure(Way::UserPagerCopyInPlace, Mix::line(0))?;
    check!("copied", told(&copied), (own, BYTES, COUNT + 1, 0));
    Ok(())
}
