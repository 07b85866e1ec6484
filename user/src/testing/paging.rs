//! A pager on a thread of its own, for tests.
//!
//! Owns: the endpoint, the paged object, and how the pager is stopped. Refuses to know: how a wish is
//! served; that is the test's.

use crate::threads::{Joined, scoped};
use crate::{Endpoint, MemoryObject, calls};
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::{Action, Error, PageWish, PagerFlags};

/// The first word of a message that stops a pager; no page is there.
const STOP: u64 = u64::MAX;

/// A paged object and where its pages are asked for.
#[derive(Debug)]
pub struct Paged {
    /// Where.
    pub endpoint: Endpoint,
    /// The object.
    pub object: MemoryObject,
    wishes: AtomicU64,
}

impl Paged {
    /// Makes an object of `length` bytes, whose endpoint nobody serves yet.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(length: u64, flags: PagerFlags) -> Result<Paged, Error> {
        let endpoint = Endpoint::new()?;
        let object = MemoryObject::paged(&endpoint, length, flags)?;
        Ok(Paged { endpoint, object, wishes: AtomicU64::new(0) })
    }

    /// Returns how many wishes were received.
    pub fn wishes(&self) -> u64 {
        self.wishes.load(Ordering::Relaxed)
    }

    /// Serves wishes until told to stop, each with what `serve_fn` makes of it.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn serve(&self, serve_fn: impl Fn(PageWish) -> Action) -> Result<(), Error> {
        let mut received = self.endpoint.receive()?;
        while received.words[0] != STOP {
            self.wishes.fetch_add(1, Ordering::Relaxed);
            let action = received.wish().map_or(Action::Kill, &serve_fn);
            received = self.endpoint.answer_wish(action)?;
        }
        calls::endpoint_reply(None, [0; 4])
    }

    /// Stops whoever serves.
    ///
    /// # Errors
    /// Those of [`Endpoint::call`].
    pub fn stop(&self) -> Result<(), Error> {
        self.endpoint.call([STOP, 0, 0, 0]).map(|_| ())
    }

    /// Runs `body_fn` while another thread serves wishes by `serve_fn`. Returns how many those were.
    ///
    /// # Panics
    /// If no thread can be made, or the pager failed.
    pub fn serving(
        &self,
        serve_fn: impl Fn(PageWish) -> Action + Send + Sync,
        body_fn: impl FnOnce(),
    ) -> u64 {
        let before = self.wishes();
        // SAFETY: joined before anything borrowed goes.
        let pager: Joined<'_, _> = unsafe { scoped(|| self.serve(&serve_fn)) }.expect("a thread");
        body_fn();
        self.stop().expect("the pager is there");
        let served = pager.join();
        assert_eq!(served, Some(Ok(())), "the pager failed");
        self.wishes() - before
    }
}
