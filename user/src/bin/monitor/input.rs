//! The keyboard: lines, and keys while a program runs.
//!
//! Owns: the notification that the console and ends of programs are told by, and what was typed ahead.
//! Refuses to know: what lines mean.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use vellum_user::Notification;
use vellum_user::monitor::{Editor, Event};
use vellum_user::services::Trouble;
use vellum_user::services::console::Console;

/// The bits of the notification: something was typed, the program that is waited for has ended.
const TYPED: u64 = 1;
pub(crate) const ENDED: u64 = 2;
/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;
/// Bytes that may be typed ahead while a program runs.
const AHEAD: usize = 1024;

/// Where lines come from.
pub(crate) struct Input {
    editor: Editor,
    told: Notification,
    ahead: VecDeque<u8>,
}

/// What was typed.
pub(crate) enum Typed {
    Line(String),
    /// A line was given up.
    Nothing,
    /// There will be no more.
    End,
}

/// Why a wait for a program is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    Ended,
    Interrupted,
}

impl Input {
    /// Takes the keyboard.
    pub(crate) fn new(console: &Console, prompt: &str) -> Result<Input, Trouble> {
        let told = Notification::new()?;
        console.watch(&told, TYPED)?;
        Ok(Input { editor: Editor::new(prompt), told, ahead: VecDeque::new() })
    }

    /// Returns the notification, for ends to be told by.
    pub(crate) const fn told(&self) -> &Notification {
        &self.told
    }

    /// Returns the lines that were entered.
    pub(crate) fn history(&self) -> impl Iterator<Item = &str> {
        self.editor.history()
    }

    /// Reads a line. `words_fn` returns the words that could follow some text.
    pub(crate) fn line(
        &mut self,
        console: &Console,
        words_fn: impl Fn(&str) -> Vec<String>,
    ) -> Result<Typed, Trouble> {
        let mut screen = String::new();
        self.editor.begin(&mut screen);
        loop {
            let event = match self.ahead.pop_front() {
                Some(byte) => self.editor.feed(byte, &words_fn, &mut screen),
                None => Event::Editing,
            };
            if self.ahead.is_empty() || event != Event::Editing {
                console.write(screen.as_bytes())?;
                screen.clear();
            }
            match event {
                Event::Entered(line) => return Ok(Typed::Line(line)),
                Event::Cancelled => return Ok(Typed::Nothing),
                Event::End => return Ok(Typed::End),
                Event::Editing => {}
            }
            while self.ahead.is_empty() {
                self.take(console)?;
                if self.ahead.is_empty() {
                    self.told.wait()?;
                }
            }
        }
    }

    /// Waits until the program that [`Self::told`] is told of has ended, or somebody presses Ctrl-C. Other keys
    /// are kept for the next line.
    pub(crate) fn wait(&mut self, console: &Console) -> Result<Woken, Trouble> {
        loop {
            let bits = self.told.wait()?;
            if bits & TYPED != 0 {
                self.take(console)?;
                if let Some(place) = self.ahead.iter().position(|byte| *byte == INTERRUPT) {
                    // What was typed before belongs to what is given up.
                    self.ahead.drain(..=place);
                    if bits & ENDED == 0 {
                        return Ok(Woken::Interrupted);
                    }
                }
            }
            if bits & ENDED != 0 {
                return Ok(Woken::Ended);
            }
        }
    }

    /// Takes everything that the console has.
    fn take(&mut self, console: &Console) -> Result<(), Trouble> {
        loop {
            let (bytes, count) = console.read()?;
            if count == 0 {
                return Ok(());
            }
            let room = AHEAD.saturating_sub(self.ahead.len());
            self.ahead.extend(&bytes[..count.min(room)]);
        }
    }
}
