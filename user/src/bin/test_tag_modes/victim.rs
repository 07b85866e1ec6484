//! A child that does one access with a wrong tag, marks that it went on, enters the kernel, and marks
//! that it came back.

use core::arch::asm;
use vellum_user::abi::{
    Call, Error, ExitReport, Handle, MapFlags, MapOptions, Protection, TagControl, TagMode,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, testing};

/// The tag of the child's memory, and that of its pointer.
pub(crate) const TAG: u8 = 5;
pub(crate) const WRONG: u8 = 7;
/// Where the child has the page of that tag, and the page of marks behind it.
pub(crate) const WINDOW: u64 = 0x51_0000_0000;
pub(crate) const MARKS: u64 = WINDOW + PAGE as u64;
/// Where among the marks the child says that it waits for the window.
const READY: u64 = 64;
/// Where nothing is mapped.
const HOLE: u64 = 0x61_0000_0000;
/// Turns of an empty loop: more than ten slices of virtual time.
const TURNS: u64 = 30_000_000;

/// How the child enters the kernel after its access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Call,
    Fault,
    Interrupt,
}

/// What the child does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) mode: TagMode,
    pub(crate) entry: Entry,
    pub(crate) stores: bool,
}

impl Way {
    pub(crate) fn from_arguments(arguments: &Arguments) -> Option<Way> {
        let mode = TagMode::from_number(arguments.value("mode")?.parse().ok()?)?;
        let entry = match arguments.value("entry")? {
            "call" => Entry::Call,
            "fault" => Entry::Fault,
            _ => Entry::Interrupt,
        };
        Some(Way { mode, entry, stores: arguments.has("store") })
    }
}

/// Two pages that parent and child share: one of tagged memory, one for marks.
pub(crate) struct Window {
    object: MemoryObject,
    pages: Mapping,
}

fn options(tagged: bool) -> MapOptions {
    let tags = if tagged { Protection::TAGGED } else { Protection::NONE };
    MapOptions {
        protection: Protection::READ | Protection::WRITE | tags,
        flags: MapFlags::SHARED | MapFlags::FIXED,
        ..MapOptions::default()
    }
}

impl Window {
    pub(crate) fn new() -> Result<Window, Error> {
        let object = MemoryObject::new(2 * PAGE as u64)?;
        let pages = MapRequest::of(object.handle(), 2 * PAGE).shared().tagged().map()?;
        (0..PAGE).step_by(16).for_each(|offset| pages.set_tag(offset, TAG));
        Ok(Window { object, pages })
    }

    /// Runs a child to its end.
    pub(crate) fn run(&self, way: &Way) -> Result<ExitReport, Error> {
        let mode = ["mode=0", "mode=1", "mode=2", "mode=3"][way.mode as usize];
        let entry = match way.entry {
            Entry::Call => "entry=call",
            Entry::Fault => "entry=fault",
            Entry::Interrupt => "entry=interrupt",
        };
        let child = testing::load_self(&[mode, entry, if way.stores { "store" } else { "load" }]);
        let handle = self.object.handle();
        child.process.map(handle, MARKS, PAGE as u64, options(false), PAGE as u64)?;
        child.start()?;
        // A test program touches every page before `main`: this one must come later.
        while self.pages.read(PAGE + READY as usize) == 0 {
            calls::yield_now();
        }
        child.process.map(handle, WINDOW, PAGE as u64, options(true), 0)?;
        // Ready as well, so that the child's time slices end.
        calls::yield_now();
        child.wait()
    }

    /// Returns whether the child's store was performed.
    pub(crate) fn stored(&self) -> bool {
        self.pages.read_as(TAG, 0) == 1
    }

    /// Returns the child's marks.
    pub(crate) fn markers(&self) -> [u8; 2] {
        [self.pages.read(PAGE), self.pages.read(PAGE + 1)]
    }
}

pub(crate) fn run(way: &Way) -> ! {
    let control = TagControl { mode: way.mode, exclude: 0 };
    calls::thread_set_tag_mode(Handle::SELF, control).expect("a mode of this CPU");
    let (turns, landing) = match way.entry {
        Entry::Interrupt => (TURNS, MARKS),
        Entry::Fault => (1, HOLE),
        Entry::Call => (1, MARKS),
    };
    // SAFETY: the page is mapped, and no Rust value lives in it.
    unsafe {
        core::ptr::with_exposed_provenance_mut::<u8>((MARKS + READY) as usize).write_volatile(1)
    };
    while calls::query_mapping(Handle::SELF, WINDOW).map(|found| found.start) != Ok(WINDOW) {
        calls::yield_now();
    }
    // SAFETY: the pages are mapped, and no Rust value lives in them; what faults ends the program.
    unsafe {
        asm!(
            "cbz {stores}, 2f",
            "strb {one:w}, [{wrong}]",
            "b 3f",
            "2: ldrb {value:w}, [{wrong}]",
            "3: strb {one:w}, [{marks}]",
            "4: subs {turns}, {turns}, #1",
            "b.ne 4b",
            "ldrb {value:w}, [{landing}]",
            "svc #0",
            "strb {one:w}, [{marks}, #1]",
            stores = in(reg) u64::from(way.stores),
            one = in(reg) 1_u64,
            wrong = in(reg) WINDOW | u64::from(WRONG) << 56,
            marks = in(reg) MARKS,
            turns = inout(reg) turns => _,
            landing = in(reg) landing,
            value = out(reg) _,
            in("x8") Call::Null as u64,
            lateout("x0") _,
            lateout("x1") _,
            options(nostack),
        );
    }
    calls::exit(0)
}
