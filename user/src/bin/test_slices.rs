//! Do threads that are equally urgent take turns while a more urgent one interrupts them more often than a
//! slice ends?
//!
//! A turn that something more urgent interrupts goes on with what is left of its slice, or who has it would
//! keep it for good.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use vellum_user::abi::{Error, Handle};
use vellum_user::threads::spawn;
use vellum_user::time::sleep;
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

/// A priority below that of this program.
const BELOW: u64 = 3;
/// Less than a slice of 5 ms.
const PAUSE: Duration = Duration::from_millis(2);
/// Pauses of the urgent thread: some ten slices.
const PAUSES: u32 = 30;

static STEPS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static DONE: AtomicBool = AtomicBool::new(false);

fn main(_arguments: &Arguments) -> Result<(), Error> {
    let before = testing::at_rest();
    let equals = [0, 1].map(|number| spawn(move || work(&STEPS[number])));
    for _ in 0..PAUSES {
        sleep(PAUSE);
    }
    let steps = STEPS.each_ref().map(|steps| steps.load(Ordering::Relaxed));
    DONE.store(true, Ordering::Relaxed);
    for equal in equals {
        check!("an equal ends", equal?.join().unwrap_or(Err(Error::PartnerGone)), Ok(()));
    }
    let (least, most) = (steps[0].min(steps[1]), steps[0].max(steps[1]));
    check!(format_args!("{least} and {most} steps"), least * 4 > most);
    check!("nothing is left", testing::at_rest(), before);
    Ok(())
}

/// Counts until all is done.
fn work(steps: &AtomicU64) -> Result<(), Error> {
    calls::thread_set_priority(Handle::SELF, BELOW)?;
    while !DONE.load(Ordering::Relaxed) {
        steps.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
