//! Pointers to shared tables at their edges: what is taken away from one mapping ends where it ends,
//! and of CPUs that fault below one slot only one points it to a table.

use crate::explored::{self, Race, cpu, explore, on_cpus};
use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig, range};
use std::sync::Arc;
use vellum_abi::{PAGE_SIZE, Protection, Switches};
use vellum_model::{ModelOptions, Single};

type Host = Rig<Single>;

const NEXT: u64 = HERE + 2 * SPAN * PAGE_SIZE;
const TABLES: (Protection, Switches) = (RW, Switches::SHARED_TABLES);

#[test]
fn pointers_of_the_next_mapping_stay_when_access_to_this_one_goes() {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    let operations: [fn(&Host); 2] =
        [|rig| rig.unmap(HERE, 2 * SPAN), |rig| rig.protect(HERE, 2 * SPAN, Protection::NONE)];
    for operate_fn in operations {
        let rig = Host::with(options);
        let (object, other) = (rig.pattern(7), rig.pattern(8));
        map(&rig, &object, HERE, 2 * SPAN, TABLES);
        map(&rig, &other, NEXT, 2 * SPAN, TABLES);
        assert_eq!((rig.load(0, HERE), rig.load(0, NEXT)), (Ok(7), Ok(8)));
        let before = rig.stat();
        assert_eq!(before.faults_table, 2);
        operate_fn(&rig);
        // On a CPU that has not walked there: the pointer itself must be there still.
        assert_eq!(rig.load(1, NEXT), Ok(8));
        assert_eq!(rig.stat().faults_table, 2, "no fault made the pointer again");
        assert!(rig.load(1, HERE).is_err());
        drop((object, other));
        rig.finish(options);
    }
}

#[test]
fn a_load_beside_pages_that_are_in_hand_waits_for_nobody() {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    // Where a table of leaves would do, and where one of pointers would.
    for pages in [2 * SPAN, SPAN * SPAN] {
        let rig = Host::with(options);
        let object = rig.pattern(7);
        map(&rig, &object, HERE, pages, TABLES);
        let change = rig.space.decommit(range(HERE + 5 * PAGE_SIZE, 2));
        assert_eq!(rig.load(0, HERE), Ok(7));
        assert_eq!(rig.stat().faults_read_map, 1, "nothing is shown of what is in hand");
        rig.complete(change);
        assert_eq!(rig.load(1, HERE + 5 * PAGE_SIZE), Ok(7));
        drop(object);
        rig.finish(options);
    }
}

#[test]
fn of_cpus_that_fault_below_one_slot_one_counts_the_pointer() {
    explore(|| {
        let rig = Arc::new(Race::with(explored::options()));
        let object = rig.pattern(7);
        map(&rig, &object, HERE, SPAN, TABLES);
        map(&rig, &object, NEXT, SPAN, TABLES);
        drop(object);
        // Makes the shared table and the tables above it.
        assert_eq!(rig.load(0, HERE), Ok(7));
        let before = rig.stat().faults_table;
        let load = |rig: &Race, cpu: usize| assert_eq!(rig.load(cpu, NEXT), Ok(7));
        on_cpus(vec![cpu(&rig, load), cpu(&rig, load)]);
        assert_eq!(rig.stat().faults_table - before, 1);
        explored::finish(rig);
    });
}
