//! Looking: processes, mappings, counters, the machine.
//!
//! Owns: how each is laid out. Everything shown is asked for when it is shown.

use crate::commands::number;
use crate::session::{Next, OWN, SERVER, Session, UART};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use vellum_user::abi::options::{self, RUN};
use vellum_user::abi::{
    Error, Handle, MAX_QUERY_PAGES, MapFlags, MappingInfo, ObjectKind, PAGE_SIZE, PageState,
    Policy, Protection, Stat, USER_START,
};
use vellum_user::loader::ending::Ending;
use vellum_user::services::Trouble;
use vellum_user::services::processes::Listed;
use vellum_user::{calls, testing};

/// What names of tests begin with.
const TESTS: [&str; 2] = ["row_", "test_"];
/// The first program, and those that others start for themselves.
const PARTS: [&str; 5] = ["init", "monitor", "uart", "processes", "pager"];

/// Shows all processes. Those that have ended are shown this once, with how they did.
pub(crate) fn processes(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    session.say(format_args!(
        "{:>5}  {:<8}{:>9}{:>8}{:>10}{:>9}  name\n",
        "pid", "state", "private", "tables", "mappings", "handles"
    ))?;
    let fixed = [(OWN, "monitor"), (UART, "uart"), (SERVER, "processes")];
    for (number, name) in fixed {
        row(session, number, name)?;
    }
    for Listed { number, runs, name } in session.processes.list()? {
        if runs {
            row(session, number, &name)?;
            continue;
        }
        let report = session.processes.report(number)?;
        session.processes.forget(number)?;
        session.say(format_args!("{number:>5}  ended: {name}: {}\n", Ending(&report)))?;
    }
    Ok(Next::Prompt)
}

fn row(session: &Session, number: u64, name: &str) -> Result<(), Trouble> {
    let stat = calls::stat(session.target(number)?.handle())?;
    let Stat { private_frames, pt_frames, mappings, handles, .. } = stat;
    session.say(format_args!(
        "{number:>5}  {:<8}{private_frames:>9}{pt_frames:>8}{mappings:>10}{handles:>9}  {name}\n",
        "runs"
    ))
}

/// Returns the process that a command is about, by default the monitor.
fn chosen(session: &Session, words: &[&str]) -> Result<Option<u64>, Trouble> {
    match words {
        [] => Ok(Some(OWN)),
        [word] => number(session, word),
        _ => {
            session.say(format_args!("one process at a time\n"))?;
            Ok(None)
        }
    }
}

/// Shows the mappings of a process.
pub(crate) fn mappings(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    let Some(number) = chosen(session, words)? else { return Ok(Next::Prompt) };
    let target = session.target(number)?;
    session.say(format_args!(
        "{:>14}  {:>9}  {:<6}{:<19}{:<16}{:>8}{:>8}{:>10}\n",
        "start", "KiB", "may", "policy", "object", "private", "shared", "untouched"
    ))?;
    let mut address = USER_START;
    loop {
        let info = match calls::query_mapping(target.handle(), address) {
            Ok(info) => info,
            Err(Error::NotMapped | Error::OutOfRange) => return Ok(Next::Prompt),
            Err(error) => return Err(error.into()),
        };
        let pages = Pages::of(target.handle(), &info)?;
        session.say(format_args!(
            "{:>#14x}  {:>9}  {:<6}{:<19}{:<16}{:>8}{:>8}{:>10}\n",
            info.start,
            info.length / 1024,
            allowed(&info),
            policy(info.policy),
            object(&info),
            pages.private,
            pages.shared,
            pages.untouched
        ))?;
        address = info.start + info.length;
    }
}

/// How many pages of a mapping are in which state.
#[derive(Default)]
struct Pages {
    private: u64,
    shared: u64,
    untouched: u64,
}

impl Pages {
    fn of(process: Handle, info: &MappingInfo) -> Result<Pages, Trouble> {
        let mut pages = Pages::default();
        let all = info.length / PAGE_SIZE;
        for first in (0..all).step_by(MAX_QUERY_PAGES as usize) {
            let mut states = vec![0; (all - first).min(MAX_QUERY_PAGES) as usize];
            calls::query_pages(process, info.start + first * PAGE_SIZE, &mut states)?;
            for state in states {
                let count = match u64::from(state) {
                    number if number == PageState::Private as u64 => &mut pages.private,
                    number if number == PageState::Untouched as u64 => &mut pages.untouched,
                    _ => &mut pages.shared,
                };
                *count += 1;
            }
        }
        Ok(pages)
    }
}

/// Returns letters for what a mapping allows: as in `rwxts!` for read, write, execute, tagged, shared, sealed.
fn allowed(info: &MappingInfo) -> String {
    let protection = [
        (Protection::READ, 'r'),
        (Protection::WRITE, 'w'),
        (Protection::EXECUTE, 'x'),
        (Protection::TAGGED, 't'),
    ];
    let flags = [(MapFlags::SHARED, 's'), (MapFlags::SEALED, '!')];
    let protection = protection.iter().map(|(bit, sign)| (info.protection & bit.bits(), *sign));
    let flags = flags.iter().map(|(bit, sign)| (info.flags & bit.bits(), *sign));
    let signs: String =
        protection.chain(flags).filter(|(bits, _)| *bits != 0).map(|(_, sign)| sign).collect();
    if signs.is_empty() { "-".to_string() } else { signs }
}

/// Returns the name of a policy.
pub(crate) fn policy(number: u64) -> String {
    Policy::from_number(number).map_or("?".to_string(), |policy| format!("{policy:?}"))
}

fn object(info: &MappingInfo) -> String {
    match ObjectKind::from_number(info.kind) {
        Some(ObjectKind::Tagged) if info.detail == 0 => "zeros".to_string(),
        Some(ObjectKind::Tagged) => format!("zeros, tag {}", info.detail),
        Some(ObjectKind::Pattern) => format!("pattern {:#04x}", info.detail),
        Some(kind) => format!("{kind:?}").to_lowercase(),
        None => "?".to_string(),
    }
}

/// Shows the counters of a process that are not zero.
pub(crate) fn counters(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    let Some(number) = chosen(session, words)? else { return Ok(Next::Prompt) };
    let stat = calls::stat(session.target(number)?.handle())?;
    let shown: Vec<String> = Stat::FIELDS
        .iter()
        .zip(stat.to_words())
        .filter(|(name, value)| *value != 0 && !SYSTEM.contains(name))
        .map(|(name, value)| format!("{name:<24}{value:>12}"))
        .collect();
    for pair in shown.chunks(2) {
        session.say(format_args!("  {}\n", pair.join("    ")))?;
    }
    Ok(Next::Prompt)
}

/// The counters of the whole system.
pub(crate) const SYSTEM: [&str; 5] =
    ["total_frames", "free_frames", "refpages_live", "processes_live", "pool_bytes"];

/// Shows the machine, and what the kernel uses of it.
pub(crate) fn system(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    let (info, stat) = (calls::system_query(), testing::stat());
    let tags = match info.tag_block_bytes {
        0 => "none".to_string(),
        bytes => format!("block of {bytes} bytes"),
    };
    session.say(format_args!(
        "  CPUs                {:>12}\n  RAM                 {:>12} MiB\n  free frames         {:>12} of {}\n  \
         kernel memory       {:>12} bytes\n  processes           {:>12}\n  reference objects   {:>12}\n  \
         time since boot     {:>12} ms\n  memory tags         {tags:>12}\n",
        info.cpus,
        info.ram_bytes >> 20,
        stat.free_frames,
        stat.total_frames,
        stat.pool_bytes,
        stat.processes_live,
        stat.refpages_live,
        calls::clock() / 1_000_000,
    ))?;
    Ok(Next::Prompt)
}

/// Returns the names of the programs that can be run.
pub(crate) fn names(archive: &vellum_user::loader::BootArchive) -> Vec<String> {
    let own = options::value(archive.options(), RUN).unwrap_or_default();
    let files = archive.archive().files().filter_map(Result::ok);
    let is_program = |name: &str| {
        let is_test = TESTS.iter().any(|start| name.starts_with(start));
        name != own && !name.contains('.') && !is_test && !PARTS.contains(&name)
    };
    let mut names: Vec<String> =
        files.map(|file| file.name).filter(|name| is_program(name)).map(String::from).collect();
    names.sort_unstable();
    names
}

/// Lists the programs that can be run.
pub(crate) fn programs(session: &mut Session, _: &[&str]) -> Result<Next, Trouble> {
    let names = names(&session.archive);
    for row in names.chunks(4) {
        let row: String = row.iter().map(|name| format!("  {name:<17}")).collect();
        session.say(format_args!("{}\n", row.trim_end()))?;
    }
    Ok(Next::Prompt)
}
