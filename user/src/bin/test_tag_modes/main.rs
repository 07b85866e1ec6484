//! Does each tag check mode report a wrong tag as it says, at a point that is defined, and to the
//! thread alone that did the access?
#![no_std]
#![no_main]

mod own;
mod victim;

use vellum_user::abi::{Error, ExitKind, Features, Handle, TagControl, TagMode};
use vellum_user::{Arguments, calls, check, system, testing};
use victim::{Entry, Way, Window};

vellum_user::test!(main);

/// What a wrong access ends in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing: the program goes on.
    Nothing,
    /// The access is not performed.
    AtOnce,
    /// The access is performed, and the program ends when it next enters the kernel.
    OnEntry,
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let Some(way) = Way::from_arguments(arguments) {
        victim::run(&way)
    }
    if let Some(task) = arguments.value("own") {
        own::run(task)
    }
    check_refusals()?;
    testing::require_tags();
    use TagMode::{Asymmetric, Asynchronous, None, Synchronous};
    for (mode, load, store) in [
        (None, End::Nothing, End::Nothing),
        (Synchronous, End::AtOnce, End::AtOnce),
        (Asynchronous, End::OnEntry, End::OnEntry),
        (Asymmetric, End::AtOnce, End::OnEntry),
    ] {
        if mode == Asymmetric && system::features() & Features::ASYMMETRIC_TAGS == 0 {
            continue;
        }
        for entry in [Entry::Call, Entry::Fault, Entry::Interrupt] {
            check_way(Way { mode, entry, stores: false }, load)?;
            check_way(Way { mode, entry, stores: true }, store)?;
        }
    }
    own::check()
}

/// Modes that do not exist, here or at all, are refused, and the mode stays as it was.
fn check_refusals() -> Result<(), Error> {
    let control = TagControl { mode: TagMode::Asymmetric, exclude: 0x8000 };
    let first = calls::thread_tag_mode(Handle::SELF)?;
    let (mode, refusal) = match system::features() & (Features::TAGS | Features::ASYMMETRIC_TAGS) {
        0 => (TagMode::None, Some(Error::TagsUnsupported)),
        Features::TAGS => (TagMode::Synchronous, Some(Error::TagModeUnsupported)),
        _ => (TagMode::Synchronous, None),
    };
    check!("the mode of a new thread", first, TagControl { mode, exclude: 0 });
    let set = calls::thread_set_tag_mode(Handle::SELF, control);
    check!("asymmetric checks", set.err(), refusal);
    let now = calls::thread_tag_mode(Handle::SELF)?;
    check!("the mode afterwards", now, if refusal.is_none() { control } else { first });
    if refusal.is_none() {
        calls::thread_set_tag_mode(Handle::SELF, first)?;
    }
    if !system::tags_supported() {
        let set = calls::thread_set_tag_mode(Handle::SELF, first);
        check!("no checks", set, Err(Error::TagsUnsupported));
    }
    Ok(())
}

/// Lets a child do one access with a wrong tag and looks at what became of both.
fn check_way(way: Way, end: End) -> Result<(), Error> {
    let name = format_args!("{:?}, {:?}, stores {}", way.mode, way.entry, way.stores);
    let window = Window::new()?;
    let report = window.run(&way)?;
    let (kind, markers) = match end {
        End::Nothing if way.entry == Entry::Fault => (ExitKind::NotMapped, [1, 0]),
        End::Nothing => (ExitKind::Exited, [1, 1]),
        End::AtOnce => (ExitKind::TagCheck, [0, 0]),
        End::OnEntry => (ExitKind::TagCheckAsync, [1, 0]),
    };
    check!(name, ExitKind::from_number(report.kind), Some(kind));
    check!(format_args!("{name}: markers"), window.markers(), markers);
    let performed = way.stores && end != End::AtOnce;
    check!(format_args!("{name}: performed"), window.stored(), performed);
    if end == End::AtOnce {
        let tags = (report.logical_tag, report.allocation_tag);
        check!(format_args!("{name}: tags"), tags, (victim::WRONG.into(), victim::TAG.into()));
        check!(format_args!("{name}: address"), report.address, victim::WINDOW);
    }
    Ok(())
}
