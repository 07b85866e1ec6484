//! Services: do the console's driver and the process server do what they are asked, refuse what makes no
//! sense, and leave nothing behind, whether they are stopped or killed?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::start::Device;
use vellum_user::abi::{Error, ExitKind, ExitReport, Rights};
use vellum_user::devices::Devices;
use vellum_user::loader::BootArchive;
use vellum_user::services::console::{self, AT_A_TIME, Console};
use vellum_user::services::processes::{self, Listed, Processes};
use vellum_user::services::{Service, Trouble};
use vellum_user::threads::spawn;
use vellum_user::{
    Arguments, Endpoint, Interrupt, MemoryObject, Notification, calls, check, testing,
};

vellum_user::test!(main);

/// How often the test looks for what should come back at once.
const TRIES: usize = 2000;
/// Programs that there must be room for at a time.
const MANY: usize = 6;
/// The bit that the console raises.
const TYPED: u64 = 2;

fn main(arguments: &Arguments) -> Result<(), Trouble> {
    let (handle, length) = arguments.archive().ok_or(Error::BadHandle)?;
    let archive = BootArchive::open(handle, length).map_err(|_| Error::InvalidContent)?;
    // What the heap and the tables take once stays.
    drop(spawn(|| 0)?);
    drop(Vec::<u8>::with_capacity(16 * 1024));
    the_console_sends_and_receives(&archive)?;
    let before = at_rest();
    the_console_sends_and_receives(&archive)?;
    a_killed_driver_leaves_its_line_free(&archive)?;
    check!("after the console", at_rest(), before);
    processes_run_and_end(&archive)?;
    check!("after processes", at_rest(), before);
    Ok(())
}

fn at_rest() -> (u64, u64, u64, u64) {
    let stat = testing::stat();
    (stat.free_frames, stat.pool_bytes, stat.handles, stat.processes_live)
}

/// Bytes that follow no simple rule.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|index| b' ' + ((index * 7 + index / 251) % 90) as u8).collect()
}

fn the_console_sends_and_receives(archive: &BootArchive) -> Result<(), Trouble> {
    let service = Service::start(archive, "uart", &["loopback"], Devices::own())?;
    let console = Console::new(copy(service.public())?)?;
    let typed = Notification::new()?;
    console.watch(&typed, TYPED)?;
    console.write(b"probe")?;
    if comes_back(&console, b"probe")? {
        check!("it was told", typed.wait(), Ok(TYPED));
        for length in [1, 2, AT_A_TIME, AT_A_TIME + 1, AT_A_TIME + 2, 300, 1000] {
            let text = text(length);
            console.write(&text)?;
            console.flush()?;
            check!(format_args!("{length} bytes come back"), comes_back(&console, &text)?);
            check!("they were told of", typed.wait(), Ok(TYPED));
        }
        the_keyboard_goes_to_who_asked_last(&console)?;
    }
    nonsense_is_refused(service.public())?;
    let ended = service.stop(console::STOP)?;
    check!("the console's service ends", testing::exited_with(&ended, 0));
    Ok(())
}

/// Takes what was received until it is as long as what was sent. An emulator may have no loopback: then nothing
/// comes.
fn comes_back(console: &Console, sent: &[u8]) -> Result<bool, Trouble> {
    let mut all = Vec::new();
    for _ in 0..TRIES {
        let (bytes, count) = console.read()?;
        all.extend_from_slice(&bytes[..count]);
        if all.len() >= sent.len() {
            break;
        }
        calls::yield_now();
    }
    check!("bytes", all.is_empty() || all == sent);
    Ok(!all.is_empty())
}

fn the_keyboard_goes_to_who_asked_last(console: &Console) -> Result<(), Trouble> {
    let (first, second) = (Notification::new()?, Notification::new()?);
    console.watch(&first, 1)?;
    console.watch(&second, 2)?;
    console.write(b"x")?;
    check!("the second is told", second.wait(), Ok(2));
    first.raise(4)?;
    check!("the first is not", first.wait(), Ok(4));
    // Who asks when something is there already is told at once.
    console.watch(&first, 1)?;
    check!("the first is told now", first.wait(), Ok(1));
    check!("it is there", comes_back(console, b"x")?);
    Ok(())
}

fn copy(endpoint: &Endpoint) -> Result<Endpoint, Error> {
    let rights = Rights::WRITE | Rights::TRANSFER;
    let copy = calls::handle_copy(vellum_user::abi::Handle::SELF, endpoint.handle(), rights)?;
    Ok(Endpoint::from_handle(copy))
}

fn asked(endpoint: &Endpoint, words: [u64; 4]) -> Result<Result<(), Trouble>, Error> {
    Ok(Trouble::check(endpoint.call(words)?.words[0]))
}

/// What every service has to survive, here of the console's.
fn nonsense_is_refused(console: &Endpoint) -> Result<(), Trouble> {
    check!("to stop", asked(console, [console::STOP, 0, 0, 0])?, Err(Trouble::NotOwner));
    check!("no question", asked(console, [99, 0, 0, 0])?, Err(Trouble::Unknown));
    let long = [console::WRITE | 25 << 8, 0, 0, 0];
    check!("more than words have", asked(console, long)?, Err(Trouble::Unknown));
    let without = [console::WRITE_OBJECT | 8 << 8, 0, 0, 0];
    check!("no object", asked(console, without)?, Err(Trouble::Unknown));
    let given = |handle, rights, length: u64| -> Result<_, Error> {
        let words = [console::WRITE_OBJECT | length << 8, 0, 0, 0];
        Ok(Trouble::check(console.call_with(handle, rights, words)?.words[0]))
    };
    let (object, pattern) = (MemoryObject::new(4096)?, MemoryObject::pattern(1)?);
    let looks = Rights::READ | Rights::MAP | Rights::INSPECT;
    check!("another kind", given(pattern.handle(), looks, 8)?, Err(Trouble::Unknown));
    check!("no bytes", given(object.handle(), looks, 0)?, Err(Trouble::Unknown));
    check!("too many", given(object.handle(), looks, u64::MAX >> 8)?, Err(Trouble::Unknown));
    let beyond = given(object.handle(), looks, 4097)?;
    check!("past its end", beyond, Err(Trouble::Kernel(Error::BeyondEnd)));
    let missing = given(object.handle(), Rights::READ, 8)?;
    check!("without rights", missing, Err(Trouble::Kernel(Error::MissingRight)));
    Ok(())
}

fn a_killed_driver_leaves_its_line_free(archive: &BootArchive) -> Result<(), Trouble> {
    let Some(line) = Devices::own().get(Device::ConsoleInterrupt) else { return Ok(()) };
    let line = calls::handle_copy(vellum_user::abi::Handle::SELF, line, Rights::WRITE)?;
    let line = Interrupt::from_handle(line);
    let service = Service::start(archive, "uart", &[], Devices::own())?;
    let console = Console::new(copy(service.public())?)?;
    check!("it serves", console.flush(), Ok(()));
    check!("the line is its", line.acknowledge(), Ok(()));
    service.process().kill()?;
    let ended = service.process().wait()?;
    check!("killed", ended.kind, ExitKind::Killed as u64);
    check!("nobody there", console.flush(), Err(Trouble::Kernel(Error::PartnerGone)));
    check!("the line is free", line.acknowledge(), Err(Error::InvalidState));
    Ok(())
}

fn processes_run_and_end(archive: &BootArchive) -> Result<(), Trouble> {
    let devices = Devices::own().without(Device::Console).without(Device::ConsoleInterrupt);
    let service = Service::start(archive, "processes", &["first=5"], devices)?;
    let server = Processes::new(copy(service.public())?)?;
    check!("no processes", server.list()?, Vec::<Listed>::new());
    check!("no such program", server.run(&["nobody"]), Err(Trouble::NoProgram));
    check!("no program", server.run(&["kernel.symbols"]), Err(Trouble::NotAProgram));
    check!("no name", server.run(&[""]), Err(Trouble::BadArguments));
    check!("the first number", server.run(&["crash", "exit=7"])?, 5);
    check!("its status", testing::exited_with(&server.wait(5)?, 7));
    check!("forgotten", server.report(5), Err(Trouble::NoProcess));
    let crash = server.run(&["crash", "null"])?;
    check!("a death", server.wait(crash)?.kind, ExitKind::NotMapped as u64);
    one_that_hangs(&server)?;
    one_that_takes_all_it_gets(&server)?;
    as_many_as_there_may_be(&server)?;
    // One is still there when the service stops.
    server.run(&["crash", "hang"])?;
    let stop = asked(service.public(), [processes::STOP, 0, 0, 0])?;
    check!("to stop", stop, Err(Trouble::NotOwner));
    drop(server);
    let ended = service.stop(processes::STOP)?;
    check!("the process server ends", testing::exited_with(&ended, 0));
    Ok(())
}

fn one_that_hangs(server: &Processes) -> Result<(), Trouble> {
    let number = server.run(&["crash", "hang"])?;
    let listed = Listed { number, runs: true, name: "crash hang".into() };
    check!("it is listed", server.list()?, alloc::vec![listed]);
    check!("no report", server.report(number), Err(Trouble::StillRuns));
    check!("not to be forgotten", server.forget(number), Err(Trouble::StillRuns));
    let process = server.handle(number)?;
    check!("its counters", process.stat().is_ok_and(|stat| stat.mappings > 3));
    check!("for looking alone", process.kill(), Err(Error::MissingRight));
    server.kill(number)?;
    let ended = Notification::new()?;
    server.watch(number, &ended, 1)?;
    check!("it ends", ended.wait(), Ok(1));
    check!("ended already", server.kill(number), Err(Trouble::HasEnded));
    server.watch(number, &ended, 8)?;
    check!("told at once", ended.wait(), Ok(8));
    check!("killed", server.wait(number)?.kind, ExitKind::Killed as u64);
    Ok(())
}

/// It ends by its own limit, and there is memory for others all the while.
fn one_that_takes_all_it_gets(server: &Processes) -> Result<(), Trouble> {
    let free = testing::stat().free_frames;
    let glutton = server.run(&["waits", "eat"])?;
    let report = server.wait(glutton)?;
    check!("its limit ends it", report.kind, ExitKind::LimitReached as u64);
    check!("everything is back", testing::stat().free_frames, free);
    check!("others run", testing::exited_with(&run(server, &["crash", "exit=3"])?, 3));
    Ok(())
}

fn run(server: &Processes, words: &[&str]) -> Result<ExitReport, Trouble> {
    server.wait(server.run(words)?)
}

/// Starts programs until the server refuses, which it does by name, and ends them all.
fn as_many_as_there_may_be(server: &Processes) -> Result<(), Trouble> {
    let mut all = Vec::new();
    let refusal = loop {
        match server.run(&["waits"]) {
            Ok(number) => all.push(number),
            Err(trouble) => break trouble,
        }
    };
    check!("several at a time", all.len() >= MANY);
    let named = [Trouble::TooMany, Trouble::Kernel(Error::LimitReached)];
    check!("no more by name", named.contains(&refusal));
    check!("all are listed", server.list()?.len(), all.len());
    for number in all {
        // One that has less than it needs may have ended by itself.
        check!("kill", matches!(server.kill(number), Ok(()) | Err(Trouble::HasEnded)));
        check!("its end", server.wait(number).is_ok());
    }
    check!("none is left", server.list()?.len(), 0);
    Ok(())
}
