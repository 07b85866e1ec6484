//! Everything that the machine's acts change, and the rules of descriptors and barriers.

use crate::family::Family;
use crate::frame::{Frame, Frames, Role};
use crate::options::Acts;
use crate::tlb::{Key, Tlb};
use crate::violation::Violation;
use crate::walk::limited;
use std::collections::BTreeMap;
use vellum_abi::PAGE_SIZE;
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::machine::Asid;
use vellum_vm::page_table::{Descriptor, SLOTS, Slot, Table};

/// Bits of a valid descriptor that may change live: AP, AF, PXN, UXN and those that software owns
/// (Arm ARM, "Using break-before-make when updating translation table entries").
const LIVE_BITS: u64 = 0b11 << 6 | 1 << 10 | 0b11 << 53 | 0xf << 55;
/// Bytes that a block of level 2 maps.
const BLOCK_BYTES: u64 = 2 << 20;
/// Bits that hardware ignores.
const SOFTWARE_BITS: u64 = 0xf << 55;

/// A descriptor store that walks need not see yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// What walks may still see.
    pub(crate) old: u64,
    /// Whose barrier ends it.
    pub(crate) cpu: usize,
}

/// What a CPU runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) root: u64,
    pub(crate) asid: u16,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) frames: Frames,
    pub(crate) tlb: Tlb,
    pub(crate) pending: BTreeMap<u64, Pending>,
    pub(crate) contexts: Vec<Option<Context>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) acts: Acts,
    pub(crate) has_tags: bool,
    pub(crate) sets_access_flags: bool,
    pub(crate) flagless_cpus: u32,
    /// What dead frames read as while a test is being stopped.
    pub(crate) limbo: Frame,
}

/// Returns the slot at a physical address.
pub(crate) fn slot_at(physical: u64) -> Slot {
    let table = Table::new(FrameAddress::containing(physical));
    table.slot((physical % PAGE_SIZE / 8) as usize)
}

/// Returns whether two valid descriptors differ only in what may change live.
fn is_live_change(old: u64, new: u64) -> bool {
    (old ^ new) & !LIVE_BITS == 0
}

impl World {
    /// Records a violation and stops the test.
    ///
    /// # Panics
    /// Always, but not while another panic unwinds.
    pub(crate) fn violate(&mut self, violation: Violation) {
        self.violations.push(violation);
        if !std::thread::panicking() {
            panic!("violation: {violation:x?}");
        }
    }

    /// Lends a frame that somebody has.
    pub(crate) fn frame(&mut self, address: FrameAddress) -> &mut Frame {
        if self.frames.live(address).is_none() {
            self.violate(Violation::UseAfterFree(address));
        }
        self.live(address)
    }

    /// Lends a frame for descriptors.
    pub(crate) fn table(&mut self, address: FrameAddress) -> &mut Frame {
        self.claim(address, Role::Table)
    }

    /// Lends a frame for contents.
    pub(crate) fn contents(&mut self, address: FrameAddress) -> &mut Frame {
        self.claim(address, Role::Contents)
    }

    fn claim(&mut self, address: FrameAddress, role: Role) -> &mut Frame {
        let claimed =
            self.frames.live(address).map(|frame| std::mem::replace(&mut frame.role, role));
        match claimed {
            Some(held) if held == role || held == Role::Fresh => {}
            Some(_) => self.violate(Violation::TableAndContents(address)),
            None => self.violate(Violation::UseAfterFree(address)),
        }
        self.live(address)
    }

    /// Lends a frame that was checked, or limbo while a violation of it unwinds.
    fn live(&mut self, address: FrameAddress) -> &mut Frame {
        self.frames.live(address).unwrap_or(&mut self.limbo)
    }

    // ---- descriptors ----

    /// Reads a slot as a load of the calling CPU does.
    pub(crate) fn load(&mut self, cpu: usize, slot: Slot) -> u64 {
        // What another CPU has loaded, everybody may load: the store is no more in a buffer.
        if self.pending.get(&slot.physical()).is_some_and(|pending| pending.cpu != cpu) {
            self.pending.remove(&slot.physical());
        }
        self.table(slot.table().frame()).word(slot.index())
    }

    /// Reads a slot as the least fortunate walk does.
    pub(crate) fn visible(&mut self, slot: Slot) -> u64 {
        match self.pending.get(&slot.physical()) {
            Some(pending) => pending.old,
            None => self.table(slot.table().frame()).word(slot.index()),
        }
    }

    /// Writes a slot, after checking break-before-make.
    pub(crate) fn store(&mut self, cpu: usize, slot: Slot, new: u64) {
        let physical = slot.physical();
        let old = self.load(cpu, slot);
        let valid = |word| Descriptor::from_word(word).is_valid();
        // A table that was never linked is built as its maker likes.
        if valid(new) && self.table(slot.table().frame()).linked {
            if valid(old) && !is_live_change(old, new) {
                self.violate(Violation::NoBreak(slot));
            }
            let pending = self.pending.get(&physical).map(|pending| pending.old);
            let cached = self.tlb.read_from(physical, physical + 1).map(|entry| entry.word);
            let mut usable = cached.chain(pending.filter(|word| valid(*word)));
            let clash = usable.any(|word| !is_live_change(word, new));
            drop(usable);
            if clash {
                self.violate(Violation::MadeBeforeBroken(slot));
            }
        }
        self.acts.stores += 1;
        self.table(slot.table().frame()).set_word(slot.index(), new);
        if valid(new)
            && let Some(named) = self.frames.live(Descriptor::from_word(new).frame())
        {
            named.linked = true;
        }
        if old != new {
            self.pending.entry(physical).or_insert(Pending { old, cpu });
        }
    }

    /// Copies a table into a frame that nobody can walk to yet.
    pub(crate) fn copy_table(&mut self, cpu: usize, from: Table, to: FrameAddress) {
        if self.frame(to).linked {
            self.violate(Violation::FilledWhileReachable(to));
        }
        let target = Table::new(to);
        for index in 0..SLOTS {
            let word = self.load(cpu, from.slot(index));
            let old = self.table(to).word(index);
            self.table(to).set_word(index, word);
            // What a walk may find there until the barrier is anything.
            self.pending.entry(target.slot(index).physical()).or_insert(Pending { old, cpu });
        }
    }

    // ---- barriers and maintenance ----

    /// Makes the stores of a CPU visible to walks.
    pub(crate) fn publish(&mut self, cpu: usize) {
        self.pending.retain(|_, pending| pending.cpu != cpu);
    }

    /// Dooms entries, but none that a walk could find again because its slot's store is pending.
    pub(crate) fn invalidate(&mut self, cpu: usize, keys: impl IntoIterator<Item = Key>) {
        let (pending, cpus) = (&self.pending, self.contexts.len());
        for key in keys {
            self.tlb.doom(cpu, cpus, key, |slot| pending.contains_key(&slot));
        }
    }

    // ---- frames ----

    /// Checks that nothing leads to a frame any more, and takes it back.
    pub(crate) fn free(&mut self, frame: FrameAddress) {
        let physical = frame.to_physical();
        let Some(count) = self.frames.live(frame).and_then(|frame| frame.count) else {
            return self.violate(Violation::DoubleFree(frame));
        };
        if count != 1 {
            self.violate(Violation::FreedWhileCounted(frame, count));
        }
        let cached = self.tlb.naming(physical).next();
        match cached {
            Some(Key::Leaf(_, page)) => {
                self.violate(Violation::FreedWhileMapped(frame, Page::from_number(page)));
            }
            Some(Key::Table(..)) => self.violate(Violation::FreedWhileWalked(frame)),
            None => {}
        }
        if self.tlb.read_from(physical, physical + PAGE_SIZE).next().is_some() {
            self.violate(Violation::FreedWhileWalked(frame));
        }
        if self.contexts.iter().flatten().any(|context| context.root == physical) {
            self.violate(Violation::FreedActiveRoot(frame));
        }
        if let Some(slot) = self.reachable_from(frame) {
            self.violate(Violation::FreedWhileReachable(frame, slot));
        }
        self.pending.retain(|slot, _| !(physical..physical + PAGE_SIZE).contains(slot));
        if !self.frames.free(frame) {
            self.violate(Violation::DoubleFree(frame));
        }
    }

    /// Returns a slot that a walk could find to name the frame, of those where one did before.
    fn reachable_from(&mut self, frame: FrameAddress) -> Option<Slot> {
        let own = self.frame(frame).named_by.iter().copied().collect::<Vec<u64>>();
        let block = FrameAddress::containing(frame.to_physical() & !(BLOCK_BYTES - 1));
        let by_block = self.frames.live(block).map(|first| first.named_by.clone());
        let slots = own.into_iter().chain(by_block.unwrap_or_default()).collect::<Vec<u64>>();
        slots.into_iter().map(slot_at).find(|slot| {
            let table = slot.table().frame();
            let is_table = self.frames.live(table).is_some_and(|table| table.role == Role::Table);
            let names = |word| {
                let descriptor = Descriptor::from_word(word);
                let names_block = descriptor.is_block() && descriptor.frame() == block;
                descriptor.is_valid() && (descriptor.frame() == frame || names_block)
            };
            is_table && (names(self.visible(*slot)) || names(self.table(table).word(slot.index())))
        })
    }

    /// Lends a frame for a fill, after checking that it is fresh.
    pub(crate) fn fresh<F: Family>(&mut self, address: FrameAddress) -> &mut Frame {
        if self.tlb.naming(address.to_physical()).next().is_some() {
            self.violate(Violation::FilledWhileMapped(address));
        }
        if F::held() != 0 {
            self.violate(Violation::FilledUnderLock(address));
        }
        if std::mem::replace(&mut self.frame(address).filled, true) {
            self.violate(Violation::FilledTwice(address));
        }
        self.acts.fills += 1;
        self.frame(address)
    }

    // ---- identifiers ----

    /// Lets a CPU run with an address space, after checking that nobody else can be meant.
    pub(crate) fn activate(&mut self, cpu: usize, context: Context) {
        let cached = self
            .tlb
            .entries()
            .map(|(_, key, entry)| Context { root: entry.root, asid: key.asid() });
        let running = self.contexts.iter().enumerate().filter(|(other, _)| *other != cpu);
        let others = cached.chain(running.filter_map(|(_, context)| *context));
        let clash = others.filter(|other| *other != context).find_map(|other| {
            if other.asid == context.asid {
                Some(Violation::SharedAsid(Asid(context.asid)))
            } else {
                let same_root = other.root == context.root;
                same_root.then_some(Violation::TwoAsids(Asid(other.asid), Asid(context.asid)))
            }
        });
        if let Some(violation) = clash {
            self.violate(violation);
        }
        self.frame(FrameAddress::containing(context.root)).linked = true;
        self.contexts[cpu] = Some(context);
    }

    // ---- at rest ----

    /// Checks that every TLB agrees with memory.
    pub(crate) fn audit_tlb(&mut self) {
        if !self.tlb.is_complete() {
            self.violate(Violation::UnfinishedMaintenance);
        }
        let entries: Vec<_> = self.tlb.entries().map(|(_, key, entry)| (key, *entry)).collect();
        for (key, entry) in entries {
            let (page, level) = key.place();
            let now = self.walk_memory(entry.root, page, level);
            let is_same = now.is_some_and(|(word, limits)| {
                let (new, old) = if level == 3 {
                    (limited(word, limits), limited(entry.word, entry.limits))
                } else {
                    (word | limits, entry.word | entry.limits)
                };
                (new ^ old) & !SOFTWARE_BITS == 0
            });
            if !is_same {
                let now = now.map_or(0, |(word, _)| word);
                self.violate(Violation::StaleTranslation(page, entry.word, now));
            }
        }
    }
}
