//! Shares take turns, whatever number of threads each has, and nobody waits longer than that.

use crate::lists::Item;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::VecDeque;
use std::sync::Arc;
use vellum_sched::{Priority, Ready};

/// Threads of shares of these sizes.
fn items(sizes: &[usize]) -> Vec<Arc<Item>> {
    let shares = sizes.iter().enumerate().flat_map(|(share, size)| vec![share; *size]);
    let make = |(number, share)| Arc::new(Item::new(number, Priority::USUAL, share));
    shares.enumerate().map(make).collect()
}

#[test]
fn shares_take_turns_and_so_do_the_threads_of_each() {
    let items = items(&[1, 7, 30]);
    let mut ready = Box::new(Ready::<Item>::new());
    items.iter().for_each(|item| _ = ready.push(item.clone()));
    let mut running = ready.pop().expect("a thread");
    let mut turns = vec![0; items.len()];
    for turn in 0..3 * 210 {
        assert_eq!(running.share, turn % 3, "one turn each");
        turns[running.number] += 1;
        running = ready.rotate(running);
    }
    assert!(turns[0] == 210 && turns[1..8] == [30; 7] && turns[8..] == [7; 30], "{turns:?}");
}

#[test]
fn the_rest_of_a_turn_takes_none_from_others() {
    let items = items(&[2, 1]);
    let mut ready = Box::new(Ready::<Item>::new());
    items.iter().for_each(|item| _ = ready.push(item.clone()));
    let mut order = Vec::new();
    let first = ready.pop().expect("a thread");
    // Something more urgent came; then the other of the share is in its place already.
    ready.push_first(first);
    while let Some(item) = ready.pop() {
        order.push(item.number);
    }
    assert_eq!(order, [0, 2, 1]);
}

/// What may happen to a queue.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The thread of this number becomes ready.
    Ready(usize),
    /// The turn of what runs is over.
    Rotate,
    /// What runs waits.
    Wait,
    /// Something more urgent comes.
    Preempt,
    /// The thread of this number changes its priority: out and in again.
    Change(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        any::<usize>().prop_map(Act::Ready),
        Just(Act::Rotate),
        Just(Act::Wait),
        Just(Act::Preempt),
        any::<usize>().prop_map(Act::Change),
    ];
    vec(act, 1..400)
}

/// The same in words: the threads of each share in order of arrival, and for each share that has some how
/// many turns others have had since it had one.
struct Watch {
    waiting: Vec<VecDeque<usize>>,
    passed: Vec<Vec<usize>>,
    /// Who goes on before all others.
    first: Vec<usize>,
}

impl Watch {
    fn new(shares: usize) -> Watch {
        let waiting = vec![VecDeque::new(); shares];
        Watch { waiting, passed: vec![vec![0; shares]; shares], first: Vec::new() }
    }

    fn holds(&self, number: usize) -> bool {
        self.first.contains(&number) || self.waiting.iter().any(|share| share.contains(&number))
    }

    fn add(&mut self, item: &Item) {
        if self.waiting[item.share].is_empty() {
            self.passed[item.share].fill(0);
        }
        self.waiting[item.share].push_back(item.number);
    }

    fn remove(&mut self, item: &Item) {
        if let Some(place) = self.first.iter().position(|number| *number == item.number) {
            self.first.remove(place);
        } else {
            let before = self.waiting[item.share].front().copied();
            self.waiting[item.share].retain(|number| *number != item.number);
            if before == Some(item.number) {
                // The next one begins at the end.
                self.passed[item.share].fill(0);
            }
        }
    }

    /// Notes whose turn it is; returns what is wrong with that.
    fn turn(&mut self, item: &Item) -> Result<(), String> {
        if let Some(first) = self.first.pop() {
            return if first == item.number { Ok(()) } else { Err("not who was first".into()) };
        }
        if self.waiting[item.share].pop_front() != Some(item.number) {
            return Err("not the first of its share".into());
        }
        self.passed[item.share].fill(0);
        for (share, passed) in self.passed.iter_mut().enumerate() {
            if share != item.share && !self.waiting[share].is_empty() {
                passed[item.share] += 1;
                if passed[item.share] > 1 {
                    return Err(format!("{} had two turns while {share} waited", item.share));
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn nobody_waits_for_two_turns_of_another_share(
        sizes in vec(1_usize..9, 1..6),
        acts in acts(),
    ) {
        let items = items(&sizes);
        let mut ready = Box::new(Ready::<Item>::new());
        let mut watch = Watch::new(sizes.len());
        let mut running: Option<Arc<Item>> = None;
        for act in acts {
            let is_running = |number| running.as_ref().is_some_and(|item| item.number == number);
            let pick = |number: usize| &items[number % items.len()];
            match act {
                Act::Ready(number) => {
                    let item = pick(number);
                    if !is_running(item.number) && !watch.holds(item.number) {
                        ready.push(item.clone());
                        watch.add(item);
                    }
                }
                Act::Rotate => if let Some(item) = running.take() {
                    let was_alone = ready.top().is_none();
                    let next = ready.rotate(item.clone());
                    if was_alone {
                        prop_assert_eq!(next.number, item.number);
                    } else {
                        prop_assert_eq!(watch.turn(&next), Ok(()));
                        watch.add(&item);
                    }
                    running = Some(next);
                },
                Act::Wait => running = None,
                Act::Preempt => if let Some(item) = running.take() {
                    watch.first.push(item.number);
                    ready.push_first(item);
                },
                Act::Change(number) => {
                    let item = pick(number);
                    prop_assert_eq!(ready.remove(item), watch.holds(item.number));
                    if watch.holds(item.number) {
                        watch.remove(item);
                        ready.push(item.clone());
                        watch.add(item);
                    }
                }
            }
            if running.is_none() {
                running = ready.pop();
                if let Some(item) = &running {
                    prop_assert_eq!(watch.turn(item), Ok(()));
                }
            }
            let holds_any = items.iter().any(|item| watch.holds(item.number));
            prop_assert_eq!(ready.top().is_some(), holds_any);
        }
        drop(running);
        while ready.pop().is_some() {}
        prop_assert!(items.iter().all(|item| Arc::strong_count(item) == 1));
    }
}
