//! The wheel of timers against a plain list of deadlines.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof};
use proptest::proptest;
use proptest::test_runner::{Config, RngSeed};
use std::cell::RefCell;
use std::sync::Arc;
use vellum_model::{Single, SpinMutex};
use vellum_sched::{Link, Machine, Member, Sleeper, Timed, Timer, Timers};

/// Nanoseconds of a unit: how late the wheel may be.
const UNIT: u64 = 1024;
const ITEMS: usize = 12;

struct Item {
    number: usize,
    link: Link<SpinMutex<Single>, Arc<Item>>,
    timer: Timer,
}

impl Member<Timed> for Item {
    type Handle = Arc<Item>;
    type Mutex = SpinMutex<Single>;

    fn link(&self) -> &Link<SpinMutex<Single>, Arc<Item>> {
        &self.link
    }
}

impl Sleeper for Item {
    fn timer(&self) -> &Timer {
        &self.timer
    }
}

struct OneCpu;

impl Machine for OneCpu {
    type Mutex = SpinMutex<Single>;

    fn this_cpu() -> usize {
        0
    }

    fn interrupt(_: usize) {}

    fn begin_slice() {}
}

/// The wheel, and what it should do.
struct Pair {
    timers: Timers<OneCpu, Item>,
    items: Vec<Arc<Item>>,
    /// Of each item whose timer runs, its deadline and when it was started.
    naive: Vec<Option<(u64, u64)>>,
    now: u64,
    starts: u64,
}

/// A deadline in the units of the wheel.
fn unit(deadline: u64) -> u64 {
    deadline.div_ceil(UNIT).clamp(1, u64::MAX / UNIT)
}

impl Pair {
    fn new(now: u64) -> Pair {
        let make = |number| Arc::new(Item { number, link: Link::new(), timer: Timer::new() });
        let items = (0..ITEMS).map(make).collect();
        Pair { timers: Timers::new(), items, naive: vec![None; ITEMS], now, starts: 0 }
    }

    fn start(&mut self, number: usize, deadline: u64) {
        if self.naive[number].is_none() && !self.items[number].timer.is_started() {
            self.starts += 1;
            self.naive[number] = Some((deadline, self.starts));
            let next = self.timers.start(self.items[number].clone(), self.now, deadline);
            assert_eq!(next, self.timers.next());
        }
        self.check_next();
    }

    fn end(&mut self, number: usize) {
        if self.items[number].timer.is_started() {
            self.timers.end(&self.items[number]);
            self.naive[number] = None;
        }
        assert!(!self.items[number].timer.is_started());
        self.check_next();
    }

    /// Lets time pass, with at most `steps` steps. Whoever went on does so before the next call.
    fn pass(&mut self, to: u64, steps: usize) {
        self.now = self.now.max(to);
        let over = RefCell::new(Vec::new());
        let mut more = true;
        for _ in 0..steps {
            more = self.timers.step(self.now, |item| over.borrow_mut().push(item.number));
            if !more {
                break;
            }
        }
        for number in over.into_inner() {
            let (deadline, _) = self.naive[number].take().expect("a timer that was started");
            assert!(deadline.min(u64::MAX - UNIT) <= self.now, "early");
            self.timers.end(&self.items[number]);
        }
        if !more {
            let late = self
                .naive
                .iter()
                .flatten()
                .find(|(deadline, _)| unit(*deadline) <= self.now / UNIT);
            assert_eq!(late, None, "late");
        }
        self.check_next();
    }

    /// What the wheel says comes next comes no later than the first deadline, or is past.
    fn check_next(&self) {
        let first = self.naive.iter().flatten().map(|(deadline, _)| unit(*deadline)).min();
        let next = self.timers.next();
        assert_eq!(next.is_none(), first.is_none());
        if let (Some(next), Some(first)) = (next, first) {
            assert!(next <= self.now.max(first * UNIT), "{next} after {first}");
        }
    }

    /// Ends every timer by going from one moment to the next that the wheel asks for. Returns in which
    /// order they ended, and how many such moments there were.
    fn drain(&mut self) -> (Vec<usize>, usize) {
        let order = RefCell::new(Vec::new());
        let mut looks = 0;
        while let Some(next) = self.timers.next() {
            looks += 1;
            self.now = self.now.max(next);
            while self.timers.step(self.now, |item| order.borrow_mut().push(item.number)) {}
            assert!(looks < 1000, "the wheel stands still");
        }
        (order.into_inner(), looks)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for item in self.items.iter().filter(|_| !std::thread::panicking()) {
            if item.timer.is_started() {
                self.timers.end(item);
            }
            assert_eq!(Arc::strong_count(item), 1, "the wheel keeps who left");
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Start(usize, u64),
    End(usize),
    Pass(u64, usize),
}

/// Spans of time of every magnitude.
fn span() -> impl Strategy<Value = u64> {
    (0..=63_u32, any::<u64>()).prop_map(|(shift, word)| word >> shift)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..ITEMS, span()).prop_map(|(item, span)| Act::Start(item, span)),
        1 => (0..ITEMS).prop_map(Act::End),
        3 => (span(), prop_oneof![1..4_usize, Just(1000)]).prop_map(|(span, steps)| {
            // Seldom farther than most deadlines are.
            Act::Pass(span >> 8, steps)
        }),
    ]
}

proptest! {
    #![proptest_config(Config {
        cases: 3000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn the_wheel_does_what_a_list_does(boot in span(), acts in prop::collection::vec(act(), 0..80)) {
        let mut pair = Pair::new(boot >> 2);
        for act in acts {
            match act {
                Act::Start(item, span) => pair.start(item, pair.now.saturating_add(span)),
                Act::End(item) => pair.end(item),
                Act::Pass(span, steps) => pair.pass(pair.now.saturating_add(span), steps),
            }
        }
    }

    #[test]
    fn threads_end_in_the_order_of_their_deadlines(
        boot in span(), spans in prop::collection::vec(span(), ITEMS),
    ) {
        let mut pair = Pair::new(boot >> 2);
        let deadlines: Vec<_> = spans.iter().map(|span| pair.now.saturating_add(*span)).collect();
        deadlines.iter().enumerate().for_each(|(item, deadline)| pair.start(item, *deadline));
        let (order, looks) = pair.drain();
        prop_assert_eq!(order.len(), ITEMS);
        prop_assert!(order.is_sorted_by_key(|item| unit(deadlines[*item])));
        // Nine ways down at most for each.
        prop_assert!(looks <= 9 * ITEMS);
    }
}

#[test]
fn a_deadline_that_is_over_counts_at_once() {
    let mut pair = Pair::new(1 << 40);
    for (item, deadline) in [0, 5, 1 << 39, 1 << 40].into_iter().enumerate() {
        pair.start(item, deadline);
    }
    pair.pass(1 << 40, 4);
    assert_eq!(pair.timers.next(), None);
}

#[test]
fn the_last_moment_of_all_can_be_waited_for() {
    let mut pair = Pair::new(0);
    for (item, before) in [0, 1, UNIT - 1, UNIT, UNIT + 1, u64::MAX].into_iter().enumerate() {
        pair.start(item, u64::MAX - before);
    }
    pair.pass(u64::MAX / 2, 1000);
    pair.pass(u64::MAX, 1000);
    assert_eq!(pair.timers.next(), None);
}

/// A crowd whose time ends at once is told of it one by one, and a nearer one that comes meanwhile has its
/// turn too.
#[test]
fn a_crowd_is_told_step_by_step() {
    let mut pair = Pair::new(0);
    (0..ITEMS - 1).for_each(|item| pair.start(item, 1_000_000_000));
    pair.pass(999_999_000, 1);
    pair.pass(1_000_000_000, 3);
    pair.start(ITEMS - 1, 1_000_000_500);
    for _ in 0..4 * ITEMS {
        pair.pass(1_000_001_024, 1);
    }
    assert_eq!(pair.timers.next(), None);
}

/// Who leaves the slot that the wheel has come to leaves it closed if it was the last.
#[test]
fn the_last_of_an_open_slot_may_leave_it() {
    let mut pair = Pair::new(0);
    (0..3).for_each(|item| pair.start(item, 100 * UNIT));
    pair.start(3, 200 * UNIT);
    pair.pass(99 * UNIT, 1);
    (0..3).for_each(|item| pair.end(item));
    pair.pass(199 * UNIT, 1000);
    assert!(pair.naive[3].is_some());
    pair.pass(200 * UNIT, 1000);
    assert_eq!(pair.timers.next(), None);
}
