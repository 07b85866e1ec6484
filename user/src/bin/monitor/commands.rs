//! The commands: their names, what helps with them, and who does them.

use crate::session::{Next, Session};
use crate::{fault, look, run};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use vellum_user::loader::BootArchive;
use vellum_user::services::Trouble;
use vellum_user::services::processes::Processes;
use vellum_user::ways::Way;

/// What a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// The number of a process.
    Process,
    /// A program and its arguments.
    Program,
    Policy,
    /// How to touch a page.
    Accesses,
}

/// A command.
struct Command {
    name: &'static str,
    takes: Takes,
    usage: &'static str,
    help: &'static str,
    perform_fn: fn(&mut Session, &[&str]) -> Result<Next, Trouble>,
}

const COMMANDS: &[Command] = &[
    command("help", Takes::Nothing, "", "this list", help),
    command("ps", Takes::Nothing, "", "processes", look::processes),
    command("maps", Takes::Process, "[PID]", "mappings of a process", look::mappings),
    command("stat", Takes::Process, "[PID]", "counters of a process", look::counters),
    command("system", Takes::Nothing, "", "the machine, and what is free", look::system),
    command("programs", Takes::Nothing, "", "programs that can be run", look::programs),
    command(
        "run",
        Takes::Program,
        "PROG [ARG...] [&]",
        "runs a program; & does not wait",
        run::run,
    ),
    command("kill", Takes::Process, "PID", "ends a process", run::kill),
    command(
        "policy",
        Takes::Policy,
        "[NAME]",
        "how pages of fault's mappings are filled",
        fault::policy,
    ),
    command(
        "fault",
        Takes::Accesses,
        "[read|write]...",
        "walks faults on a fresh page",
        fault::walk,
    ),
    command("history", Takes::Nothing, "", "lines entered before", history),
    command("clear", Takes::Nothing, "", "clears the screen", clear),
    command("exit", Takes::Nothing, "", "stops the services and the machine", exit),
];

const fn command(
    name: &'static str,
    takes: Takes,
    usage: &'static str,
    help: &'static str,
    perform_fn: fn(&mut Session, &[&str]) -> Result<Next, Trouble>,
) -> Command {
    Command { name, takes, usage, help, perform_fn }
}

/// Does what a line says. What goes wrong with it is told; an error is the end of the session.
pub(crate) fn perform(session: &mut Session, line: &str) -> Result<Next, Trouble> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((name, arguments)) = words.split_first() else { return Ok(Next::Prompt) };
    let Some(command) = COMMANDS.iter().find(|command| command.name == *name) else {
        session.say(format_args!("{name}: no such command; help lists them\n"))?;
        return Ok(Next::Prompt);
    };
    if command.takes == Takes::Nothing && !arguments.is_empty() {
        session.say(format_args!("{name} takes no arguments\n"))?;
        return Ok(Next::Prompt);
    }
    match (command.perform_fn)(session, arguments) {
        Ok(next) => Ok(next),
        Err(trouble) => {
            session.say(format_args!("{name}: {trouble}\n"))?;
            Ok(Next::Prompt)
        }
    }
}

/// Returns the words that could stand where the cursor is.
pub(crate) fn words(before: &str, archive: &BootArchive, processes: &Processes) -> Vec<String> {
    let mut words = before.split_whitespace();
    let name = words.next().filter(|_| before.trim_start().contains(' '));
    let Some(name) = name else {
        return COMMANDS.iter().map(|command| command.name.to_string()).collect();
    };
    let is_first = before.split_whitespace().count() + usize::from(before.ends_with(' ')) <= 2;
    let takes = COMMANDS.iter().find(|command| command.name == name).map(|command| command.takes);
    match takes {
        Some(Takes::Program) if is_first => look::names(archive),
        Some(Takes::Process) if is_first => numbers(processes),
        Some(Takes::Policy) if is_first => Way::ALL.iter().map(|way| format!("{way:?}")).collect(),
        Some(Takes::Accesses) => ["read", "write"].map(String::from).into(),
        _ => Vec::new(),
    }
}

/// Returns the numbers of all processes.
fn numbers(processes: &Processes) -> Vec<String> {
    let listed = processes.list().unwrap_or_default();
    (1..=3).chain(listed.iter().map(|process| process.number)).map(|it| it.to_string()).collect()
}

fn help(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    for command in COMMANDS {
        let call = format!("{} {}", command.name, command.usage);
        session.say(format_args!("  {call:24}{}\n", command.help))?;
    }
    session.say(format_args!(
        "Keys: arrows, Home, End, Ctrl-A E B F move; Ctrl-K U W cut, Ctrl-Y pastes; up and down are\n\
         lines before; Tab completes; Ctrl-C gives a line up or ends the program, Ctrl-D exits.\n"
    ))?;
    Ok(Next::Prompt)
}

fn history(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    let lines: Vec<String> = session.input.history().map(String::from).collect();
    for (number, line) in lines.iter().enumerate() {
        session.say(format_args!("{:4}  {line}\n", number + 1))?;
    }
    Ok(Next::Prompt)
}

fn clear(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    session.say(format_args!("\x1b[H\x1b[2J"))?;
    Ok(Next::Prompt)
}

fn exit(_: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    Ok(Next::Exit)
}

/// Returns the number that a word is.
pub(crate) fn number(session: &Session, word: &str) -> Result<Option<u64>, Trouble> {
    let number = word.parse().ok();
    if number.is_none() {
        session.say(format_args!("{word} is no number of a process; ps lists them\n"))?;
    }
    Ok(number)
}
