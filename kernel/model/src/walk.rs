//! What hardware does with descriptors, read from the architecture and not from the code under
//! test: translation, the walk and its caches, permissions of EL0.
//!
//! Arm ARM, "VMSAv8-64 translation table format descriptors", "Data accesses permissions".

use crate::cpu::FaultKind;
use crate::tlb::{Entry, Key, is_block};
use crate::violation::Violation;
use crate::world::{Context, World};
use vellum_abi::FaultAccess;
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::page_table::{Descriptor, Ownership, Slot, Table};

const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const DIRTY_BIT_MODIFIER: u64 = 1 << 51;
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
const EXECUTE_NEVER: u64 = 1 << 54;
const EL0: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const ATTRIBUTE_INDEX: u64 = 0b111 << 2;
/// The attribute index that the kernel gives to Normal Tagged memory.
const TAGGED_INDEX: u64 = 0;
/// APTable, UXNTable and PXNTable of a table descriptor.
const TABLE_LIMITS: u64 = 0b11111 << 59;

/// Returns what the limits of the tables on the way make of a leaf (Arm ARM, "Hierarchical control
/// of data access permissions").
pub(crate) fn limited(leaf: u64, limits: u64) -> u64 {
    let pxn = limits >> 59 & 1;
    let uxn = limits >> 60 & 1;
    let no_el0 = limits >> 61 & 1;
    let read_only = limits >> 62 & 1;
    (leaf | pxn << 53 | uxn << 54 | read_only << 7) & !(no_el0 << 6)
}

/// Returns whether EL0 may make an access through a leaf.
pub(crate) fn permits(leaf: u64, access: FaultAccess) -> bool {
    match access {
        FaultAccess::Read => leaf & EL0 != 0,
        FaultAccess::Write => leaf & EL0 != 0 && leaf & READ_ONLY == 0,
        FaultAccess::Execute => leaf & EXECUTE_NEVER == 0,
    }
}

/// Returns whether a leaf makes its page Tagged memory.
pub(crate) fn is_tagged(leaf: u64) -> bool {
    leaf & ATTRIBUTE_INDEX == TAGGED_INDEX << 2
}

/// Returns whether a leaf keeps the invariants of user leaves. A private one may still be without
/// the access flag.
pub(crate) fn is_sound(leaf: u64) -> bool {
    let writable = permits(leaf, FaultAccess::Write);
    let owned = Descriptor::from_word(leaf).ownership() != Ownership::ReadShared;
    let private = Descriptor::from_word(leaf).ownership() == Ownership::Private;
    leaf & NOT_GLOBAL != 0
        && (private || leaf & ACCESS_FLAG != 0)
        && leaf & DIRTY_BIT_MODIFIER == 0
        && leaf & PRIVILEGED_EXECUTE_NEVER != 0
        && !(writable && permits(leaf, FaultAccess::Execute))
        && (owned || leaf & READ_ONLY != 0)
}

impl World {
    /// Translates a page as a CPU does that keeps everything it ever walked.
    ///
    /// # Errors
    /// A translation or access flag fault, of which nothing is kept.
    pub(crate) fn translate(
        &mut self,
        cpu: usize,
        context: Context,
        page: Page,
    ) -> Result<Entry, FaultKind> {
        let key = |level| Key::new(context.asid, level, page.number());
        if let Some(entry) = self.tlb.entry(cpu, key(3)) {
            return Ok(*entry);
        }
        if let Some(entry) = self.tlb.entry(cpu, key(2)).filter(|e| is_block(key(2), e.word)) {
            return Ok(entry.page(page));
        }
        let cached = (0..3).rev().find_map(|level| {
            let entry = self.tlb.entry(cpu, key(level))?;
            Some((level + 1, entry.target(), entry.doomed, entry.limits))
        });
        let (first, mut table, mut doomed, mut limits) = cached.unwrap_or((0, context.root, 0, 0));
        for level in first..4 {
            let slot = Table::new(FrameAddress::containing(table)).slot(page.table_index(level));
            let word = self.visible(slot);
            let word = if level == 3 { self.access(cpu, slot, word)? } else { word };
            let descriptor = Descriptor::from_word(word);
            if !descriptor.is_valid() {
                return Err(FaultKind::Translation);
            }
            self.check_walked(slot, level, word);
            let last = level == 3 || is_block(key(level), word);
            limits |= if last { 0 } else { word & TABLE_LIMITS };
            let entry = Entry { word, slot: slot.physical(), root: context.root, doomed, limits };
            self.tlb.insert(cpu, key(level), entry);
            self.frame(descriptor.frame()).named_by.insert(slot.physical());
            (table, doomed) = (entry.target(), entry.doomed);
            if last {
                return Ok(if level == 3 { entry } else { entry.page(page) });
            }
        }
        Err(FaultKind::Translation)
    }

    /// Sets the access flag of a leaf that a walk uses (Arm ARM, "Hardware management of the Access
    /// flag"): an atomic update of what memory has by now. Returns the leaf as it is then.
    fn access(&mut self, cpu: usize, slot: Slot, seen: u64) -> Result<u64, FaultKind> {
        if !Descriptor::from_word(seen).is_valid() || seen & ACCESS_FLAG != 0 {
            return Ok(seen);
        }
        if self.sets_access_flags && self.flagless_cpus >> cpu & 1 != 0 {
            return Err(FaultKind::AccessFlag);
        }
        self.pending.remove(&slot.physical());
        let word = self.table(slot.table().frame()).word(slot.index());
        if !Descriptor::from_word(word).is_valid() || word & ACCESS_FLAG != 0 {
            return Ok(word);
        }
        if !self.sets_access_flags {
            let frame = Descriptor::from_word(word).frame();
            self.violate(Violation::UnsoundLeaf(frame, word));
        }
        self.table(slot.table().frame()).set_word(slot.index(), word | ACCESS_FLAG);
        Ok(word | ACCESS_FLAG)
    }

    /// Walks from a root to the descriptor at `level` on the way to a page, as memory has it now.
    /// Returns its word, and the limits of it and of those above.
    pub(crate) fn walk_memory(&mut self, root: u64, page: Page, level: u32) -> Option<(u64, u64)> {
        let (mut table, mut limits) = (root, 0);
        for here in 0.. {
            let slot = Table::new(FrameAddress::containing(table)).slot(page.table_index(here));
            let word = self.table(slot.table().frame()).word(slot.index());
            let descriptor = Descriptor::from_word(word);
            if !descriptor.is_valid() {
                return None;
            }
            let is_block = here == 2 && word & 0b11 == 0b01;
            limits |= if here == 3 || is_block { 0 } else { word & TABLE_LIMITS };
            if is_block && level == 3 {
                return Some((descriptor.page_of_block(page).to_word(), limits));
            }
            if here == level {
                return Some((word, limits));
            }
            table = descriptor.frame().to_physical();
        }
        None
    }

    fn check_walked(&mut self, slot: Slot, level: u32, word: u64) {
        let is_block = level == 2 && word & 0b11 == 0b01;
        if word & 0b11 != 0b11 && !is_block {
            self.violate(Violation::UnknownDescriptor(slot, word));
        }
        let target = Descriptor::from_word(word).frame();
        if level == 3 || is_block {
            if !is_sound(word) {
                self.violate(Violation::UnsoundLeaf(target, word));
            }
            self.contents(target);
        } else {
            self.table(target);
        }
    }
}
