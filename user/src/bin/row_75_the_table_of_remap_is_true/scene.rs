//! The mappings that the table's cases begin with.

use crate::table::{Case, Kind, Length};
use vellum_user::abi::{Error, Handle, MapFlags, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, calls};

/// Where the mappings are that move.
pub(crate) const HERE: usize = 0x30_0000_0000;
/// Where FIXED sends them; something is mapped there.
pub(crate) const THERE: usize = 0x31_0000_0000;
/// A sealed mapping, which is made once and never goes.
const SEALED: usize = 0x32_0000_0000;
const SEALED_WITH_ROOM: usize = 0x33_0000_0000;
/// Pages of a mapping that is not a device's.
pub(crate) const PAGES: usize = 4;
/// What is written into the first and the last page.
pub(crate) const WRITTEN: u8 = b'm';
const PATTERN: u8 = 0xaa;
const OBJECT: u8 = b'o';

/// The objects behind the mappings.
pub(crate) struct Scene {
    pattern: MemoryObject,
    memory: MemoryObject,
    device: Option<Handle>,
}

impl Scene {
    pub(crate) fn new(arguments: &Arguments) -> Result<Scene, Error> {
        let pattern = MemoryObject::pattern(PATTERN)?;
        let memory = MemoryObject::new(8 * PAGE as u64)?;
        for address in [SEALED, SEALED_WITH_ROOM] {
            let request = MapRequest::anonymous(PAGES * PAGE).at(address);
            _ = MapRequest { flags: MapFlags::SEALED, ..request }.map()?.leak();
        }
        _ = MapRequest::anonymous(PAGE).at(SEALED + PAGES * PAGE).map()?.leak();
        Ok(Scene { pattern, memory, device: arguments.device() })
    }

    /// Returns whether there can be a mapping like this on this machine.
    pub(crate) fn has(&self, case: &Case) -> bool {
        case.kind != Kind::Device || (self.device.is_some() && case.length != Length::Shorter)
    }

    /// Maps what a case begins with and returns address and length.
    pub(crate) fn prepare(&self, case: &Case) -> Result<(usize, usize), Error> {
        let length = if case.kind == Kind::Device { PAGE } else { PAGES * PAGE };
        if case.kind == Kind::Sealed {
            let room = case.length == Length::Room;
            return Ok((if room { SEALED_WITH_ROOM } else { SEALED }, length));
        }
        let window = MapRequest::of(self.memory.handle(), 8 * PAGE).shared().map()?;
        window.fill(OBJECT);
        let anonymous = MapRequest::anonymous(length);
        let request = match case.kind {
            Kind::Anonymous | Kind::Sealed => anonymous,
            Kind::Reference => MapRequest::of(self.pattern.handle(), length),
            Kind::Private => MapRequest::of(self.memory.handle(), length),
            Kind::Shared => MapRequest::of(self.memory.handle(), length).shared(),
            Kind::Device => MapRequest::of(self.device.unwrap_or(Handle::SELF), length).shared(),
            Kind::Guard => {
                MapRequest { protection: Protection::NONE, flags: MapFlags::GUARD, ..anonymous }
            }
        };
        let source = request.at(HERE).map()?;
        if !matches!(case.kind, Kind::Guard | Kind::Device) {
            source.write(0, WRITTEN);
            source.write(length - PAGE, WRITTEN);
            _ = core::hint::black_box(source.read(PAGE));
        }
        _ = source.leak();
        _ = MapRequest::anonymous(PAGE).at(THERE + PAGE).map()?.leak();
        if case.length == Length::Longer {
            _ = MapRequest::anonymous(PAGE).at(HERE + length).map()?.leak();
        }
        Ok((HERE, length))
    }

    /// Unmaps what is left of a case, and what was answered.
    pub(crate) fn clear(&self, answer: usize) {
        for address in [HERE, THERE, answer].into_iter().filter(|address| *address != 0) {
            // SAFETY: nobody uses the ranges. They may be empty already.
            let _ = unsafe { calls::unmap(Handle::SELF, address as u64, 8 * PAGE as u64) };
        }
    }

    /// Returns what a page that was never written reads as.
    pub(crate) fn clean(kind: Kind) -> u8 {
        match kind {
            Kind::Reference => PATTERN,
            Kind::Private | Kind::Shared => OBJECT,
            Kind::Anonymous | Kind::Guard | Kind::Device | Kind::Sealed => 0,
        }
    }
}
