//! A session: the services behind it, and the loop of lines.
//!
//! Owns: the services and what is chosen for commands to come. Refuses to know: what a command does.

use crate::commands;
use crate::input::{Input, Typed, Woken};
use alloc::string::String;
use core::fmt::{self, Write};
use vellum_user::abi::start::Device;
use vellum_user::abi::{Error, Handle, Rights};
use vellum_user::devices::Devices;
use vellum_user::loader::BootArchive;
use vellum_user::services::console::{self, Console};
use vellum_user::services::processes::{self, Processes};
use vellum_user::services::{Service, Trouble};
use vellum_user::ways::Way;
use vellum_user::{Arguments, Endpoint, Process, calls, testing};

/// The number of the monitor's own process, of the console's service, of the process server, and of the first
/// program that is run.
pub(crate) const OWN: u64 = 1;
/// See [`OWN`].
pub(crate) const UART: u64 = 2;
/// See [`OWN`].
pub(crate) const SERVER: u64 = 3;
const FIRST: &str = "first=4";

const PROMPT: &str = "vellum> ";

/// Everything that commands use.
pub(crate) struct Session {
    pub(crate) archive: BootArchive,
    pub(crate) input: Input,
    pub(crate) processes: Processes,
    /// How pages of the mappings that the next commands make get their contents.
    pub(crate) way: Way,
    uart: Service,
    server: Service,
    console: Console,
}

/// What a command leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Prompt,
    Exit,
}

impl Session {
    /// Starts the services.
    pub(crate) fn start(arguments: &Arguments) -> Result<Session, Trouble> {
        let (handle, length) = arguments.archive().ok_or(Error::BadHandle)?;
        let archive = BootArchive::open(handle, length).map_err(|_| Trouble::NotAProgram)?;
        let uart = Service::start(&archive, "uart", &[], Devices::own())?;
        // Programs have the clock; the console has one driver.
        let devices = Devices::own().without(Device::Console).without(Device::ConsoleInterrupt);
        let server = Service::start(&archive, "processes", &[FIRST], devices)?;
        let console = Console::new(copy(uart.public())?)?;
        let input = Input::new(&console, PROMPT)?;
        let processes = Processes::new(copy(server.public())?)?;
        let way = Way::ReferencePage;
        // What is present now is in no figure later.
        testing::warm();
        Ok(Session { archive, input, processes, way, uart, server, console })
    }

    /// Reads lines and does what they say, to the end.
    pub(crate) fn talk(&mut self) -> Result<(), Trouble> {
        self.say(format_args!("\nThe Vellum monitor. help lists the commands, exit ends it.\n"))?;
        loop {
            let typed = self.input.line(&self.console, |before| {
                commands::words(before, &self.archive, &self.processes)
            })?;
            let next = match typed {
                Typed::Line(line) => commands::perform(self, &line)?,
                Typed::Nothing => Next::Prompt,
                Typed::End => Next::Exit,
            };
            if next == Next::Exit {
                return Ok(());
            }
        }
    }

    /// Stops the services.
    pub(crate) fn stop(self) -> Result<(), Trouble> {
        let Session { uart, server, processes, console, .. } = self;
        drop(processes);
        server.stop(processes::STOP)?;
        drop(console);
        uart.stop(console::STOP)?;
        Ok(())
    }

    /// Shows text.
    pub(crate) fn say(&self, text: fmt::Arguments<'_>) -> Result<(), Trouble> {
        let mut all = String::new();
        // Text in memory takes every character.
        let _ = all.write_fmt(text);
        self.console.write(all.as_bytes())
    }

    /// Waits for the end of the program that the input is told of, or for Ctrl-C.
    pub(crate) fn wait(&mut self) -> Result<Woken, Trouble> {
        self.input.wait(&self.console)
    }

    /// Lets everything that was said appear, before somebody else writes.
    pub(crate) fn settle(&self) -> Result<(), Trouble> {
        self.console.flush()
    }

    /// Returns a way to look at a process.
    pub(crate) fn target(&self, number: u64) -> Result<Target, Trouble> {
        Ok(match number {
            OWN => Target::Fixed(Handle::SELF),
            UART => Target::Fixed(self.uart.process().handle()),
            SERVER => Target::Fixed(self.server.process().handle()),
            _ => Target::Given(self.processes.handle(number)?),
        })
    }
}

/// A process to look at.
pub(crate) enum Target {
    /// One whose handle the session keeps.
    Fixed(Handle),
    /// One of the process server's.
    Given(Process),
}

impl Target {
    pub(crate) const fn handle(&self) -> Handle {
        match self {
            Target::Fixed(handle) => *handle,
            Target::Given(process) => process.handle(),
        }
    }
}

fn copy(endpoint: &Endpoint) -> Result<Endpoint, Error> {
    calls::handle_copy(Handle::SELF, endpoint.handle(), Rights::WRITE).map(Endpoint::from_handle)
}
