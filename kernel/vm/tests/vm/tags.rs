//! Tags as several CPUs see them, and the kernel's own reads and writes of tags.

use crate::explored::{Race, cpu, explore, finish, on_cpus, options};
use crate::support::{HERE, RW, RWT, Rig};
use std::sync::Arc;
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::ops::AccessRefusal;

#[test]
fn row_45_no_cpu_sees_a_page_before_its_tags() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.tagged(7), HERE, 1, RWT);
        let last = HERE + PAGE_SIZE - 16;
        let store = move |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE | (7 << 56), 1).expect("the right tag, and a frame");
        };
        // Each access maps or meets the page at another moment of the other CPU's first write.
        let load = move |rig: &Race, cpu: usize| {
            for _ in 0..3 {
                assert_eq!(rig.load_tag(cpu, last), Ok(7));
                assert_eq!(rig.load(cpu, last | (7 << 56)), Ok(0));
                assert_eq!(rig.load(cpu, last | (8 << 56)), Err(ExitKind::TagCheck));
            }
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, load), cpu(&rig, load)]);
        assert_eq!(rig.load(0, HERE | (7 << 56)), Ok(1));
        finish(rig);
    });
}

#[test]
fn k11_tags_of_one_cpu_survive_the_first_touch_of_another() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.memory(1);
        let flags = MapFlags::FIXED | MapFlags::SHARED;
        // Two views of one page: each CPU is the first to touch its own.
        for view in [HERE, HERE + PAGE_SIZE] {
            rig.try_map(&object, view, 1, RWT, flags).expect("a shared mapping");
        }
        drop(object);
        let touch = |offset: u64, tag: u64| {
            move |rig: &Race, cpu: usize| {
                let at = HERE + (cpu as u64 - 1) * PAGE_SIZE + offset;
                rig.store_tag(cpu, at, tag).expect("a frame");
                rig.store(cpu, at | (tag << 56), tag as u8).expect("the right tag");
                assert_eq!(rig.load_tag(cpu, at), Ok(tag as u8));
            }
        };
        on_cpus(vec![cpu(&rig, touch(0, 5)), cpu(&rig, touch(16, 6))]);
        for view in [HERE, HERE + PAGE_SIZE] {
            assert_eq!((rig.load_tag(0, view), rig.load_tag(0, view + 16)), (Ok(5), Ok(6)));
            assert_eq!(rig.load(0, view | (5 << 56)), Ok(5));
            assert_eq!(rig.load(0, (view + 16) | (6 << 56)), Ok(6));
        }
        finish(rig);
    });
}

#[test]
fn tags_are_read_without_a_frame_and_written_into_a_private_one() {
    let rig = Rig::<Single>::new();
    rig.map(&rig.tagged(7), HERE, 2, RWT);
    let mut tags = [0xff; 4];
    assert_eq!(rig.space.read_tags(HERE + PAGE_SIZE - 32, &mut tags), Ok(Some(2)));
    assert_eq!(tags, [7, 7, 0xff, 0xff]);
    assert_eq!(rig.stat().private_frames, 0);
    assert_eq!(rig.space.write_tags(HERE + PAGE_SIZE - 32, &[1, 2, 3]), Ok(Some(2)));
    assert_eq!(rig.stat().private_frames, 1);
    let got = [48, 32, 16].map(|distance| rig.load_tag(0, HERE + PAGE_SIZE - distance));
    assert_eq!(got, [Ok(7), Ok(1), Ok(2)]);
    // The other page still shows the reference page, whose tags nobody wrote.
    assert_eq!(rig.load_tag(0, HERE + PAGE_SIZE), Ok(7));
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

#[test]
fn tags_of_memory_without_tags_are_refused_and_cost_nothing() {
    let rig = Rig::<Single>::new();
    rig.map(&rig.tagged(7), HERE, 1, RW);
    assert_eq!(rig.space.read_tags(HERE, &mut [0]), Ok(None));
    assert_eq!(rig.space.write_tags(HERE, &[1]), Ok(None));
    assert_eq!(rig.stat().private_frames, 0);
    rig.map(&rig.tagged(7), HERE, 1, Protection::READ | Protection::TAGGED);
    let denied = Err(AccessRefusal::Fault(ExitKind::AccessDenied));
    assert_eq!(rig.space.write_tags(HERE, &[1]), denied);
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}
