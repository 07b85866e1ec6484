//! What the instruction that faulted says beyond the syndrome: the tag-aware and the atomic-aware
//! handler.
//!
//! Owns: two questions about a fault on a clean page, asked only where the mapping has the switch.
//! Would the access die of its tag anyway? Then it does so before a frame is taken. Will it write,
//! although its load faulted first? Then it gets its private page at once. [`judge`] is pure and
//! total; any doubt is [`Verdict::Ordinary`], and the instruction then faults as it always would.
//! Refuses to know: registers of this CPU; who delivers a fault says what is known ([`Scene`]).

use crate::addr::UserPointer;
use crate::address_space::{AddressSpace, State};
use crate::decide::allows;
use crate::fill::Fill;
use crate::instruction::{Instruction, Operand};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::ObjectPage;
use crate::page_table::{self, Descriptor, Sharing, Walk};
use crate::tag::Tag;
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, Protection, Switches};

/// Which accesses a mismatch of tags stops before they are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Loads: in synchronous and in asymmetric mode.
    pub loads: bool,
    /// Stores: in synchronous mode alone.
    pub stores: bool,
}

impl Checks {
    /// None: checks are off, asynchronous or overridden (PSTATE.TCO).
    pub const NONE: Checks = Checks { loads: false, stores: false };
    /// The synchronous mode.
    pub const SYNCHRONOUS: Checks = Checks { loads: true, stores: true };
    /// The asymmetric mode.
    pub const ASYMMETRIC: Checks = Checks { loads: true, stores: false };
}

/// What is known about an instruction that faulted.
pub trait Scene {
    /// Returns the address in FAR and that of the instruction, unless the kernel itself made the
    /// access.
    fn place(&self) -> Option<Place>;
    /// Returns which accesses of the thread a mismatch of tags stopped, had it been checked.
    fn checks(&self) -> Checks;
    /// Returns a general register, 31 for SP, if it is known.
    fn register(&self, number: u8) -> Option<u64>;
}

/// Where a fault was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address that faulted, tag and all.
    pub pointer: UserPointer,
    /// The address of the instruction.
    pub pc: u64,
}

/// An access that the kernel makes on a program's behalf: there is no instruction.
#[derive(Clone, Copy, Debug)]
pub struct NoScene;

impl Scene for NoScene {
    fn place(&self) -> Option<Place> {
        None
    }

    fn checks(&self) -> Checks {
        Checks::NONE
    }

    fn register(&self, _number: u8) -> Option<u64> {
        None
    }
}

/// What the tags of an access are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Bits 59:56 of the pointer.
    pub logical: Tag,
    /// The tag of the granule in which the access starts.
    pub allocation: Tag,
}

/// What is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What faulted.
    pub instruction: Instruction,
    /// What the syndrome calls the access.
    pub access: FaultAccess,
    /// Which accesses a mismatch stops.
    pub checks: Checks,
    /// The tags, if the mapping is tag-aware, the leaf will be Tagged and the page has contents.
    pub tags: Option<Tags>,
    /// Whether the access starts at the address that faulted, and not on the page before it.
    pub starts_here: bool,
    /// Bytes from the address that faulted to the end of its page.
    pub room: u64,
    /// Whether atomic accesses should count as stores.
    pub atomics: bool,
    /// Whether the mapping allows stores.
    pub may_write: bool,
}

/// What becomes of the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What the syndrome says.
    Ordinary,
    /// A store.
    Write,
    /// A mismatch of tags.
    Refuse,
}

/// Judges a fault on a clean page.
#[must_use]
pub fn judge(facts: &Facts) -> Verdict {
    let (operand, is_stopped) = match facts.instruction {
        Instruction::Load(operand) if facts.access == FaultAccess::Read => {
            (operand, facts.checks.loads)
        }
        Instruction::Store(operand) if facts.access == FaultAccess::Write => {
            (operand, facts.checks.stores)
        }
        Instruction::Atomic(operand) if facts.may_write && facts.access != FaultAccess::Execute => {
            (operand, facts.checks.loads && facts.checks.stores)
        }
        _ => return Verdict::Ordinary,
    };
    if is_stopped && is_refused(facts, operand) {
        return Verdict::Refuse;
    }
    let is_atomic = matches!(facts.instruction, Instruction::Atomic(_));
    if is_atomic && facts.atomics { Verdict::Write } else { Verdict::Ordinary }
}

/// Returns whether a checked access surely meets the wrong tag first. One that goes on to another
/// page may die of that one, and one that came from another page may have died there.
fn is_refused(facts: &Facts, operand: Operand) -> bool {
    let mismatch = facts.tags.is_some_and(|tags| tags.logical != tags.allocation);
    let is_whole = facts.starts_here && u64::from(operand.bytes) <= facts.room;
    operand.checked && mismatch && is_whole
}

impl<M: Machine> AddressSpace<M> {
    /// Returns what the access to a page of an aware mapping is: as the syndrome says, or a store.
    ///
    /// # Errors
    /// `TagCheck`: what the access will die of.
    #[cold]
    pub(crate) fn consider(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        seen: Descriptor,
        access: FaultAccess,
        scene: &impl Scene,
    ) -> Result<FaultAccess, ExitKind> {
        let Some(place) = scene.place() else { return Ok(access) };
        if !seen.is_clean() || !allows(mapping.protection, access) {
            return Ok(access);
        }
        let Some(facts) = self.facts(state, mapping, access, place, scene) else {
            return Ok(access);
        };
        match judge(&facts) {
            Verdict::Refuse => Err(ExitKind::TagCheck),
            Verdict::Write => Ok(FaultAccess::Write),
            Verdict::Ordinary => Ok(access),
        }
    }

    fn facts(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        access: FaultAccess,
        place: Place,
        scene: &impl Scene,
    ) -> Option<Facts> {
        let instruction = Instruction::decode(self.instruction_word(state, place.pc)?);
        let aware = |switch| mapping.switches.contains(switch);
        let tags = if aware(Switches::TAG_AWARE) && mapping.sharing == Sharing::Private {
            let allocation = self.clean_tag(mapping, place.pointer);
            allocation.map(|allocation| Tags { logical: place.pointer.tag(), allocation })
        } else {
            None
        };
        Some(Facts {
            instruction,
            access,
            checks: scene.checks(),
            tags,
            starts_here: starts_at(instruction, place.pointer, scene),
            room: PAGE_SIZE - place.pointer.page_offset() as u64,
            atomics: aware(Switches::ATOMIC_AWARE),
            may_write: allows(mapping.protection, FaultAccess::Write),
        })
    }

    /// Reads an instruction under the shared lock, if it is present and executable.
    fn instruction_word(&self, state: &State<M>, pc: u64) -> Option<u32> {
        let page = UserPointer::new(pc).page()?;
        if !pc.is_multiple_of(4) || state.is_changing(page) {
            return None;
        }
        let Walk::Leaf(slot) = page_table::find(&self.machine, self.root, page) else {
            return None;
        };
        let leaf = self.machine.read(slot);
        if !leaf.is_valid() || !leaf.protection().contains(Protection::EXECUTE) {
            return None;
        }
        let mut bytes = [0; 4];
        self.machine.read_bytes(leaf.frame(), (pc % PAGE_SIZE) as usize, &mut bytes);
        Some(u32::from_le_bytes(bytes))
    }

    /// Returns the allocation tag that a clean page of a mapping has or will have, if the mapping is
    /// Tagged memory and something stands behind the page.
    pub(crate) fn clean_tag(&self, mapping: &Mapping<M>, pointer: UserPointer) -> Option<Tag> {
        if !mapping.protection.contains(Protection::TAGGED) {
            return None;
        }
        let frame = match mapping.object.page(mapping.object_page(pointer.page()?)) {
            ObjectPage::Reference(frame, _) | ObjectPage::Fixed(frame) => frame.address(),
            ObjectPage::Memory(frame) => frame?.address(),
            ObjectPage::Watched(frame) => frame.address(),
            ObjectPage::Frameless(Some(Fill::Zero(tag))) => return Some(tag),
            ObjectPage::Frameless(Some(Fill::Pattern(_))) => return Some(Tag::ZERO),
            ObjectPage::Frameless(_) | ObjectPage::Device(_) => return None,
        };
        Some(self.machine.read_tag(frame, pointer.page_offset()))
    }
}

/// Returns whether an access surely starts at the address that faulted. Only at the start of a page
/// can it be otherwise, and then the registers that make the address must tell.
fn starts_at(instruction: Instruction, pointer: UserPointer, scene: &impl Scene) -> bool {
    let (Instruction::Load(operand) | Instruction::Store(operand) | Instruction::Atomic(operand)) =
        instruction
    else {
        return false;
    };
    if pointer.page_offset() != 0 || operand.bytes == 1 {
        return true;
    }
    let start = || {
        let base = scene.register(operand.base?)?;
        Some(base.wrapping_add_signed(i64::from(operand.displacement?)))
    };
    start().is_some_and(|start| UserPointer::new(start).untagged() == pointer.untagged())
}
