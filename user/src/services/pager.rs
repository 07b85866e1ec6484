//! Asking the pager, `pager`: a process that supplies pages with the content of a reference object.
//!
//! Owns: the words of its messages, and how it is told what to supply. It serves one object at a time, under
//! a badge that no other object had, so that nobody is shown the pages of another. Refuses to know: who maps
//! the object, and what its pages cost.
//!
//! | asked | words | handle | answer |
//! |---|---|---|---|
//! | `SOURCE` | | reference object | |
//! | `SERVE` | ; badge, [`Supply`], pages a wish | paged object | |
//! | `WISHES` | | | how many the object's pages have been asked for |
//! | `END` | | | likewise; the pager lets go of the object |
//! | `HIDE` | | | the pager lets go of the source |
//! | `STOP` | | | |
//!
//! Everything else that arrives is a wish of the kernel's.

use super::{Service, Trouble};
use crate::devices::Devices;
use crate::loader::BootArchive;
use crate::{Endpoint, MemoryObject, Process, calls};
use core::cell::Cell;
use vellum_abi::{Handle, PAGE_SIZE, PagerFlags, Rights, Supply};

/// Names the reference object whose content the next objects get.
pub const SOURCE: u64 = 1;
/// Hands an object over.
pub const SERVE: u64 = 2;
/// Asks how often the pager was asked for pages of the object.
pub const WISHES: u64 = 3;
/// Ends what `SERVE` began.
pub const END: u64 = 4;
/// Ends what `SOURCE` began.
pub const HIDE: u64 = 5;
/// Ends the pager.
pub const STOP: u64 = 6;

/// The badge of the first object; those below are the service's own.
const FIRST_BADGE: u64 = 16;
/// What the pager needs of a source: to map it, to name it, and to know what it is.
const TO_SHOW: Rights = Rights::MAP.union(Rights::READ).union(Rights::INSPECT);

/// How an object's pages are supplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// With what: the source's own page, copies of it, or private pages of the pager's that move. The pager has
    /// mapped the source, and lets the kernel make its private pages of it.
    pub how: Supply,
    /// How many pages one wish brings, from the page that is wanted on.
    pub together: u64,
    /// What the object is like.
    pub flags: PagerFlags,
}

/// A pager that this program has started.
#[derive(Debug)]
pub struct Pager {
    service: Service,
    /// To name objects; nobody receives by it.
    endpoint: Endpoint,
    badge: Cell<u64>,
}

/// An object that the pager serves.
#[derive(Debug)]
pub struct Served(MemoryObject);

impl Served {
    /// Returns the object's handle.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.0.handle()
    }
}

impl Pager {
    /// Starts the pager, a program of the archive, and waits until it is ready.
    ///
    /// # Errors
    /// Those of [`Service::start`].
    pub fn start(archive: &BootArchive) -> Result<Pager, Trouble> {
        let all = Endpoint::new()?;
        // An endpoint is a pager's before anybody receives at it.
        drop(MemoryObject::paged(&all, PAGE_SIZE, PagerFlags::NONE)?);
        let naming = calls::handle_copy(Handle::SELF, all.handle(), Rights::MANAGE)?;
        let endpoint = Endpoint::from_handle(naming);
        let service = Service::start_at(all, archive, "pager", &[], Devices::NONE)?;
        let pager = Pager { service, endpoint, badge: Cell::new(FIRST_BADGE) };
        // Who answers has everything that it needs: no figure afterwards has the pager's start in it.
        pager.wishes()?;
        Ok(pager)
    }

    /// Says whose content the objects have that are served from now on.
    ///
    /// # Errors
    /// Those of [`Endpoint::call`].
    pub fn show(&self, source: Handle) -> Result<(), Trouble> {
        self.service.owner().give(source, TO_SHOW, [SOURCE, 0, 0, 0]).map(|_| ())
    }

    /// Lets go of what [`Self::show`] named, on the pager's side.
    ///
    /// # Errors
    /// Those of [`Endpoint::call`].
    pub fn hide(&self) -> Result<(), Trouble> {
        self.service.owner().ask([HIDE, 0, 0, 0]).map(|_| ())
    }

    /// Makes an object of `length` bytes and lets the pager serve it, and no other any more.
    ///
    /// # Errors
    /// `Unknown` if no source was named; those of the kernel.
    pub fn serve(&self, length: u64, terms: Terms) -> Result<Served, Trouble> {
        let badge = self.badge.replace(self.badge.get() + 1);
        let asked_here = self.endpoint.with_badge(badge)?;
        let object = MemoryObject::paged(&asked_here, length, terms.flags)?;
        let words = [SERVE, badge, terms.how as u64, terms.together];
        self.service.owner().give(object.handle(), Rights::MANAGE, words)?;
        Ok(Served(object))
    }

    /// Returns how often the pager was asked for pages of the object that it serves.
    ///
    /// # Errors
    /// Those of [`Endpoint::call`].
    pub fn wishes(&self) -> Result<u64, Trouble> {
        Ok(self.service.owner().ask([WISHES, 0, 0, 0])?.words[1])
    }

    /// Lets go of an object on both sides: it is gone when this returns, unless it is still mapped. Returns how
    /// often the pager was asked for its pages.
    ///
    /// # Errors
    /// Those of [`Endpoint::call`].
    pub fn end(&self, served: Served) -> Result<u64, Trouble> {
        drop(served);
        Ok(self.service.owner().ask([END, 0, 0, 0])?.words[1])
    }

    /// Returns the pager's process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        self.service.process()
    }

    /// Ends the pager.
    ///
    /// # Errors
    /// Those of [`Service::stop`].
    pub fn stop(self) -> Result<(), Trouble> {
        let Pager { service, endpoint, .. } = self;
        drop(endpoint);
        service.stop(STOP).map(|_| ())
    }
}
