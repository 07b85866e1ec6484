//! The tag-aware and the atomic-aware handler: what is judged, and what that costs.

use crate::support::{HERE, Object, RW, RWT, Rig};
use vellum_abi::{ExitKind, FaultAccess, MapFlags, MapOptions, PAGE_SIZE, Protection, Switches};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::UserPointer;
use vellum_vm::fault::Outcome;
use vellum_vm::hint::{Checks, Facts, Place, Scene, Tags, Verdict, judge};
use vellum_vm::instruction::{Instruction, Operand};
use vellum_vm::ops::MapRequest;
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

type Host = Rig<Single>;

/// Where the instruction is.
const CODE: u64 = HERE + (1 << 30);
const LDRB: u32 = 0x3940_0041;
const STRB: u32 = 0x3900_0041;
const STR_X: u32 = 0xf900_0041;
/// Through SP.
const STR_STACK: u32 = 0xf900_03e1;
const STG: u32 = 0xd920_0841;
const LDADD: u32 = 0xf820_0041;
const SWP: u32 = 0xf820_8041;
const CAS: u32 = 0xc8a0_7c41;
const CASP: u32 = 0x4820_7c42;
const LDXR: u32 = 0xc85f_7c41;
const STXR: u32 = 0xc800_7c41;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn map(rig: &Host, object: &Object<Single>, protection: Protection, switches: Switches) {
    let request = MapRequest {
        object: object.clone(),
        address: HERE,
        length: 16 * PAGE_SIZE,
        offset: 0,
        options: MapOptions {
            protection,
            switches,
            flags: MapFlags::FIXED | MapFlags::REPLACE,
            ..MapOptions::default()
        },
        maximum: Protection::ALL,
    };
    let (_, change) = rig.space.map(&request).expect("a mapping");
    change.into_iter().for_each(|change| rig.complete(Ok(change)));
}

/// One instruction of a program whose x2 and SP are the address itself.
struct Program {
    pointer: UserPointer,
    base: u64,
    checks: Checks,
}

impl Scene for Program {
    fn place(&self) -> Option<Place> {
        Some(Place { pointer: self.pointer, pc: CODE })
    }

    fn checks(&self) -> Checks {
        self.checks
    }

    fn register(&self, number: u8) -> Option<u64> {
        (number == 2).then_some(self.base)
    }
}

/// A machine with the word as its program.
fn rig(word: u32) -> Host {
    let rig = Host::new();
    rig.map(&rig.tagged(0), CODE, 1, RW);
    rig.space.write_page(CODE, &word.to_le_bytes()).expect("a frame");
    rig.protect(CODE, 1, Protection::READ | Protection::EXECUTE);
    rig
}

fn fault(rig: &Host, pointer: u64, access: FaultAccess, checks: Checks) -> Outcome {
    let pointer = UserPointer::new(pointer);
    let program = Program { pointer, base: pointer.tagged(), checks };
    rig.space.handle_fault_in(pointer, access, &program)
}

const REFUSED: Outcome = Outcome::Die(ExitKind::TagCheck);
const SYNC: Checks = Checks::SYNCHRONOUS;
/// Asymmetric mode.
const LOADS: Checks = Checks { loads: true, stores: false };
use FaultAccess::{Read, Write};

#[test]
fn a_store_with_the_wrong_tag_takes_no_frame_and_no_table() {
    for read_before in [false, true] {
        let rig = rig(STRB);
        map(&rig, &rig.tagged(9), RWT, Switches::TAG_AWARE);
        if read_before {
            rig.load(0, HERE | 9 << 56).expect("mapped");
        }
        let before = rig.stat();
        assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), REFUSED);
        let after = rig.stat();
        assert_eq!(
            (after.private_frames, after.pt_frames),
            (before.private_frames, before.pt_frames)
        );
        assert_eq!((after.faults_tag, after.faults_denied), (1, 0));
        assert_eq!(rig.space.tag_at(UserPointer::new(HERE)).map(Tag::value), Some(9));
        assert_eq!(fault(&rig, HERE | 9 << 56, Write, SYNC), Outcome::Resume);
        assert_eq!(rig.stat().private_frames, before.private_frames + 1);
        rig.finish(options());
    }
}

#[test]
fn without_the_switch_it_takes_one_frame() {
    let rig = rig(STRB);
    map(&rig, &rig.tagged(9), RWT, Switches::ATOMIC_AWARE);
    assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), Outcome::Resume);
    assert_eq!((rig.stat().private_frames, rig.stat().faults_tag), (2, 0));
    rig.finish(options());
}

#[test]
fn the_mode_of_the_thread_decides_which_accesses_are_refused() {
    for (word, access, checks, refused) in [
        (STRB, Write, SYNC, true),
        (STRB, Write, LOADS, false),
        (STRB, Write, Checks::NONE, false),
        (LDRB, Read, SYNC, true),
        (LDRB, Read, LOADS, true),
        (LDRB, Read, Checks::NONE, false),
        (LDADD, Read, SYNC, true),
        (LDADD, Read, LOADS, false),
    ] {
        let rig = rig(word);
        map(&rig, &rig.tagged(9), RWT, Switches::TAG_AWARE);
        let outcome = fault(&rig, HERE | 4 << 56, access, checks);
        let wanted = if refused { REFUSED } else { Outcome::Resume };
        assert_eq!(outcome, wanted, "{word:08x} {checks:?}");
        rig.finish(options());
    }
}

#[test]
fn whatever_is_not_surely_a_checked_access_is_performed() {
    let odd = [0xd503_201f, STG, STR_STACK, LDXR, STXR, LDRB, 0];
    for word in odd {
        let rig = rig(word);
        map(&rig, &rig.tagged(9), RWT, Switches::TAG_AWARE);
        assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), Outcome::Resume, "{word:08x}");
        rig.finish(options());
    }
    let rig = rig(STRB);
    map(&rig, &rig.tagged(9), RW, Switches::TAG_AWARE);
    assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), Outcome::Resume, "not Tagged memory");
    map(&rig, &rig.tagged(9), RWT, Switches::TAG_AWARE);
    rig.protect(CODE, 1, Protection::READ);
    assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), Outcome::Resume, "no instruction");
    rig.finish(options());
}

#[test]
fn an_access_over_the_edge_of_a_page_is_left_to_hardware() {
    let rig = rig(STR_X);
    map(&rig, &rig.tagged(9), RWT, Switches::TAG_AWARE);
    let end = HERE + PAGE_SIZE;
    assert_eq!(fault(&rig, (end - 8) | 4 << 56, Write, SYNC), REFUSED);
    assert_eq!(fault(&rig, end | 4 << 56, Write, SYNC), REFUSED);
    let pointer = UserPointer::new(end | 4 << 56);
    // It started on the page before.
    let program = Program { pointer, base: (end - 4) | 4 << 56, checks: SYNC };
    assert_eq!(rig.space.handle_fault_in(pointer, Write, &program), Outcome::Resume);
    assert_eq!(fault(&rig, (end - 4) | 4 << 56, Write, SYNC), Outcome::Resume);
    rig.finish(options());
}

#[test]
fn the_tag_is_that_of_the_granule_in_the_object() {
    let rig = rig(STRB);
    rig.map(&rig.tagged(0), HERE, 1, RWT);
    rig.store_tag(0, HERE + 32, 4).expect("a frame");
    let made =
        refpage::from_user(&rig.space, UserPointer::new(HERE), PAGE_SIZE, rig.space.counters());
    map(&rig, &rig.share(made.expect("readable")), RWT, Switches::TAG_AWARE);
    for (granule, outcome) in [(1, REFUSED), (3, REFUSED), (2, Outcome::Resume)] {
        assert_eq!(fault(&rig, (HERE + 16 * granule + 5) | 4 << 56, Write, SYNC), outcome);
    }
    // A page of a memory object gets the object's frame first, as there are no tags before.
    let object = rig.memory(16);
    map(&rig, &object, RWT, Switches::TAG_AWARE);
    let before = rig.stat().private_frames;
    assert_eq!(fault(&rig, HERE | 4 << 56, Write, SYNC), REFUSED);
    assert_eq!((object.info(0).frames, rig.stat().private_frames), (1, before));
    drop(object);
    rig.finish(options());
}

#[test]
fn an_atomic_access_of_a_clean_page_takes_one_fault() {
    for word in [LDADD, SWP, CAS, CASP] {
        for (switches, faults) in [(Switches::ATOMIC_AWARE, 1), (Switches::NONE, 2)] {
            let rig = rig(word);
            map(&rig, &rig.pattern(7), RW, switches);
            assert_eq!(fault(&rig, HERE, Read, SYNC), Outcome::Resume);
            if rig.stat().private_frames == 1 {
                assert_eq!(fault(&rig, HERE, Write, SYNC), Outcome::Resume);
            }
            let stat = rig.stat();
            assert_eq!(
                stat.faults_read_map + stat.faults_write_fresh - 1 + stat.faults_write_cow,
                faults
            );
            rig.finish(options());
        }
    }
}

#[test]
fn halves_of_an_exclusive_pair_and_atomics_that_may_not_store_stay_loads() {
    let rig = rig(LDXR);
    map(&rig, &rig.pattern(7), RW, Switches::ATOMIC_AWARE);
    assert_eq!(fault(&rig, HERE, Read, SYNC), Outcome::Resume);
    assert_eq!((rig.stat().faults_read_map, rig.stat().private_frames), (1, 1));
    let rig = self::rig(LDADD);
    map(&rig, &rig.pattern(7), Protection::READ, Switches::ATOMIC_AWARE);
    assert_eq!(fault(&rig, HERE, Read, SYNC), Outcome::Resume);
    assert_eq!(fault(&rig, HERE, Write, SYNC), Outcome::Die(ExitKind::AccessDenied));
    rig.finish(options());
}

#[test]
fn every_verdict_but_the_ordinary_one_has_its_reasons() {
    let operand = |checked, bytes| Operand { bytes, checked, base: Some(2), displacement: Some(0) };
    let tags = |logical, allocation| {
        Some(Tags {
            logical: Tag::new(logical).expect("a tag"),
            allocation: Tag::new(allocation).expect("a tag"),
        })
    };
    let mut verdicts = [0; 3];
    for bits in 0..1_u32 << 14 {
        let is = |index: u32| bits >> index & 1 != 0;
        let operand = operand(is(0), if is(1) { 16 } else { 1 });
        let instruction = match bits >> 2 & 7 {
            0 => Instruction::Load(operand),
            1 => Instruction::Store(operand),
            2 => Instruction::Atomic(operand),
            3 => Instruction::Exclusive,
            4 => Instruction::Tags,
            5 => Instruction::ZeroBlock,
            _ => Instruction::Other,
        };
        let access = [Read, Write, FaultAccess::Execute, Write][(bits >> 5 & 3) as usize];
        let facts = Facts {
            instruction,
            access,
            checks: Checks { loads: is(7), stores: is(8) },
            tags: if is(9) { tags(4, 9) } else { [None, tags(9, 9)][usize::from(is(10))] },
            starts_here: is(11),
            room: if is(1) && is(10) { 8 } else { 16 },
            atomics: is(12),
            may_write: is(13),
        };
        let verdict = judge(&facts);
        verdicts[verdict as usize] += 1;
        let loads = matches!(instruction, Instruction::Load(_));
        let stores = matches!(instruction, Instruction::Store(_));
        let atomic = matches!(instruction, Instruction::Atomic(_));
        match verdict {
            Verdict::Refuse => {
                assert!(
                    operand.checked && is(9) && is(11) && u64::from(operand.bytes) <= facts.room
                );
                assert!(!loads || is(7) && access == Read);
                assert!(!stores || is(8) && access == Write);
                assert!(!atomic || is(7) && is(8) && is(13));
                assert!(loads || stores || atomic);
            }
            Verdict::Write => assert!(atomic && is(12) && is(13)),
            Verdict::Ordinary => {}
        }
    }
    assert!(verdicts.iter().all(|count| *count != 0), "{verdicts:?}");
}
