//! Running programs and ending them.

use crate::commands::number;
use crate::input::{ENDED, Woken};
use crate::session::{Next, OWN, SERVER, Session, UART};
use vellum_user::loader::ending::Ending;
use vellum_user::services::Trouble;

/// Runs a program and waits for its end, unless the last word is `&`.
pub(crate) fn run(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    let (words, waits) = match words.split_last() {
        Some((&"&", words)) => (words, false),
        _ => (words, true),
    };
    let Some(name) = words.first() else {
        session.say(format_args!("run PROG [ARG...] [&]; programs lists them\n"))?;
        return Ok(Next::Prompt);
    };
    // The program writes by itself: what was said comes first.
    session.settle()?;
    let process = match session.processes.run(words) {
        Ok(process) => process,
        Err(trouble) => {
            session.say(format_args!("{name}: {trouble}\n"))?;
            return Ok(Next::Prompt);
        }
    };
    if waits {
        wait(session, name, process)?;
    } else {
        session.say(format_args!("process {process} runs {name}\n"))?;
    }
    Ok(Next::Prompt)
}

/// Waits for the end of a program, or brings it about at Ctrl-C.
fn wait(session: &mut Session, name: &str, process: u64) -> Result<(), Trouble> {
    session.processes.watch(process, session.input.told(), ENDED)?;
    loop {
        match session.wait()? {
            Woken::Ended => break,
            Woken::Interrupted => {
                session.say(format_args!("^C\n"))?;
                match session.processes.kill(process) {
                    // Its end is told soon.
                    Ok(()) | Err(Trouble::HasEnded) => {}
                    Err(trouble) => return Err(trouble),
                }
            }
        }
    }
    let report = session.processes.report(process)?;
    session.processes.forget(process)?;
    session.say(format_args!("{name}: {}\n", Ending(&report)))
}

/// Ends a process.
pub(crate) fn kill(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    let [word] = words else {
        session.say(format_args!("kill PID; ps lists processes\n"))?;
        return Ok(Next::Prompt);
    };
    match number(session, word)? {
        Some(OWN | UART | SERVER) => {
            session.say(format_args!("that is part of the monitor: exit ends it\n"))?;
        }
        Some(process) => {
            session.processes.kill(process)?;
            let report = session.processes.wait(process)?;
            session.say(format_args!("process {process}: {}\n", Ending(&report)))?;
        }
        None => {}
    }
    Ok(Next::Prompt)
}
