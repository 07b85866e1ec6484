//! What does it cost, and for how long are interrupts masked, when programs ask for the worst?
//!
//! A crowd that waits at one address, and a search that passes all of it because its own address has the
//! same queue; calls that all have to be refused by whoever receives; nearly as many mappings as there may
//! be, changed and removed by one call each.
//! The figures belong to the measurement "paths"; the kernel that measures how long interrupts are masked
//! runs this too.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};
use vellum_user::abi::{Call, Error, FOR_EVER, Handle, MAX_WAKE, Protection, Rights, WaitFlags};
use vellum_user::figures::Samples;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::scoped;
use vellum_user::{
    Arguments, Endpoint, MemoryObject, Notification, calls, counter, println, system, testing,
};

vellum_user::entry!(main);

/// Threads of a crowd.
const CROWD: usize = 1000;
/// Addresses among which some have the crowd's queue.
const WORDS: usize = 4096;
/// A search that costs more than this has passed the crowd.
const PASSED: u64 = 10_000;
/// Mappings that are changed at once.
const MAPPINGS: usize = 65_000;
/// Where they are.
const PLACE: usize = 0x50_0000_0000;
/// The priority of all, and one below it.
const USUAL: u64 = 16;
const PATIENT: u64 = 8;

static PLACES: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of what is asked for at its worst; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let figures = arguments.has("figures");
    wakes(figures)?;
    refusals(figures)?;
    mappings(figures)
}

/// Prints one figure for each of so many things, by a sample of all.
fn print(case: &str, figures: bool, sample: u64) {
    let (samples, suffix) = (&mut [sample][..], system::figure_suffix());
    Samples { case, samples, mean: None, suffix, figures }.print(|line| println!("{line}"));
}

/// Counts the instructions of something.
fn count<T>(act_fn: impl FnOnce() -> T) -> (u64, T) {
    let before = counter::read();
    let value = act_fn();
    (u64::from(counter::read().wrapping_sub(before)), value)
}

/// Starts a crowd that makes one call each, and lets all come to where they wait.
fn crowd(call: Call, arguments: [u64; 6]) -> Result<(), Error> {
    for _ in 0..CROWD {
        // SAFETY: the calls that are made here touch no memory but words that mean nothing else.
        let thread = unsafe { testing::repeat_call(Handle::SELF, 0, call, arguments, 1) }?;
        calls::handle_close(thread)?;
    }
    // Whoever is less urgent comes after all of them.
    calls::thread_set_priority(Handle::SELF, PATIENT)?;
    calls::thread_set_priority(Handle::SELF, USUAL)
}

/// Wakes a crowd, and looks past it.
fn wakes(figures: bool) -> Result<(), Error> {
    let word = |index: usize| PLACES[index].as_ptr().expose_provenance() as u64;
    let flags = WaitFlags::NONE;
    crowd(Call::AddressWait, [word(0), 0, flags.bits(), FOR_EVER, 0, 0])?;
    let looks = PLACES[1..].iter().map(|place| count(|| calls::address_wake(place, 1, flags)).0);
    let passing = looks.filter(|taken| *taken > PASSED).max().unwrap_or(0);
    print("wake_past_1000", figures, passing);
    PLACES[0].store(1, Ordering::Relaxed);
    let (taken, woken) = count(|| calls::address_wake(&PLACES[0], MAX_WAKE, flags));
    print("wake_64", figures, taken);
    let mut all = woken;
    for _ in 0..CROWD as u64 / MAX_WAKE {
        all += calls::address_wake(&PLACES[0], MAX_WAKE, flags);
    }
    assert!(all == CROWD as u64, "all waited");
    Ok(())
}

/// Receives where nobody's call can be received.
fn refusals(figures: bool) -> Result<(), Error> {
    let (endpoint, sent) = (Endpoint::new()?, Notification::new()?);
    let handle = sent.handle().to_word() | Rights::TRANSFER.bits() << 32;
    crowd(Call::EndpointCall, [endpoint.handle().to_word(), handle, 0, 0, 0, 0])?;
    drop(sent);
    // SAFETY: joined before the endpoint goes.
    let last = unsafe { scoped(|| endpoint.call([1; 4]).map(|_| ())) }?;
    let (taken, received) = count(|| endpoint.receive());
    received?;
    calls::endpoint_reply(None, [0; 4])?;
    last.join().unwrap_or(Err(Error::PartnerGone))?;
    print("refused_call", figures, taken / CROWD as u64);
    Ok(())
}

/// Changes and removes many mappings by one call each.
fn mappings(figures: bool) -> Result<(), Error> {
    let object = MemoryObject::pattern(0x55)?;
    let page = |index: usize| {
        let request = MapRequest::of(object.handle(), PAGE).at(PLACE + index * PAGE);
        if index.is_multiple_of(2) { request } else { request.read_only() }
    };
    for index in 0..MAPPINGS {
        _ = page(index).map()?.leak();
    }
    let (place, length) = (PLACE as u64, (MAPPINGS * PAGE) as u64);
    let own = Handle::SELF;
    let both = Protection::READ | Protection::WRITE;
    // SAFETY: nothing of this program lies there.
    let (taken, done) = count(|| unsafe { calls::protect(own, place, length, both) });
    done?;
    print("protect_of_65000", figures, taken / MAPPINGS as u64);
    for index in (1..MAPPINGS).step_by(2) {
        let address = place + (index * PAGE) as u64;
        // SAFETY: likewise.
        unsafe { calls::protect(own, address, PAGE as u64, Protection::READ) }?;
    }
    // SAFETY: likewise.
    let (taken, done) = count(|| unsafe { calls::unmap(own, place, length) });
    done?;
    print("unmap_of_65000", figures, taken / MAPPINGS as u64);
    Ok(())
}
