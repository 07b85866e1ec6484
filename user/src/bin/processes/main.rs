//! The process server: starts programs of the archive and knows how they ended. It answers the messages of
//! `vellum_user::services::processes`.
//!
//! One thread answers calls; for each process another waits for its end, so that no caller has to. The programs
//! that it starts get the archive, and of devices what the server itself was given. Each has an account of its own
//! with half of what is left, so that one that takes all it can get leaves the others and the services alive.
//!
//! The argument `first=N` is the number of the first process.
#![no_std]
#![no_main]

extern crate alloc;

mod table;

use alloc::vec::Vec;
use table::{TABLE, ended};
use vellum_user::abi::{Error, Handle, Limits};
use vellum_user::calls;
use vellum_user::devices::Devices;
use vellum_user::loader::{BootArchive, Grants};
use vellum_user::services::processes::{
    FORGET, HANDLE, KILL, NAME, NEXT, REPORT, RUN, STOP, TO_LOOK, WATCH,
};
use vellum_user::services::serve::{Answer, Question, serve};
use vellum_user::services::shared::{give_bytes, take_bytes};
use vellum_user::services::{OWNER, Trouble};
use vellum_user::threads::{Joined, spawn};
use vellum_user::{Account, Arguments, Endpoint, Notification, testing};

vellum_user::entry!(main);

/// The server's own thread's part: what the others do not need.
struct Server {
    archive: BootArchive,
    next: u64,
    /// Who waits for which process.
    waiters: Vec<(u64, Joined<'static, ()>)>,
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    let (handle, length) = arguments.archive().ok_or(Error::BadHandle)?;
    let archive = BootArchive::open(handle, length).map_err(|_| Error::InvalidContent)?;
    let endpoint = Endpoint::from_handle(arguments.parcel().ok_or(Error::BadHandle)?);
    let first = arguments.value("first").and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut server = Server { archive, next: first, waiters: Vec::new() };
    let end = serve(&endpoint, |question| server.answer(question));
    server.end_all();
    end
}

impl Server {
    fn answer(&mut self, question: &mut Question) -> Result<Answer, Trouble> {
        let [_, number, word, _] = question.words;
        match question.number() {
            RUN => {
                let text = take_bytes(question.take()?, question.length() as usize)?;
                self.run(&text).map(|number| Answer::of([number, 0, 0]))
            }
            WATCH => {
                let notification = Notification::from_handle(question.take()?);
                TABLE.lock().watch(number, notification, word).map(|()| Answer::YES)
            }
            REPORT => TABLE.lock().report(number, word).map(Answer::of),
            NEXT => TABLE
                .lock()
                .next(number)
                .map(|(number, runs)| Answer::of([number, u64::from(runs), 0])),
            NAME => {
                let name = TABLE.lock().name(number)?;
                let count = give_bytes(question.take()?, question.length() as usize, &name)?;
                Ok(Answer::of([count as u64, 0, 0]))
            }
            HANDLE => {
                let handle = TABLE.lock().handle(number)?;
                Ok(Answer { handle: Some((handle, TO_LOOK)), ..Answer::YES })
            }
            KILL => TABLE.lock().kill(number).map(|()| Answer::YES),
            FORGET => self.forget(number).map(|()| Answer::YES),
            STOP if question.badge == OWNER => {
                self.end_all();
                Ok(Answer { is_last: true, ..Answer::YES })
            }
            STOP => Err(Trouble::NotOwner),
            _ => Err(Trouble::Unknown),
        }
    }

    /// Starts the program that a text names.
    fn run(&mut self, text: &[u8]) -> Result<u64, Trouble> {
        let words = core::str::from_utf8(text).map_err(|_| Trouble::BadArguments)?;
        let words = words.split('\0');
        let name = words.clone().next().unwrap_or("");
        let file = self.archive.find(name).ok_or(Trouble::NoProgram)?;
        TABLE.lock().check_room()?;
        let account = share()?;
        let grants =
            Grants { account: account.handle(), devices: Devices::own(), ..Grants::default() };
        let child = self.archive.load_with(grants, file, words)?;
        let (number, handle) = (self.next, child.process.handle());
        let waiter = spawn(move || {
            if let Ok(report) = calls::process_wait(handle) {
                ended(number, report);
            }
        });
        let waiter = waiter.inspect_err(|_| {
            // Nobody would know of its end: it does not begin.
            let _ = child.process.kill();
        })?;
        TABLE.lock().add(number, text, child.process);
        self.next += 1;
        self.waiters.push((number, waiter));
        // A process that cannot start has ended, and its waiter says so.
        if let Err(error) = child.thread.start() {
            let _ = TABLE.lock().kill(number);
            return Err(error.into());
        }
        Ok(number)
    }

    fn forget(&mut self, number: u64) -> Result<(), Trouble> {
        let process = TABLE.lock().forget(number)?;
        // The waiter has said its last word, and uses the handle no more when it is joined.
        self.waiters.retain(|(waited, _)| *waited != number);
        drop(process);
        Ok(())
    }

    /// Ends every process and waits for all ends.
    fn end_all(&mut self) {
        TABLE.lock().kill_all();
        self.waiters.clear();
        TABLE.lock().clear();
    }
}

/// Makes an account with half of what is left. It goes with what is charged to it.
fn share() -> Result<Account, Error> {
    let all = calls::account_query(Handle::SELF)?;
    let half = |limit: u64, granted: u64, used: u64| limit.saturating_sub(granted + used) / 2;
    let frames = half(all.frame_limit, all.frames_granted, all.frames);
    Account::new(&Limits {
        // Of the limit, some is the kernel's: there are fewer frames to be had.
        frames: frames.min(testing::stat().free_frames / 2),
        kernel_bytes: half(all.kernel_byte_limit, all.kernel_bytes_granted, all.kernel_bytes),
        handles: half(all.handle_limit, all.handles_granted, all.handles),
    })
}
