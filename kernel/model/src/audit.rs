//! Checks of the whole machine at rest, from the descriptors in memory.

use crate::family::Family;
use crate::machine::Model;
use crate::violation::Violation;
use crate::walk::is_sound;
use crate::world::World;
use std::collections::{HashMap, HashSet};
use vellum_abi::Protection;
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::page_table::{Descriptor, Ownership, SLOTS, Table};

/// A leaf as hardware would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafView {
    /// The page it translates.
    pub page: Page,
    /// The descriptor.
    pub descriptor: Descriptor,
}

/// What a walk over everything comes across. A table that mappings share is looked into once.
#[derive(Default)]
struct Found {
    leaves: Vec<LeafView>,
    shared: HashSet<Descriptor>,
}

impl<F: Family> Model<F> {
    /// Returns every leaf below a root, in order; those of shared tables where they come first.
    #[must_use]
    pub fn leaves(&self, root: Table) -> Vec<LeafView> {
        let mut found = Found::default();
        self.world().collect(root.frame(), 0, 0, &mut found);
        found.leaves
    }

    /// Checks the machine at rest: every TLB entry is what memory says, no maintenance is half
    /// done, every leaf is sound, a private frame's count is the number of its leaves, and no
    /// leaf of several can be stored through. `roots` are all there are.
    pub fn audit(&self, roots: &[Table]) {
        let mut world = self.world();
        world.audit_tlb();
        let mut found = Found::default();
        roots.iter().for_each(|root| world.collect(root.frame(), 0, 0, &mut found));
        let leaves = found.leaves;
        let mut uses: HashMap<FrameAddress, u32> = HashMap::new();
        for leaf in &leaves {
            *uses.entry(leaf.descriptor.frame()).or_default() += 1;
        }
        for LeafView { descriptor, .. } in leaves {
            let frame = descriptor.frame();
            world.contents(frame);
            if !is_sound(descriptor.to_word()) {
                world.violate(Violation::UnsoundLeaf(frame, descriptor.to_word()));
            }
            let writable = descriptor.protection().contains(Protection::WRITE);
            let count = world.frame(frame).count;
            if descriptor.ownership() == Ownership::Private
                && (count != Some(uses[&frame]) || writable && uses[&frame] != 1)
            {
                world.violate(Violation::SharedPrivateFrame(frame));
            }
        }
    }
}

impl World {
    fn collect(&mut self, table: FrameAddress, level: u32, start: u64, found: &mut Found) {
        for index in 0..SLOTS {
            let descriptor = Descriptor::from_word(self.table(table).word(index));
            if !descriptor.is_valid() {
                continue;
            }
            let number = start + ((index as u64) << (9 * (3 - level)));
            if level == 2 && descriptor.is_block() {
                found.leaves.extend((number..number + SLOTS as u64).map(|number| {
                    let page = Page::from_number(number);
                    LeafView { page, descriptor: descriptor.page_of_block(page) }
                }));
            } else if level == 3 {
                found.leaves.push(LeafView { page: Page::from_number(number), descriptor });
            } else if !descriptor.is_shared_table() || found.shared.insert(descriptor) {
                self.collect(descriptor.frame(), level + 1, number, found);
            }
        }
    }
}
