//! Ways to get content into the pages of a mapping: the kernel's policies, and a pager in another process
//! ([`crate::services::pager`]).
//!
//! Owns: the list of ways, their names, and what each maps. Refuses to know: who compares them and by what.
//! Whatever the way, a program has a [`Content`] and maps it as often as it likes. Under a pager each mapping
//! has an object of its own ([`Shown`]), as pages that were supplied once stay supplied.

use crate::mapping::PAGE;
use crate::services::Trouble;
use crate::services::pager::{Pager, Served, Terms};
use crate::{MapRequest, MemoryObject};
use vellum_abi::{Error, Handle, PagerFlags, Policy, Supply};

/// The pages that one wish brings where the pager looks ahead.
const AHEAD: u64 = 16;

/// Defines [`Way`] from one table of variant, policy, pager, name in figures and text.
macro_rules! ways {
    ($($variant:ident $policy:ident $terms:expr, $name:literal $text:literal;)*) => {
        /// How the pages of a mapping get their contents.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Way { $(#[doc = $text] $variant,)* }

        impl Way {
            /// Every way.
            pub const ALL: &'static [Way] = &[$(Way::$variant),*];

            /// Returns the policy of the mapping.
            #[must_use]
            pub const fn policy(self) -> Policy {
                match self { $(Way::$variant => Policy::$policy,)* }
            }

            /// Returns how a pager supplies the pages, if one does.
            #[must_use]
            pub const fn terms(self) -> Option<Terms> {
                match self { $(Way::$variant => $terms,)* }
            }

            /// Returns the name in figures.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Way::$variant => $name,)* }
            }

            /// Returns one line for a human: what a page is before and after its first store.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Way::$variant => $text,)* }
            }
        }
    };
}

const fn private(how: Supply, together: u64) -> Option<Terms> {
    Some(Terms { how, together, flags: PagerFlags::NONE })
}

const fn in_place(how: Supply, together: u64) -> Option<Terms> {
    Some(Terms { how, together, flags: PagerFlags::WRITABLE })
}

ways! {
    ReferencePage ReferencePage None, "reference_page"
        "The kernel shows the shared page, then fills a private one.";
    Eager Eager None, "eager"
        "The kernel fills a private page when it is mapped.";
    PatternOnAnyFault PatternOnAnyFault None, "pattern_on_any_fault"
        "The kernel fills a private page at the first access.";
    InMapping InMapping None, "in_mapping"
        "The kernel shows a page of the mapping's own, then copies it.";
    Object Object None, "object"
        "The kernel shows the shared page, then copies it.";
    Wrap Wrap None, "wrap"
        "The kernel shows a page of an object that repeats, then copies it.";
    UserPagerReference UserPager private(Supply::Reference, 1), "user_pager_reference"
        "A pager names the shared page, then the kernel fills a private one.";
    UserPagerAhead UserPager private(Supply::Reference, AHEAD), "user_pager_ahead"
        "Likewise, and the pager names sixteen pages at once.";
    UserPagerAtOnce UserPager private(Supply::Reference, u64::MAX), "user_pager_at_once"
        "Likewise, and the pager names all pages at the first wish.";
    UserPagerMove UserPager private(Supply::Move, 1), "user_pager_move"
        "A pager's own page moves to the object, then the kernel copies it.";
    UserPagerMoveInPlace UserPager in_place(Supply::Move, 1), "user_pager_move_in_place"
        "A pager's own page moves to the object and is stored to.";
    UserPagerCopyInPlace UserPager in_place(Supply::Copy, 1), "user_pager_copy_in_place"
        "The kernel copies a pager's page into the object, which is stored to.";
}

impl Way {
    /// Returns the way of this name, as people write it or as in figures.
    #[must_use]
    pub fn find(word: &str) -> Option<Way> {
        let letters = |text: &str| text.replace('_', "").to_lowercase();
        let is_it = |way: &Way| letters(way.name()) == letters(word);
        Way::ALL.iter().copied().find(is_it)
    }

    /// Returns whether stores leave the object as it is, so that a page that is given back shows it again.
    #[must_use]
    pub fn is_private(self) -> bool {
        self.terms().is_none_or(|terms| terms.flags == PagerFlags::NONE)
    }

    /// Makes an object of a byte that the way can map, or whose pages its pager can show.
    fn object_of(self, byte: u8) -> Result<MemoryObject, Error> {
        match self {
            Way::PatternOnAnyFault => MemoryObject::frameless(&[byte]),
            Way::Wrap => {
                let object = MemoryObject::wrap(PAGE as u64)?;
                MapRequest::of(object.handle(), PAGE).shared().map()?.fill(byte);
                Ok(object)
            }
            _ => MemoryObject::pattern(byte),
        }
    }
}

/// What mappings show.
#[derive(Debug)]
pub struct Content<'a> {
    way: Way,
    pager: &'a Pager,
    object: Source,
}

/// An object that has the content.
#[derive(Debug)]
enum Source {
    /// Kept while mappings are made.
    Own(MemoryObject),
    Others(Handle),
}

impl Source {
    const fn handle(&self) -> Handle {
        match self {
            Source::Own(object) => object.handle(),
            Source::Others(handle) => *handle,
        }
    }
}

impl Drop for Content<'_> {
    fn drop(&mut self) {
        if self.way.terms().is_some() {
            // A pager that is gone has nothing any more.
            let _ = self.pager.hide();
        }
    }
}

impl<'a> Content<'a> {
    /// Makes content of one byte.
    ///
    /// # Errors
    /// What the kernel or the pager refused.
    pub fn of_byte(way: Way, byte: u8, pager: &'a Pager) -> Result<Content<'a>, Trouble> {
        Content::new(way, Source::Own(way.object_of(byte)?), pager)
    }

    /// Returns what an object shows, which somebody else keeps. For a pager it has to be a reference object.
    ///
    /// # Errors
    /// What the kernel or the pager refused.
    pub fn of(way: Way, handle: Handle, pager: &'a Pager) -> Result<Content<'a>, Trouble> {
        if way.terms().is_some() && handle == Handle::ANONYMOUS {
            // It has no handle that could be given away.
            return Content::of_byte(way, 0, pager);
        }
        Content::new(way, Source::Others(handle), pager)
    }

    fn new(way: Way, object: Source, pager: &'a Pager) -> Result<Content<'a>, Trouble> {
        if way.terms().is_some() {
            pager.show(object.handle())?;
        }
        Ok(Content { way, pager, object })
    }

    /// Begins a mapping of `length` bytes.
    ///
    /// # Errors
    /// What the kernel or the pager refused.
    pub fn begin(&self, length: usize) -> Result<Shown<'a>, Trouble> {
        let Some(terms) = self.way.terms() else {
            let request = MapRequest::of(self.object.handle(), length).under(self.way.policy());
            return Ok(Shown { request, served: None });
        };
        let served = self.pager.serve(length as u64, terms)?;
        let request = MapRequest::of(served.handle(), length).under(self.way.policy());
        let request = if self.way.is_private() { request } else { request.shared() };
        Ok(Shown { request, served: Some((self.pager, served)) })
    }
}

/// Content for one mapping.
#[derive(Debug)]
pub struct Shown<'a> {
    request: MapRequest,
    served: Option<(&'a Pager, Served)>,
}

impl Shown<'_> {
    /// Returns the request that maps it, readable and writable.
    #[must_use]
    pub const fn request(&self) -> MapRequest {
        self.request
    }

    /// Lets go of what was there for the mapping alone. Returns how often a pager was asked.
    ///
    /// # Errors
    /// What the pager refused.
    pub fn end(self) -> Result<u64, Trouble> {
        self.served.map_or(Ok(0), |(pager, served)| pager.end(served))
    }
}
