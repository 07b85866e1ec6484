//! Row 19: does an account with 8 frames left refuse the ninth reference object, and nobody else
//! anything? Do grants add up, outlive processes while something is charged, and come back whole?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{AccountInfo, Errno, Error, ExitKind, Handle, Limits, PAGE_SIZE, Rights};
use vellum_user::mapping::PAGE;
use vellum_user::{Account, Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// What a program of this test needs to run, and some more.
const AMPLE: Limits = Limits { frames: 512, kernel_bytes: 1 << 20, handles: 64 };
/// Frames that are left when it gets tight.
const QUOTA: u64 = 8;

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("objects") => return make_objects(),
        Some("touch") => return touch(),
        Some("handles") => return take_handles(),
        Some("memory") => return take_kernel_memory(),
        Some("exit") => return Ok(()),
        _ => {}
    }
    // The first child maps the archive here, which stays.
    _ = testing::run_self(&["exit"]);
    let (before, free) = (own(), testing::stat().free_frames);
    for victim in ["objects", "handles", "memory"] {
        let account = Account::new(&AMPLE)?;
        let child = testing::load_self_paid_by(&account, &[victim]);
        child.start()?;
        let report = child.wait()?;
        check!(victim, testing::exited_with(&report, 0));
        check!("others go on", MemoryObject::pattern(7).is_ok());
    }
    a_limit_kills_the_process_that_meets_it()?;
    check!("the own account", own(), before);
    grants_are_a_tree()?;
    an_account_outlives_its_process()?;
    check!("the own account", own(), before);
    check!("free frames", testing::stat().free_frames, free);
    Ok(())
}

fn own() -> AccountInfo {
    calls::account_query(Handle::SELF).expect("a process may look at its own account")
}

fn frames_left() -> u64 {
    let info = own();
    info.frame_limit - info.frames_granted - info.frames
}

/// Takes frames until [`QUOTA`] are left, then makes objects of one frame each.
fn make_objects() -> Result<(), Error> {
    let hog = Mapping::anonymous(AMPLE.frames as usize * PAGE)?;
    let mut page = 0;
    while frames_left() > QUOTA {
        hog.write(page * PAGE, 1);
        page += 1;
    }
    let mut objects = Vec::with_capacity(QUOTA as usize);
    for byte in 1..=QUOTA {
        objects.push(MemoryObject::pattern(byte as u8)?);
    }
    let before = testing::stat();
    let refused = MemoryObject::pattern(9).err();
    check!("the ninth", refused, Some(Error::LimitReached));
    check!("class", refused.map(Error::errno), Some(Errno::Enomem));
    check!("without a trace", testing::stat(), before);
    objects.pop();
    check!("in the place of another", MemoryObject::pattern(9).is_ok());
    Ok(())
}

/// Makes copies of a handle until no more are allowed.
fn take_handles() -> Result<(), Error> {
    let object = MemoryObject::pattern(1)?;
    let one_more = || calls::handle_copy(Handle::SELF, object.handle(), Rights::NONE);
    let copies: Vec<_> = (0..AMPLE.handles).map_while(|_| one_more().ok()).collect();
    let info = own();
    check!("all of them", (info.handles, info.handle_limit), (AMPLE.handles, AMPLE.handles));
    check!("one more", one_more().err(), Some(Error::LimitReached));
    copies.into_iter().try_for_each(calls::handle_close)
}

/// Makes mappings until no kernel memory is left to the account.
fn take_kernel_memory() -> Result<(), Error> {
    let object = MemoryObject::pattern(1)?;
    let mut kept = Vec::with_capacity(100);
    let refused = (0..1 << 16).find_map(|_| match Mapping::private(&object, PAGE) {
        Ok(mapping) => {
            // Another object between two mappings keeps them apart.
            _ = mapping.leak();
            Mapping::anonymous(PAGE).map(|mapping| _ = mapping.leak()).err()
        }
        Err(error) => Some(error),
    });
    check!("a reason", refused, Some(Error::LimitReached));
    let info = own();
    check!("nearly all", info.kernel_byte_limit - info.kernel_bytes < 1024);
    kept.push(refused);
    Ok(())
}

/// Touches more pages than there are frames.
fn touch() -> Result<(), Error> {
    let pages = Mapping::anonymous(2 * AMPLE.frames as usize * PAGE)?;
    (0..pages.pages()).for_each(|page| pages.write(page * PAGE, 1));
    Ok(())
}

fn a_limit_kills_the_process_that_meets_it() -> Result<(), Error> {
    let account = Account::new(&AMPLE)?;
    let child = testing::load_self_paid_by(&account, &["touch"]);
    child.start()?;
    check!("the reason", child.wait()?.kind, ExitKind::LimitReached as u64);
    check!("frames afterwards", account.query()?.frames <= 1);
    Ok(())
}

fn grants_are_a_tree() -> Result<(), Error> {
    let before = own();
    let parent = Account::new(&AMPLE)?;
    check!("granted", own().frames_granted, before.frames_granted + AMPLE.frames);
    let half = Limits { frames: 256, kernel_bytes: 1 << 18, handles: 32 };
    let (left, right) = (parent.child(&half)?, parent.child(&half)?);
    let too_much = Limits { frames: 1, ..Limits::default() };
    check!("nothing left", parent.child(&too_much).err(), Some(Error::LimitReached));
    check!(
        "overflow",
        left.child(&Limits { frames: u64::MAX, ..half }).err(),
        Some(Error::LimitReached)
    );
    let child = testing::load_self_paid_by(&left, &["exit"]);
    let (below, sum) = (left.query()?, parent.query()?);
    check!("charged below", below.frames > 0 && below.kernel_bytes > 0);
    check!("not above", sum.frames, 0);
    check!("summed above", sum.subtree_frames, below.frames);
    check!("summed with its own", sum.subtree_kernel_bytes, below.kernel_bytes + sum.kernel_bytes);
    check!("summed from the top", own().subtree_frames, own().frames + below.frames);
    child.start()?;
    child.wait()?;
    drop((left, right));
    check!("came back", parent.query()?.frames_granted, 0);
    check!("as good as new", parent.child(&too_much).is_ok());
    drop(parent);
    check!("all of it", own(), before);
    let mut chain = Vec::with_capacity(64);
    chain.push(Account::new(&Limits { frames: 0, kernel_bytes: 1 << 16, handles: 0 })?);
    let refused = (1..64).find_map(|level| {
        let limits = Limits { frames: 0, kernel_bytes: (64 - level) << 10, handles: 0 };
        chain.last().expect("the first").child(&limits).map(|child| chain.push(child)).err()
    });
    check!("not endlessly deep", refused, Some(Error::LimitReached));
    // From above: each is held by the one below it until the last goes.
    chain.into_iter().for_each(drop);
    check!("the whole chain", own(), before);
    Ok(())
}

/// An object is its maker's; when that is gone and another maps the object, the account stays.
fn an_account_outlives_its_process() -> Result<(), Error> {
    let before = own();
    let account = Account::new(&AMPLE)?;
    let process = vellum_user::Process::paid_by(&account)?;
    let at = process.map(Handle::ANONYMOUS, 0, PAGE_SIZE, options(), 0)?;
    check!("a page", process.write(at, &[1]), (1, Ok(())));
    let used = account.query()?;
    check!("root, tables, page", used.frames, 5);
    drop(account);
    check!("still granted", own().frames_granted, before.frames_granted + AMPLE.frames);
    drop(process);
    check!("given back with the last charge", own(), before);
    Ok(())
}

fn options() -> vellum_user::abi::MapOptions {
    use vellum_user::abi::{MapOptions, Protection};
    MapOptions { protection: Protection::READ | Protection::WRITE, ..MapOptions::default() }
}
