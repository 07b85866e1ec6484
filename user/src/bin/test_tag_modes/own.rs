//! What each thread has of its own beside the mode: excluded tags, the sequence of random tags, and
//! the event counter that it selected. Children use them in turns.

use core::arch::asm;
use vellum_user::abi::{Error, Handle, TagControl, TagMode};
use vellum_user::fork::fork;
use vellum_user::mapping::MapRequest;
use vellum_user::{calls, check, system, tags, testing};

/// Random tags that a child asks for, giving up the CPU after each.
const DRAWS: usize = 24;

/// The part of a child.
pub(crate) fn run(task: &str) -> ! {
    let status = match task {
        "only-3" => draw(!(1 << 3)),
        "only-9" => draw(!(1 << 9)),
        "none-left" => draw(u16::MAX),
        "any" => draw(0),
        "wrong" => wrong(),
        _ => select(task.parse().unwrap_or(0)),
    };
    calls::exit(status)
}

/// Draws tags with some excluded. Returns the sum of powers, which depends on their order.
fn draw(exclude: u16) -> u64 {
    let control = TagControl { mode: TagMode::Asynchronous, exclude };
    calls::thread_set_tag_mode(Handle::SELF, control).expect("asynchronous checks");
    let mut sequence = 0_u64;
    for _ in 0..DRAWS {
        let tag = tags::logical(tags::random(core::ptr::null_mut(), 0));
        sequence = sequence.wrapping_mul(31).wrapping_add(u64::from(tag));
        calls::yield_now();
    }
    sequence % 89
}

/// Returns what [`draw`] gives if every tag is this one.
fn always(tag: u64) -> u64 {
    (0..DRAWS).fold(0_u64, |sum, _| sum.wrapping_mul(31).wrapping_add(tag)) % 89
}

/// Uses a wrong tag, in whatever mode the thread was given.
fn wrong() -> u64 {
    let page = MapRequest::anonymous(4096).tagged().map().expect("tagged memory");
    page.set_tag(0, 5);
    page.write_as(7, 0, 1);
    calls::yield_now();
    u64::from(page.read_as(5, 0))
}

/// Selects an event counter and looks which one is selected after others ran.
fn select(counter: u64) -> u64 {
    // SAFETY: the register is EL0's to write where the instruction counter is EL0's to read.
    unsafe { asm!("msr pmselr_el0, {}", in(reg) counter, options(nomem, nostack)) };
    for _ in 0..DRAWS {
        calls::yield_now();
    }
    let selected: u64;
    // SAFETY: as above.
    unsafe { asm!("mrs {}, pmselr_el0", out(reg) selected, options(nomem, nostack)) };
    u64::from(selected & 31 != counter)
}

/// Runs children together and returns their exit statuses.
fn together<const N: usize>(tasks: [&str; N]) -> Result<[u64; N], Error> {
    let children = tasks.map(|task| testing::load_self(&[task]));
    for child in &children {
        child.start()?;
    }
    let mut statuses = [0; N];
    for (status, child) in statuses.iter_mut().zip(children) {
        let report = child.wait()?;
        check!("a child exits", report.kind, 0);
        *status = report.status;
    }
    Ok(statuses)
}

pub(crate) fn check() -> Result<(), Error> {
    let [alone] = together(["own=any"])?;
    let all = ["own=only-3", "own=any", "own=only-9", "own=none-left", "own=any"];
    let statuses = together(all)?;
    let want = [always(3), alone, always(9), always(0), alone];
    check!("tags of threads that run in turns", statuses, want);
    check!("the sequence is none of one tag", (0..16).all(|tag| alone != always(tag)));
    if system::instruction_counter() {
        let statuses = together(["own=3", "own=1", "own=4", "own=0"])?;
        check!("selected counters", statuses, [0; 4]);
    }
    check_stopped_thread()?;
    check_inheritance()
}

/// A clone goes on in the mode of its parent; a program that is loaded starts in the first mode.
fn check_inheritance() -> Result<(), Error> {
    let own = calls::thread_tag_mode(Handle::SELF)?;
    let control = TagControl { mode: TagMode::Asynchronous, exclude: 0x1234 };
    calls::thread_set_tag_mode(Handle::SELF, control)?;
    let clone = fork(|| u64::from(calls::thread_tag_mode(Handle::SELF) != Ok(control)))?;
    let loaded = testing::load_self(&["own=any"]);
    check!("a loaded program", calls::thread_tag_mode(loaded.thread.handle()), Ok(own));
    check!("a clone", testing::exited_with(&clone.wait()?, 0));
    loaded.start()?;
    loaded.wait()?;
    calls::thread_set_tag_mode(Handle::SELF, own)
}

/// Sets the mode of a child before it starts; afterwards it is the child's alone.
fn check_stopped_thread() -> Result<(), Error> {
    let own = calls::thread_tag_mode(Handle::SELF)?;
    let control = TagControl { mode: TagMode::None, exclude: 0x0f0f };
    let child = testing::load_self(&["own=wrong"]);
    let thread = child.thread.handle();
    check!("set", calls::thread_set_tag_mode(thread, control), Ok(()));
    check!("read back", calls::thread_tag_mode(thread), Ok(control));
    child.start()?;
    let late = calls::thread_set_tag_mode(thread, TagControl::default());
    check!("of a started thread", late, Err(Error::InvalidState));
    let report = child.wait()?;
    check!("a child without checks", testing::exited_with(&report, 1));
    check!("the parent's own mode", calls::thread_tag_mode(Handle::SELF), Ok(own));
    Ok(())
}
