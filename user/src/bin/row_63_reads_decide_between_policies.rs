//! Row 63: who is right, the patch or those who would make a page private at any fault? Reference pages
//! win as more pages are only read, and lose where pages are read and then written.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Policy};
use vellum_user::sweep::{LINE, Mix, PAGES, crossover, measure};
use vellum_user::{Arguments, check, println, system, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let pages = PAGES as i64;
    let bytes = pages * 4096;
    let both = |mix: Mix| -> Result<_, Error> {
        Ok((measure(Policy::ReferencePage, mix)?, measure(Policy::PatternOnAnyFault, mix)?))
    };
    let (reference, any) = both(Mix::line(0))?;
    check!("read, then written: faults", (reference.faults, any.faults), (2 * pages, pages));
    check!("read, then written: TLB maintenance", (reference.tlbi, any.tlbi), (pages, 0));
    check!("read, then written: bytes", (reference.bytes, any.bytes), (bytes, bytes));
    check!("read, then written: frames", (reference.frames, any.frames), (pages + 1, pages));
    let (reference, any) = both(Mix::line(100))?;
    check!("only read: faults", (reference.faults, any.faults), (pages, pages));
    check!("only read: bytes", (reference.bytes, any.bytes), (0, bytes));
    check!("only read: frames", (reference.frames, any.frames), (1, pages));
    let (reference, any) = both(Mix { write_first: PAGES, ..Mix::default() })?;
    check!("written: faults", (reference.faults, any.faults), (pages, pages));
    check!("written: bytes", (reference.bytes, any.bytes), (bytes, bytes));
    testing::require(system::instruction_counter(), "no instruction counter: needs --icount");
    let mut before = i64::MAX;
    let mut line = [(0, 0); LINE.len()];
    for (point, share) in line.iter_mut().zip(LINE) {
        let (reference, any) = both(Mix::line(share))?;
        let (reference, any) = (reference.instructions(), any.instructions());
        println!("{share:>3} % only read: {reference} instructions shared, {any} at any fault");
        let behind = reference - any;
        check!("shared frames gain with every page that is only read", behind < before);
        before = behind;
        *point = (share, behind);
    }
    check!("shared frames lose where every page is read and then written", line[0].1 > 0);
    check!("shared frames win where every page is only read", before < 0);
    match crossover(&line) {
        Some(share) => println!("as good as each other at {share} % of pages only read"),
        None => _ = check!("a crossover", false),
    }
    Ok(())
}
