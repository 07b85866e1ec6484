//! The pager of `vellum_user::services::pager`: supplies the pages of an object with the content of a reference
//! object, as it was told to.
//!
//! Invariant: whatever it is asked, the pager answers, so nobody waits for a page in vain: a wish that it cannot
//! grant is refused, and whoever touched the page ends.
#![no_std]
#![no_main]

use vellum_user::abi::{
    Action, Advice, Error, MESSAGE_WORDS, ObjectKind, PAGE_SIZE, PageWish, Supply, SupplyFlags,
};
use vellum_user::calls::Received;
use vellum_user::mapping::PAGE;
use vellum_user::services::pager::{END, HIDE, SERVE, SOURCE, STOP, WISHES};
use vellum_user::services::{OWNER, Trouble};
use vellum_user::{Arguments, Endpoint, MapRequest, Mapping, MemoryObject, calls, system, testing};

vellum_user::entry!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    let endpoint = Endpoint::from_handle(arguments.parcel().ok_or(Error::BadHandle)?);
    // What is present now is in nobody's figures.
    testing::warm();
    let mut pager = Pager { source: None, served: None };
    let mut received = endpoint.receive()?;
    loop {
        let answer = pager.answer(received);
        if received.badge == OWNER && received.words[0] == STOP {
            // Whoever asked may be gone: then nobody needs the answer.
            let _ = calls::endpoint_reply(None, answer);
            return Ok(());
        }
        // Whoever touched the page may have ended meanwhile.
        received = endpoint.reply_receive(answer).or_else(|_| endpoint.receive())?;
    }
}

/// Everything that the pager has in hand.
struct Pager {
    source: Option<MemoryObject>,
    served: Option<Served>,
}

/// An object whose pages are supplied.
struct Served {
    object: MemoryObject,
    badge: u64,
    means: Means,
    /// Pages that one wish brings.
    together: u64,
    wishes: u64,
}

/// Where the pages come from.
enum Means {
    /// The source shows its own.
    Source,
    /// From pages of the source that are mapped here.
    Copies(Mapping),
    /// From such pages, which move after they were made private.
    Moves(Mapping),
}

impl Pager {
    /// Returns the answer to a message, of the owner's or of the kernel's.
    fn answer(&mut self, received: Received) -> [u64; MESSAGE_WORDS] {
        let object = received.handle.map(MemoryObject::from_handle);
        if received.badge != OWNER {
            return [self.supply(&received).unwrap_or(Action::Kill) as u64, 0, 0, 0];
        }
        match self.perform(received.words, object) {
            Ok(wishes) => [0, wishes, 0, 0],
            Err(trouble) => [trouble.to_word(), 0, 0, 0],
        }
    }

    /// Supplies what the kernel asks for; `None` if it was not the kernel, or asked for another object.
    fn supply(&mut self, received: &Received) -> Option<Action> {
        let wish = received.wish()?;
        let served = self.served.as_mut().filter(|served| served.badge == received.badge)?;
        served.wishes += 1;
        Some(match served.supply(self.source.as_ref()?, &wish) {
            // Pages ahead may have been asked for before.
            Ok(()) | Err(Error::PagePresent) => Action::Resume,
            Err(_) => Action::Kill,
        })
    }

    /// Does what the owner asks. Returns how many wishes there were.
    fn perform(
        &mut self,
        [number, badge, how, together]: [u64; MESSAGE_WORDS],
        object: Option<MemoryObject>,
    ) -> Result<u64, Trouble> {
        let wishes = self.served.as_ref().map_or(0, |served| served.wishes);
        match number {
            SOURCE => (self.served, self.source) = (None, Some(object.ok_or(Trouble::Unknown)?)),
            SERVE => {
                let object = object.ok_or(Trouble::Unknown)?;
                let source = self.source.as_ref().ok_or(Trouble::Unknown)?;
                let means = Means::new(source, how, together)?;
                self.served = Some(Served { object, badge, means, together, wishes: 0 });
            }
            END => self.served = None,
            HIDE => (self.served, self.source) = (None, None),
            WISHES | STOP => {}
            _ => return Err(Trouble::Unknown),
        }
        Ok(wishes)
    }
}

impl Means {
    fn new(source: &MemoryObject, how: u64, together: u64) -> Result<Means, Trouble> {
        match Supply::from_number(how) {
            Some(Supply::Reference) => Ok(Means::Source),
            Some(Supply::Copy) => Ok(Means::Copies(pages(source, together)?)),
            Some(Supply::Move) => Ok(Means::Moves(pages(source, together)?)),
            _ => Err(Trouble::Unknown),
        }
    }
}

/// Maps pages of the source: as Tagged memory, unless they can have no tags that matter.
fn pages(source: &MemoryObject, count: u64) -> Result<Mapping, Error> {
    let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(PAGE));
    let length = length.ok_or(Error::InvalidSize)?;
    let request = MapRequest::of(source.handle(), length);
    let is_plain = source.query()?.kind == ObjectKind::Pattern as u64;
    if system::tags_supported() && !is_plain { request.tagged().map() } else { request.map() }
}

impl Served {
    /// Supplies the page that is wanted, and those behind it that come along.
    fn supply(&self, source: &MemoryObject, wish: &PageWish) -> Result<(), Error> {
        let pages = self.together.min(wish.pages);
        let range = 0..pages as usize * PAGE;
        let (own, how) = match &self.means {
            Means::Source => {
                return self.object.supply_reference(wish.offset, pages * PAGE_SIZE, source);
            }
            Means::Copies(own) => (own, Supply::Copy),
            Means::Moves(own) => {
                own.populate(range.clone(), Advice::PopulateWrite)?;
                (own, Supply::Move)
            }
        };
        self.object.supply(wish.offset, (own, range), how, SupplyFlags::NONE).1
    }
}
