//! Making a process of a checked file.
//!
//! Each region is written through a window in the loader and mapped privately into the child; code
//! and constants are sealed there. Nothing is left over when a step fails: objects and windows are
//! values that close themselves, and the unfinished process is ended.

use super::image::{Image, ImageError, Region};
use super::layout::{
    GUARD_BYTES, PROGRAM_END, STACK_BYTES, STACK_END, STACK_START, START_BLOCK, START_BLOCK_MAX,
};
use crate::devices::{self, Devices};
use crate::handles::{MemoryObject, Process, Thread};
use crate::mapping::{MapRequest, Mapping};
use crate::{calls, start_block};
use core::fmt::{self, Display, Formatter};
use vellum_abi::{
    Error, ExitReport, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection, Registers, Rights,
};

/// What a child is started with.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a, A> {
    /// The bytes of its ELF file.
    pub file: &'a [u8],
    /// Its arguments; the first is the name under which it runs.
    pub arguments: A,
    /// Handle and length of the archive, for a child that may start programs itself.
    pub archive: Option<(Handle, u64)>,
    /// Who pays for it, and what it gets besides.
    pub grants: Grants,
}

/// What a child is given that is not in its file.
#[derive(Clone, Copy, Debug)]
pub struct Grants {
    /// Who pays for it; [`Handle::SELF`] is the caller's own account.
    pub account: Handle,
    /// What the child may use of devices.
    pub devices: Devices,
    /// A handle that both know the meaning of, with the rights that go along.
    pub parcel: Option<(Handle, Rights)>,
}

impl Default for Grants {
    fn default() -> Grants {
        Grants { account: Handle::SELF, devices: Devices::NONE, parcel: None }
    }
}

/// Which step of loading the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Step {
    Process,
    Segment,
    Window,
    Map,
    Stack,
    Archive,
    Device,
    Parcel,
    StartBlock,
    Thread,
}

impl Step {
    /// Returns what was tried.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Step::Process => "making the process",
            Step::Segment => "making memory for a segment",
            Step::Window => "mapping a segment for writing",
            Step::Map => "mapping a segment",
            Step::Stack => "mapping the stack",
            Step::Archive => "handing over the archive",
            Step::Device => "handing over the device",
            Step::Parcel => "handing over a handle",
            Step::StartBlock => "handing over the arguments",
            Step::Thread => "making the thread",
        }
    }
}

/// Why a program could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The file is not one that can be loaded.
    Image(ImageError),
    /// The arguments need more room than the start block has.
    ArgumentsTooLong,
    /// The kernel refused a step.
    Kernel(Step, Error),
}

impl Display for LoadError {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        match self {
            LoadError::Image(error) => formatter.write_str(error.text()),
            LoadError::ArgumentsTooLong => formatter.write_str("arguments too long"),
            LoadError::Kernel(step, error) => {
                write!(formatter, "{}: {}", step.text(), error.text())
            }
        }
    }
}

impl From<ImageError> for LoadError {
    fn from(error: ImageError) -> LoadError {
        LoadError::Image(error)
    }
}

/// Names the step at which the kernel refused.
trait At<T> {
    fn at(self, step: Step) -> Result<T, LoadError>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, step: Step) -> Result<T, LoadError> {
        self.map_err(|error| LoadError::Kernel(step, error))
    }
}

/// A loaded program.
#[derive(Debug)]
pub struct Child {
    /// The process.
    pub process: Process,
    /// Its one thread, stopped at the entry until [`Child::start`].
    pub thread: Thread,
}

impl Child {
    /// Lets the program run.
    ///
    /// # Errors
    /// Those of [`Thread::start`].
    pub fn start(&self) -> Result<(), Error> {
        self.thread.start()
    }

    /// Waits for the program's end and reaps it.
    ///
    /// # Errors
    /// Those of [`Process::wait`].
    pub fn wait(self) -> Result<ExitReport, Error> {
        self.process.wait()
    }
}

/// Ends a process unless it is finished and taken out.
struct Unfinished(Option<Process>);

impl Unfinished {
    fn process(&self) -> &Process {
        self.0.as_ref().expect("taken out once, at the end")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            // Whatever stopped the loading is what is reported; a process without threads that
            // cannot be ended now ends with its last handle.
            let _ = process.kill().and_then(|()| process.wait());
        }
    }
}

/// Loads a program into a new process, which then waits for [`Child::start`].
///
/// # Errors
/// What is wrong with the file, or what the kernel refused; nothing is left over.
pub fn load<'a, A>(program: Program<'_, A>) -> Result<Child, LoadError>
where
    A: Iterator<Item = &'a str> + Clone,
{
    let image = Image::parse(program.file)?;
    let length = start_block::length(program.arguments.clone())
        .filter(|length| *length as u64 <= START_BLOCK_MAX)
        .ok_or(LoadError::ArgumentsTooLong)?;
    let mut unfinished = Unfinished(Some(
        calls::process_create(program.grants.account)
            .map(Process::from_handle)
            .at(Step::Process)?,
    ));
    let process = unfinished.process();
    map_image(process, &image)?;
    map_stack(process).at(Step::Stack)?;
    map_start_block(process, length, &program)?;
    let thread = make_thread(process, image.entry(), length).at(Step::Thread)?;
    let process = unfinished.0.take().expect("put there above");
    Ok(Child { process, thread })
}

/// Maps the segments of a file into a process.
///
/// # Errors
/// What the kernel refused.
pub fn map_image(process: &Process, image: &Image) -> Result<(), LoadError> {
    image.regions().try_for_each(|region| map_region(process, image, &region))
}

fn options(protection: Protection, flags: MapFlags) -> MapOptions {
    MapOptions { protection, flags: flags | MapFlags::FIXED, ..MapOptions::default() }
}

/// Writable regions stay open to `unmap` and `protect`; the others never change again.
fn region_options(protection: Protection) -> MapOptions {
    let sealed = !protection.contains(Protection::WRITE);
    options(protection, if sealed { MapFlags::SEALED } else { MapFlags::NONE })
}

fn map_region(process: &Process, image: &Image, region: &Region) -> Result<(), LoadError> {
    let options = region_options(region.protection);
    if region.data_length > 0 {
        let object = MemoryObject::new(region.data_length).at(Step::Segment)?;
        let window = window(&object, region.data_length).at(Step::Window)?;
        for segment in image.segments(region) {
            copy(&window, (segment.address - region.start) as usize, segment.data);
        }
        drop(window);
        process.map(object.handle(), region.start, region.data_length, options, 0).at(Step::Map)?;
    }
    let (start, length) = (region.start + region.data_length, region.length - region.data_length);
    if length > 0 {
        process.map(Handle::ANONYMOUS, start, length, options, 0).at(Step::Map)?;
    }
    Ok(())
}

/// Maps an object so that it can be written here.
fn window(object: &MemoryObject, length: u64) -> Result<Mapping, Error> {
    MapRequest::of(object.handle(), length as usize).shared().map()
}

fn copy(window: &Mapping, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let target = window.pointer(offset);
    assert!(data.len() <= window.length() - offset, "the image keeps data inside its region");
    // SAFETY: the assertion keeps the copy inside the window, which nobody else uses.
    unsafe { target.copy_from_nonoverlapping(data.as_ptr(), data.len()) }
}

fn map_stack(process: &Process) -> Result<(), Error> {
    let guard = options(Protection::NONE, MapFlags::SEALED);
    process.map(Handle::ANONYMOUS, PROGRAM_END, GUARD_BYTES, guard, 0)?;
    let stack = options(Protection::READ | Protection::WRITE, MapFlags::NONE);
    process.map(Handle::ANONYMOUS, STACK_START, STACK_BYTES, stack, 0)?;
    Ok(())
}

fn map_start_block<'a, A>(
    process: &Process,
    length: usize,
    program: &Program<'_, A>,
) -> Result<(), LoadError>
where
    A: Iterator<Item = &'a str> + Clone,
{
    let rights = Rights::READ | Rights::MAP | Rights::TRANSFER | Rights::INSPECT;
    let archive = match program.archive {
        Some((handle, bytes)) => {
            let copy = calls::handle_copy(process.handle(), handle, rights).at(Step::Archive)?;
            Some((copy, bytes))
        }
        None => None,
    };
    let pages = (length as u64).next_multiple_of(PAGE_SIZE);
    let object = MemoryObject::new(pages).at(Step::StartBlock)?;
    let window = window(&object, pages).at(Step::StartBlock)?;
    // SAFETY: the window is as long, nobody else uses it, and its bytes are zeros at first.
    let block = unsafe { core::slice::from_raw_parts_mut(window.pointer(0), length) };
    start_block::write(block, archive, program.arguments.clone())
        .ok_or(LoadError::ArgumentsTooLong)?;
    for (device, handle) in program.grants.devices.iter() {
        let rights = devices::rights(device);
        let copy = calls::handle_copy(process.handle(), handle, rights).at(Step::Device)?;
        start_block::put_device(block, device, copy).ok_or(LoadError::ArgumentsTooLong)?;
    }
    if let Some((handle, rights)) = program.grants.parcel {
        let copy = calls::handle_copy(process.handle(), handle, rights).at(Step::Parcel)?;
        start_block::put_parcel(block, copy).ok_or(LoadError::ArgumentsTooLong)?;
    }
    let options = options(Protection::READ, MapFlags::SEALED);
    process.map(object.handle(), START_BLOCK, pages, options, 0).at(Step::StartBlock)?;
    Ok(())
}

fn make_thread(process: &Process, entry: u64, length: usize) -> Result<Thread, Error> {
    let thread = process.thread()?;
    let mut registers = Registers { sp: STACK_END, pc: entry, ..Registers::ZERO };
    (registers.x[0], registers.x[1]) = (START_BLOCK, length as u64);
    thread.write_registers(&registers)?;
    Ok(thread)
}
