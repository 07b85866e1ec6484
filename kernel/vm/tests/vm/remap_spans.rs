//! Moves of mappings that objects' tables and blocks show: nobody can tell them from pages.

use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig};
use vellum_abi::{PAGE_SIZE, RemapFlags, Switches};
use vellum_model::{ModelOptions, Single};
use vellum_vm::ops::RemapRequest;

type Host = Rig<Single>;

const FIXED: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::FIXED);
const RETAIN: RemapFlags = FIXED.union(RemapFlags::RETAIN);
const THERE: u64 = HERE + 64 * SPAN * PAGE_SIZE;
const STORED: [u64; 3] = [3, SPAN + 5, 3 * SPAN - 1];
const ALL: Switches = Switches::SHARED_TABLES.union(Switches::HUGE).union(Switches::HUGE_WRITES);

/// Reads pages everywhere and writes some.
fn use_all(rig: &Host, start: u64) {
    for number in (0..4 * SPAN).step_by(100) {
        rig.load(0, start + number * PAGE_SIZE).expect("a page");
    }
    for number in STORED {
        rig.store(0, start + number * PAGE_SIZE, number as u8 | 1).expect("a frame");
    }
}

#[test]
fn tables_and_blocks_that_objects_show_move_as_pages_do() {
    let options = ModelOptions { cpus: 3, frames: 8192, ..ModelOptions::default() };
    for switches in [Switches::SHARED_TABLES, Switches::HUGE, ALL] {
        for (flags, first, pages, shift) in [
            (FIXED, 0, 4 * SPAN, 0),
            (FIXED, 0, 4 * SPAN, 7),
            (RETAIN, 0, 4 * SPAN, 0),
            (FIXED, 2, 2 * SPAN + 9, 0),
            (RETAIN, 2, 2 * SPAN + 9, 1),
        ] {
            let rig = Host::with(options);
            let object = rig.pattern(0x77);
            map(&rig, &object, HERE, 4 * SPAN, (RW, switches));
            // In the way, and made of spans too.
            map(&rig, &object, THERE, 5 * SPAN, (RW, switches));
            use_all(&rig, HERE);
            use_all(&rig, THERE);
            let [old, new] = [HERE + first * PAGE_SIZE, THERE + shift * PAGE_SIZE];
            let length = pages * PAGE_SIZE;
            let request = RemapRequest { old, old_length: length, new_length: length, flags, new };
            assert_eq!(rig.remap(&request), Ok(new), "{switches:?} {flags:?} {first} {pages}");
            rig.audit();
            for number in (first..first + pages).step_by(50).chain(STORED) {
                if !(first..first + pages).contains(&number) {
                    continue;
                }
                let wanted = if STORED.contains(&number) { number as u8 | 1 } else { 0x77 };
                let at = new + (number - first) * PAGE_SIZE;
                assert_eq!(rig.load(1, at), Ok(wanted), "{switches:?} {flags:?} page {number}");
                let left = rig.load(2, HERE + number * PAGE_SIZE).ok();
                assert_eq!(left, (flags == RETAIN).then_some(0x77));
            }
            rig.store(2, new, 1).expect("a frame");
            rig.audit();
            drop(object);
            rig.finish(options);
        }
    }
}
