//! The console's service: receives and sends by the PL011's interrupts, and answers the messages of
//! `vellum_user::services::console`.
//!
//! Two threads share the driver. One waits for the interrupt, takes what was received, raises the bits of whoever
//! has the keyboard, and sends what waits; the other answers calls. A call that writes more than there is room for
//! waits until the first thread has made room.
//!
//! With the argument `loopback` the device receives what it sends: for tests.
#![no_std]
#![no_main]

extern crate alloc;

use vellum_user::abi::start::Device;
use vellum_user::abi::{Error, MESSAGE_WORDS};
use vellum_user::devices::Devices;
use vellum_user::lock::{Condition, Mutex};
use vellum_user::services::console::{
    AT_A_TIME, FLUSH, IN_WORDS, READ, STOP, WATCH, WRITE, WRITE_OBJECT, read_answer, to_bytes,
};
use vellum_user::services::pl011::{Interest, Pl011};
use vellum_user::services::ring::Ring;
use vellum_user::services::serve::{Answer, Question, serve};
use vellum_user::services::shared::take_bytes;
use vellum_user::services::{OWNER, Trouble};
use vellum_user::{Arguments, Endpoint, Interrupt, Notification, threads};

vellum_user::entry!(main);

/// Bytes that wait on either way.
const ROOM: usize = 1024;
/// Bytes that are sent at a time: what the device has room for.
const AT_ONCE: usize = 16;

/// The device and what waits.
struct Driver {
    device: Pl011,
    input: Ring<ROOM>,
    output: Ring<ROOM>,
    /// Who has the keyboard.
    watcher: Option<(Notification, u64)>,
}

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);
/// Told when there is more room for output.
static SENT: Condition = Condition::new();

fn main(arguments: &Arguments) -> Result<(), Error> {
    let devices = Devices::own();
    let (Some(registers), Some(line), Some(endpoint)) =
        (devices.get(Device::Console), devices.get(Device::ConsoleInterrupt), arguments.parcel())
    else {
        return Err(Error::BadHandle);
    };
    let mut device = Pl011::map(registers)?;
    if arguments.has("loopback") {
        device.loop_back(true);
    }
    let (line, arrived) = (Interrupt::from_handle(line), Notification::new()?);
    line.bind(&arrived, 1)?;
    device.interrupt_for(Interest::Input);
    let (input, output) = (Ring::new(), Ring::new());
    *DRIVER.lock() = Some(Driver { device, input, output, watcher: None });
    let attendant = threads::spawn(move || attend(&line, &arrived))?;
    let end = serve(&Endpoint::from_handle(endpoint), answer);
    with(|driver| {
        driver.device.interrupt_for(Interest::Nothing);
        driver.device.loop_back(false);
    });
    // The process ends with the other thread in it.
    core::mem::forget(attendant);
    end
}

fn with<T>(use_fn: impl FnOnce(&mut Driver) -> T) -> T {
    use_fn(DRIVER.lock().as_mut().expect("made before there are threads and calls"))
}

/// Serves the device, for ever.
fn attend(line: &Interrupt, arrived: &Notification) {
    while arrived.wait().is_ok() {
        with(|driver| {
            driver.send();
        });
        SENT.tell_all();
        // What came meanwhile interrupts again.
        if line.acknowledge().is_err() {
            return;
        }
    }
}

impl Driver {
    /// Takes what was received and tells who has the keyboard.
    fn receive(&mut self) {
        let mut is_new = false;
        while let Some(byte) = self.device.receive() {
            // Nobody could be told of what does not fit.
            is_new |= self.input.push(byte);
        }
        if is_new {
            self.tell();
        }
    }

    fn tell(&self) {
        if let Some((notification, bits)) = &self.watcher {
            // Whoever has the keyboard and is gone does not miss it.
            let _ = notification.raise(*bits);
        }
    }

    /// Takes what was received and sends what the device has room for; it interrupts for the rest.
    fn send(&mut self) {
        // First what came: in a loop back it would have no room beside what is sent now.
        self.receive();
        for _ in 0..AT_ONCE {
            let Some(byte) = self.output.first() else { break };
            if !self.device.send(byte) {
                break;
            }
            self.output.pop();
        }
        let is_done = self.output.is_empty();
        self.device.interrupt_for(if is_done { Interest::Input } else { Interest::InputAndRoom });
    }
}

fn answer(question: &mut Question) -> Result<Answer, Trouble> {
    match question.number() {
        WRITE => {
            let bytes = to_bytes(&question.words[1..MESSAGE_WORDS]);
            let bytes = bytes.get(..question.length() as usize).ok_or(Trouble::Unknown)?;
            write(bytes);
        }
        WRITE_OBJECT => write(&take_bytes(question.take()?, question.length() as usize)?),
        FLUSH => flush(),
        READ => return Ok(read()),
        WATCH => watch(Notification::from_handle(question.take()?), question.words[1]),
        STOP if question.badge == OWNER => {
            flush();
            return Ok(Answer { is_last: true, ..Answer::YES });
        }
        STOP => return Err(Trouble::NotOwner),
        _ => return Err(Trouble::Unknown),
    }
    Ok(Answer::YES)
}

fn write(bytes: &[u8]) {
    let mut guard = DRIVER.lock();
    for byte in bytes {
        while let Some(driver) = guard.as_mut()
            && !driver.output.push(*byte)
        {
            driver.send();
            SENT.wait(&mut guard);
        }
    }
    if let Some(driver) = guard.as_mut() {
        driver.send();
    }
}

fn flush() {
    let mut guard = DRIVER.lock();
    while guard.as_ref().is_some_and(|driver| !driver.output.is_empty()) {
        SENT.wait(&mut guard);
    }
}

fn read() -> Answer {
    let mut bytes = [0; IN_WORDS];
    let count = with(|driver| {
        let taken = bytes[..AT_A_TIME].iter_mut();
        let taken = taken.zip(core::iter::from_fn(|| driver.input.pop()));
        taken.map(|(place, byte)| *place = byte).count()
    });
    read_answer(&bytes[..count])
}

fn watch(notification: Notification, bits: u64) {
    with(|driver| {
        driver.watcher = Some((notification, bits));
        if !driver.input.is_empty() {
            driver.tell();
        }
    });
}
