//! The monitor, as somebody at a terminal meets it: keys go in at one end of a pseudo-terminal, the tool and
//! its QEMU are at the other.
//!
//! What is expected is text that the monitor makes of what it finds, and, of editing, what only a line that was
//! edited right gives. Every wait ends after [`PATIENCE`]; the tool ends with the session's value, and its QEMU with
//! the terminal.

use crate::Named;
use libtest_mimic::Failed;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{InputModes, LocalModes, OutputModes, Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Named] = &[
    ("monitor/lines_are_edited", lines_are_edited),
    ("monitor/processes_are_run_listed_and_ended", processes_are_run_listed_and_ended),
    ("monitor/faults_are_walked_under_each_policy", faults_are_walked_under_each_policy),
    ("monitor/ctrl_c_and_wrong_words_do_no_harm", ctrl_c_and_wrong_words_do_no_harm),
];

/// Seconds for one answer: many times what it takes, the building and booting before the first included.
const PATIENCE: u64 = 300;
const PROMPT: &str = "vellum> ";
const LEFT: &str = "\x1b[D";
const UP: &str = "\x1b[A";
const HOME: &str = "\x1b[H";

/// A terminal with the monitor in it.
struct Session {
    tool: Child,
    keyboard: File,
    /// The tool's end, and how it was set before.
    terminal: File,
    settings: Termios,
    screen: Receiver<Vec<u8>>,
    /// What appeared and was not yet looked at.
    seen: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        if !matches!(self.tool.try_wait(), Ok(Some(_))) {
            // First by the way that a user has: it ends QEMU, and the tool with it.
            let _ = self.keyboard.write_all(b"\x1dx");
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && matches!(self.tool.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(50));
            }
            let _ = self.tool.kill();
            let _ = self.tool.wait();
        }
    }
}

impl Session {
    /// Opens the monitor and waits for its prompt.
    fn open(options: &[&str]) -> Result<Session, Failed> {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let name = ptsname(&keyboard, Vec::new())?;
        let terminal = File::options().read(true).write(true).open(name.to_str()?)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_vellum"));
        command.args(["--profile", "dev"]).args(options).arg("monitor");
        let [input, output] = [terminal.try_clone()?, terminal.try_clone()?];
        command.stdin(input).stdout(output).stderr(terminal.try_clone()?);
        let settings = tcgetattr(&terminal)?;
        let tool = command.spawn()?;
        let keyboard = File::from(OwnedFd::from(keyboard));
        let screen = watch(keyboard.try_clone()?);
        let mut session =
            Session { tool, keyboard, terminal, settings, screen, seen: String::new() };
        session.expect(PROMPT)?;
        Ok(session)
    }

    /// Presses keys.
    fn press(&mut self, keys: &str) -> Result<(), Failed> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits until some text has appeared, and returns what appeared before it.
    fn expect(&mut self, text: &str) -> Result<String, Failed> {
        let deadline = Instant::now() + Duration::from_secs(PATIENCE);
        loop {
            if let Some(place) = self.seen.find(text) {
                let before = self.seen[..place].to_owned();
                self.seen.drain(..place + text.len());
                return Ok(before);
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(rest) else {
                return Err(format!("no {text:?} in {:?}", self.seen).into());
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }

    /// Enters a line and returns what appeared until the next prompt, the line itself included.
    fn enter(&mut self, keys: &str) -> Result<String, Failed> {
        self.press(keys)?;
        self.press("\r")?;
        self.expect("\n")?;
        let answer = self.expect(PROMPT)?;
        Ok(answer)
    }

    /// Enters a line and fails unless the answer has all these words.
    fn check(&mut self, keys: &str, words: &[&str]) -> Result<String, Failed> {
        let answer = self.enter(keys)?;
        for word in words {
            if !answer.contains(word) {
                return Err(format!("{keys:?}: no {word:?} in {answer:?}").into());
            }
        }
        Ok(answer)
    }

    /// Leaves by these keys and fails unless the tool succeeds and the terminal is as before.
    fn leave(mut self, keys: &str) -> Result<(), Failed> {
        self.press(keys)?;
        let deadline = Instant::now() + Duration::from_secs(PATIENCE);
        while Instant::now() < deadline {
            if let Some(status) = self.tool.try_wait()? {
                let rest: Vec<u8> = self.screen.try_iter().flatten().collect();
                let rest = String::from_utf8_lossy(&rest).into_owned();
                let settings = tcgetattr(&self.terminal)?;
                if modes(&settings) != modes(&self.settings) {
                    return Err("the terminal is not as it was".into());
                }
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("{status}: {rest}").into())
                };
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the tool does not end".into())
    }
}

/// Returns how a terminal treats what goes through it.
fn modes(settings: &Termios) -> (InputModes, OutputModes, LocalModes) {
    (settings.input_modes, settings.output_modes, settings.local_modes)
}

/// Reads a screen until it closes.
fn watch(mut screen: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn lines_are_edited() -> Result<(), Failed> {
    let mut session = Session::open(&[])?;
    session.check("help", &["ps", "maps [PID]", "walks faults", "Ctrl-D"])?;
    // "crsh" with the cursor put between, "run" put before it, and what is wrong cut off.
    let keys = format!("crsh{LEFT}{LEFT}a{HOME}run \x05 exit=5 wrong\x17\x7f");
    session.check(&keys, &["crash: exited with status 5"])?;
    session.check(UP, &["crash: exited with status 5"])?;
    session.check(&format!("{UP}\x7f6"), &["crash: exited with status 6"])?;
    session.check("nonsense\x15ps", &["monitor", "uart"])?;
    // Completion of a command and of a program, and the list of choices.
    session.check("ru\tcras\texit=9", &["crash: exited with status 9"])?;
    session.press("p\t")?;
    let list = session.expect(PROMPT)?;
    if !["policy", "programs", "ps"].iter().all(|word| list.contains(word)) {
        return Err(format!("no list of choices in {list:?}").into());
    }
    session.check("\x15history", &["1  help", "run crash exit=6"])?;
    session.leave("\x04")
}

fn processes_are_run_listed_and_ended() -> Result<(), Failed> {
    let mut session = Session::open(&["--smp", "2"])?;
    session.check("run hello one two", &["hello: exited with status 0"])?;
    session.check("run crash null", &["crash: access to an unmapped address: read at 0x8"])?;
    session.check("run waits &", &["process 6 runs waits"])?;
    session.check("ps", &["monitor", "uart", "processes", "    6  runs", "waits"])?;
    session.check("maps 6", &["ReferencePage", "Eager", "pattern 0xa5", "zeros", "r!"])?;
    session.check("stat 6", &["private_frames", "faults_write_fresh"])?;
    session.check("kill 6", &["process 6: killed"])?;
    let answer = session.enter("ps")?;
    if answer.contains("waits") {
        return Err(format!("still there: {answer:?}").into());
    }
    session.check("system", &["CPUs                           2", "free frames"])?;
    session.check("run waits eat", &["waits: account limit reached"])?;
    // One is left to the end of the session.
    session.check("run waits &", &["process 8 runs"])?;
    session.leave("exit\r")
}

fn faults_are_walked_under_each_policy() -> Result<(), Failed> {
    let mut session = Session::open(&[])?;
    let walk =
        ["is untouched", "read   finds 0xa5", "read-share", "faults_read_map", "is read-shared"];
    session.check("fault", &walk)?;
    session.check("fault read write", &["write-copy", "faults_write_cow", "is private"])?;
    session
        .check("fault write", &["fresh write", "faults_write_fresh", "bytes_filled", "+4096"])?;
    session.check("fault write write", &["no fault"])?;
    session.check("policy eager", &["under Eager"])?;
    session.check("fault", &["is private", "no fault", "read   finds 0xa5"])?;
    session.check("policy PatternO\t", &["under PatternOnAnyFault"])?;
    session.check("fault read", &["fresh write", "is private", "read   finds 0xa5"])?;
    session.check("policy InMapping", &["under InMapping"])?;
    session.check("fault", &["read-share", "write-copy"])?;
    session.check("policy object", &["under Object"])?;
    session.check("fault", &["read-share", "write-copy", "bytes_copied"])?;
    session.check("policy wrap", &["under Wrap"])?;
    session.check("fault", &["read   finds 0xa5", "write-copy"])?;
    session.check("policy", &["* Wrap", "  ReferencePage", "  UserPagerReference"])?;
    // A pager in another process: what it did stands beside what happened here.
    session.check("policy user_pager_reference", &["under UserPagerReference"])?;
    let named = ["read   finds 0xa5", "read-share", "pager asked, and answered      +1"];
    session.check("fault read", &named)?;
    let absent = ["pager asked", "write-copy", "bytes_filled", "is private"];
    session.check("fault", &absent)?;
    session.check("policy UserPagerMoveI\t", &["under UserPagerMoveInPlace"])?;
    let moved =
        ["finds 0xa5", "the object's own frame", "pager asked", "pages_populated", "no fault"];
    session.check("fault", &moved)?;
    session.check("policy userpagermove", &["under UserPagerMove from"])?;
    session.check("fault write", &["fresh write", "pager asked", "bytes_copied", "is private"])?;
    let answer = session.enter("ps")?;
    if answer.contains("pager") {
        return Err(format!("the pager is still there: {answer:?}").into());
    }
    session.leave("exit\r")
}

fn ctrl_c_and_wrong_words_do_no_harm() -> Result<(), Failed> {
    let mut session = Session::open(&["--smp", "4", "--no-icount", "--gic", "2"])?;
    session.press("run crash hang\r")?;
    session.expect("\n")?;
    session.press("typed ahead\x03")?;
    session.expect("^C\n")?;
    session.expect("crash: killed")?;
    session.expect(PROMPT)?;
    session.press("given up\x03")?;
    session.expect("^C\n")?;
    session.expect(PROMPT)?;
    session.check("dance", &["dance: no such command"])?;
    session.check("run nobody", &["nobody: no such program"])?;
    session.check("run", &["run PROG"])?;
    session.check("kill 2", &["part of the monitor"])?;
    session.check("kill 77", &["kill: no such process"])?;
    session.check("maps x", &["x is no number"])?;
    session.check("stat 99", &["stat: no such process"])?;
    session.check("policy none", &["none: no such policy"])?;
    session.check("fault sideways", &["sideways: fault takes read and write"])?;
    session.check("ps ps", &["ps takes no arguments"])?;
    session.check("", &[])?;
    session.leave("\x1dx")
}
