//! Interrupts of a device: does each alarm of the real-time clock raise its bits once until it is
//! acknowledged, for whom it is bound to and nobody else, and is nothing left of a driver that died?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::abi::start::Device;
use vellum_user::devices::Devices;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::{scoped, spawn};
use vellum_user::{Arguments, Interrupt, Mapping, Notification, calls, check, testing};

vellum_user::test!(main);

/// Registers of a PL031: seconds, the second of the alarm, whether it interrupts, whether it is due,
/// and where that is cleared.
const SECONDS: usize = 0x0;
const MATCH: usize = 0x4;
const ENABLE: usize = 0x10;
const DUE: usize = 0x14;
const CLEAR: usize = 0x1c;

/// The bit of the alarm, and one that the test raises itself.
const ALARM: u64 = 1 << 5;
const OWN: u64 = 1;
const ROUNDS: u64 = 1000;

/// The real-time clock.
struct Clock {
    registers: Mapping,
    line: Interrupt,
}

impl Clock {
    fn open() -> Result<Clock, Error> {
        let (Some(registers), Some(line)) =
            (Devices::own().get(Device::Clock), Devices::own().get(Device::ClockInterrupt))
        else {
            testing::skip("no real-time clock with an interrupt");
        };
        let registers = MapRequest::of(registers, PAGE).shared().map()?;
        Ok(Clock { registers, line: Interrupt::from_handle(line) })
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of the device.
        unsafe { self.registers.pointer(register).cast::<u32>().read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: a register of the device.
        unsafe { self.registers.pointer(register).cast::<u32>().write_volatile(value) }
    }

    /// Lets the alarm be due now. An alarm of this very second is, unless that has just passed.
    fn ring(&self) {
        self.write(ENABLE, 1);
        while self.read(DUE) == 0 {
            self.write(MATCH, self.read(SECONDS));
        }
    }

    fn quiet(&self) {
        self.write(CLEAR, 1);
    }
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    let clock = Clock::open()?;
    if arguments.at(0) == Some("drive") {
        return drive(&clock);
    }
    // What the heap and the tables take once stays.
    drop(spawn(|| 0)?);
    check!("a driver that ends", testing::exited_with(&testing::run_self(&["drive"]), 0));
    clock.quiet();
    let before = testing::at_rest();
    an_alarm_raises_its_bits(&clock)?;
    a_line_that_asks_on_raises_once_an_acknowledgement(&clock)?;
    who_waits_is_woken(&clock)?;
    a_line_tells_whom_it_was_bound_to_last(&clock)?;
    a_line_goes_with_its_notification(&clock)?;
    a_line_goes_with_its_driver(&clock);
    check!("free frames, kernel memory and handles afterwards", testing::at_rest(), before);
    Ok(())
}

/// Checks that no alarm was told: what is raised is the bit of this function alone.
fn check_silence(name: &str, notification: &Notification) -> Result<(), Error> {
    (0..10).for_each(|_| calls::yield_now());
    notification.raise(OWN)?;
    check!(name, notification.wait(), Ok(OWN));
    Ok(())
}

fn an_alarm_raises_its_bits(clock: &Clock) -> Result<(), Error> {
    let notification = Notification::new()?;
    check!("nothing to acknowledge", clock.line.acknowledge(), Err(Error::InvalidState));
    clock.line.bind(&notification, ALARM)?;
    check_silence("before the alarm", &notification)?;
    clock.ring();
    check!("the alarm", notification.wait(), Ok(ALARM));
    clock.quiet();
    clock.line.acknowledge()?;
    check_silence("once it is quiet", &notification)?;
    Ok(())
}

/// A device that is never quiet: a storm, if the line were not masked.
fn a_line_that_asks_on_raises_once_an_acknowledgement(clock: &Clock) -> Result<(), Error> {
    let notification = Notification::new()?;
    clock.line.bind(&notification, ALARM)?;
    clock.ring();
    for _ in 0..ROUNDS {
        check!("the alarm", notification.wait(), Ok(ALARM));
        clock.line.acknowledge()?;
    }
    check!("the last alarm", notification.wait(), Ok(ALARM));
    check_silence("before it is acknowledged", &notification)?;
    clock.quiet();
    clock.line.acknowledge()?;
    check_silence("once it is quiet", &notification)?;
    Ok(())
}

fn who_waits_is_woken(clock: &Clock) -> Result<(), Error> {
    let notification = Notification::new()?;
    clock.line.bind(&notification, ALARM)?;
    for _ in 0..ROUNDS / 20 {
        // SAFETY: joined before the notification goes.
        let waiter = unsafe { scoped(|| notification.wait()) }?;
        (0..3).for_each(|_| calls::yield_now());
        clock.ring();
        check!("who waits", waiter.join(), Some(Ok(ALARM)));
        clock.quiet();
        clock.line.acknowledge()?;
    }
    Ok(())
}

fn a_line_tells_whom_it_was_bound_to_last(clock: &Clock) -> Result<(), Error> {
    let (first, second) = (Notification::new()?, Notification::new()?);
    clock.line.bind(&first, ALARM)?;
    clock.ring();
    check!("the first", first.wait(), Ok(ALARM));
    clock.line.bind(&second, ALARM << 1)?;
    check!("the second, as it still asks", second.wait(), Ok(ALARM << 1));
    check_silence("the first no more", &first)?;
    clock.quiet();
    drop(first);
    check!("it is the second's still", clock.line.acknowledge(), Ok(()));
    Ok(())
}

fn a_line_goes_with_its_notification(clock: &Clock) -> Result<(), Error> {
    let notification = Notification::new()?;
    let copy = calls::handle_copy(
        vellum_user::abi::Handle::SELF,
        notification.handle(),
        vellum_user::abi::Rights::READ,
    )?;
    clock.line.bind(&notification, ALARM)?;
    drop(notification);
    check!("one handle is enough", clock.line.acknowledge(), Ok(()));
    calls::handle_close(copy)?;
    check!("none is not", clock.line.acknowledge(), Err(Error::InvalidState));
    // It asks now, and nobody is bothered.
    clock.ring();
    (0..10).for_each(|_| calls::yield_now());
    clock.quiet();
    Ok(())
}

/// Binds the line, lets the alarm ring and ends without a word to anybody.
fn drive(clock: &Clock) -> Result<(), Error> {
    let notification = Notification::new()?;
    clock.line.bind(&notification, ALARM)?;
    clock.ring();
    check!("the child's alarm", notification.wait(), Ok(ALARM));
    calls::exit(0)
}

fn a_line_goes_with_its_driver(clock: &Clock) {
    for _ in 0..5 {
        check!("a driver", testing::exited_with(&testing::run_self(&["drive"]), 0));
        check!("its line is free", clock.line.acknowledge(), Err(Error::InvalidState));
        clock.quiet();
    }
}
