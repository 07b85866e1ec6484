//! What a script does not determine: which pages a batch makes ahead, which mappings stay apart
//! because of that, and how large the kernel's record of some content is.
//!
//! Whoever runs a script tells the flat model what it sees; the model refuses what no batch may do,
//! and everything that follows is exact again.

use super::{Flat, Kind, ObjectId, State};
use alloc::vec::Vec;
use vellum_abi::{ObjectKind, Switches};

/// The most pages that one batch makes ahead.
const MOST: usize = 15;

impl Flat {
    /// Takes pages over that a batch made private behind `first`, which was just touched.
    ///
    /// # Panics
    /// If no batch may have made them.
    pub fn made_ahead(&mut self, space: usize, first: u64, pages: &[u64]) {
        if pages.is_empty() {
            return;
        }
        assert!(pages.len() <= MOST, "a batch of {} pages", 1 + pages.len());
        let behind: Vec<u64> = (first + 1..).take(pages.len()).collect();
        assert_eq!(pages, behind, "pages ahead lie right behind the one that was touched");
        let run = self.spaces[space].runs(self).into_iter().find(|run| run.contains(&first));
        let run = run.expect("the page is mapped");
        for number in pages {
            assert!(run.contains(number), "page {number:#x} is another mapping's");
            let page = &self.spaces[space].pages[number];
            assert!(page.manner.has(Switches::BATCH), "the mapping has no batches");
            assert!(self.objects[&page.object].is_reference(), "the object may change");
            assert!(matches!(page.state, State::Clean | State::ReadShared), "not clean");
            self.make_private(space, *number);
            self.spaces[space].stat.speculative_frames += 1;
        }
    }

    /// Takes over where mappings begin: those with batches may stay apart where others become one.
    ///
    /// # Panics
    /// If others stay apart.
    pub fn seams(&mut self, space: usize, starts: &[u64]) {
        self.spaces[space].pages.values_mut().for_each(|page| page.seam = false);
        let joined: Vec<u64> = self.spaces[space].runs(self).iter().map(|run| run.start).collect();
        for start in starts.iter().filter(|start| !joined.contains(start)) {
            let page = self.spaces[space].pages.get_mut(start).expect("a mapped page");
            assert!(page.manner.has(Switches::BATCH), "a mapping begins at {start:#x}");
            page.seam = true;
        }
    }

    /// Takes over how much kernel memory an object without a frame keeps its content in.
    ///
    /// # Panics
    /// If it keeps what a fill can make, or less than what it must.
    pub fn keeps(&mut self, id: ObjectId, size: u64, bytes: u64) {
        let object = self.objects.get_mut(&id).expect("a live object");
        let Kind::Frameless(_, (kind, _), kept) = &mut object.kind else { unreachable!() };
        match kind {
            ObjectKind::Bytes => assert!(bytes >= size, "{size} bytes in {bytes}"),
            _ => assert_eq!(bytes, 0, "{kind:?} needs no bytes"),
        }
        *kept = bytes;
    }

    /// Returns whether an address space has mappings with batches.
    #[must_use]
    pub fn has_batches(&self, space: usize) -> bool {
        self.spaces[space].pages.values().any(|page| page.manner.has(Switches::BATCH))
    }
}
