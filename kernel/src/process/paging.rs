//! Threads that need pages of a pager.
//!
//! Owns: whom a thread asks, what it is told, and what it leaves when it has to end meanwhile. Refuses to
//! know: what becomes of a page (`vellum_vm::paged`), and how a message the kernel makes gets to a
//! server and back (`ipc::report`).
//!
//! A thread that touches an absent page asks at the pager's endpoint, as a caller whose message the kernel
//! made; others that touch the page meanwhile wait at a place that the page has ([`Wait::Page`]). When the
//! pager has answered, all of them try their access again, from its instruction or its `svc`; so an
//! answer decides nothing if the page is there. A refusal is kept for the asker's next try alone
//! ([`Verdict`]) and ends it as any other reason would: the process in user code, the call in the kernel.
//!
//! Invariant: a page is *requested* only while its asker has it in [`Asking`], and whoever takes it out of
//! there, because of an answer or of the asker's end, withdraws the request and wakes who waits.
//!
//! **Nobody waits for himself.** An endpoint gets a rank with its first paged object, each a higher one, and
//! a thread has that of the endpoint where it received last. Who asks, or waits for one who does, must have a
//! higher rank than the endpoint or none, and so must everybody who waits for an answer of his, along the
//! callers. Ranks fall along every chain of pagers that need each other's pages, so there is no circle;
//! who would close one is refused, and so is a pager that touches its own object, whatever other threads
//! serve it. An ordinary message from a pager to somebody who needs its pages before he receives it is
//! the pager's own mistake, as in every circle of messages.

use super::address::Place;
use super::{Thread, Wait};
use crate::ipc::{Endpoint, Report};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use core::ptr;
use vellum_abi::{Error, ExitKind, FaultAccess, MAX_WAKE};
use vellum_vm::addr::UserPointer;
use vellum_vm::address_space::AddressSpace;
use vellum_vm::fault::Outcome;
use vellum_vm::object::MemoryObject;

/// The longest chain of callers behind a thread that asks.
const LONGEST_CHAIN: u32 = 16;

/// Who supplies the pages of an object.
pub struct Pager {
    endpoint: PoolArc<Endpoint>,
    /// What names the object there.
    badge: u64,
    rank: u64,
}

impl Pager {
    /// Makes an endpoint a pager's.
    ///
    /// # Errors
    /// `InvalidState` if somebody received at it before it was one.
    pub fn new(endpoint: PoolArc<Endpoint>, badge: u64) -> Result<Pager, Error> {
        let rank = endpoint.begin_paging()?;
        Ok(Pager { endpoint, badge, rank })
    }
}

/// What a thread asks and was answered.
#[derive(Default)]
pub struct Asking {
    asked: Option<Asked>,
    verdict: Option<Verdict>,
}

impl Asking {
    /// Nothing.
    pub const NOTHING: Asking = Asking { asked: None, verdict: None };
}

/// A request of the thread's own.
struct Asked {
    object: PoolArc<MemoryObject<Hardware>>,
    index: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.object.withdraw(self.index) {
            wake(&self.object, self.index);
        }
    }
}

/// Why a page was not supplied, for the next time that the thread asks.
struct Verdict {
    /// The address of the object, only to compare.
    object: usize,
    index: u64,
    kind: ExitKind,
}

/// Lets a thread wait for a page of an address space whose fault answered [`Outcome::Absent`]. The wait
/// has to begin at once.
///
/// # Errors
/// What the fault comes to instead.
#[cold]
pub fn ask(
    thread: &Thread,
    space: &AddressSpace<Hardware>,
    pointer: UserPointer,
    access: FaultAccess,
) -> Result<Wait, Outcome> {
    let request = space.request_page(pointer, access)?;
    let (object, index) = (request.object().clone(), request.index());
    let Some(pager) = object.pager() else { return Err(Outcome::Resume) };
    let (endpoint, badge) = (pager.endpoint.clone(), pager.badge);
    let refused = !may_wait(thread, pager.rank, LONGEST_CHAIN);
    let Some(wish) = request.wish() else {
        let cycle = Err(Outcome::Die(ExitKind::PagerCycle));
        return if refused { cycle } else { Ok(Wait::Page(object, index)) };
    };
    let number = ptr::from_ref(&*object).addr();
    // Taken back wherever this function ends.
    let asked = Asked { object, index };
    if refused {
        return Err(Outcome::Die(ExitKind::PagerCycle));
    }
    let verdict = thread.asking.lock().verdict.take();
    if let Some(verdict) = verdict.filter(|it| it.object == number && it.index == index) {
        return Err(Outcome::Die(verdict.kind));
    }
    thread.begin_report(Report::wish(&wish));
    thread.asking.lock().asked = Some(asked);
    Ok(Wait::Answer(endpoint, badge))
}

/// Returns whether a thread may wait for a pager of a rank, with everybody who waits for the thread.
fn may_wait(thread: &Thread, rank: u64, left: u32) -> bool {
    let own = thread.rank();
    if own != 0 && own <= rank || left == 0 {
        return false;
    }
    // One lock in the other: from who serves to who is served, which nobody is for himself.
    thread.serving.lock().as_ref().is_none_or(|caller| may_wait(caller, rank, left - 1))
}

/// Takes a thread's request back, as it was answered: by a reason not to ask again, if there is one.
#[cold]
pub fn answered(thread: &Thread, refusal: Option<ExitKind>) {
    let mut asking = thread.asking.lock();
    let asked = asking.asked.take();
    asking.verdict = asked.as_ref().zip(refusal).map(|(asked, kind)| {
        let object = ptr::from_ref(&*asked.object).addr();
        Verdict { object, index: asked.index, kind }
    });
    // Withdrawn without the lock.
    drop(asking);
    drop(asked);
}

/// Wakes those who wait for a page that is not asked for any more.
pub fn wake(object: &PoolArc<MemoryObject<Hardware>>, index: u64) {
    let is_meant = |thread: &Thread| {
        thread.waiting.is(|wait| {
            matches!(wait, Wait::Page(other, page)
                if *page == index && ptr::eq(&raw const **other, &raw const **object))
        })
    };
    Place::of_page(object, index).queue().wake_some(MAX_WAKE, is_meant, || {});
}
