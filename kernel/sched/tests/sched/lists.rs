//! Lists and queues against a plain vector.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use vellum_model::{Single, SpinMutex};
use vellum_sched::{Crowd, Found, Link, List, Member, Priority, Queued, Ready, Share, Task};

/// A member of lists and queues that is nothing else.
pub(crate) struct Item {
    pub(crate) number: usize,
    priority: Priority,
    pub(crate) share: usize,
    cpu: AtomicUsize,
    link: Link<SpinMutex<Single>, Arc<Item>>,
}

impl Item {
    pub(crate) fn new(number: usize, priority: Priority, share: usize) -> Item {
        Item { number, priority, share, cpu: AtomicUsize::new(0), link: Link::new() }
    }
}

impl Member<Queued> for Item {
    type Handle = Arc<Item>;
    type Mutex = SpinMutex<Single>;

    fn link(&self) -> &Link<SpinMutex<Single>, Arc<Item>> {
        &self.link
    }
}

impl Task for Item {
    fn priority(&self) -> Priority {
        self.priority
    }

    fn share(&self) -> Share {
        Share::new(self.share).expect("a share")
    }

    fn cpu(&self) -> &AtomicUsize {
        &self.cpu
    }
}

fn items(count: usize, priority_fn: impl Fn(usize) -> u64) -> Vec<Arc<Item>> {
    let make = |number| {
        let priority = Priority::new(priority_fn(number)).expect("a priority");
        Arc::new(Item::new(number, priority, 0))
    };
    (0..count).map(make).collect()
}

/// Numbers that look random and are the same each time.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1_u64;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn lists_do_what_a_vector_does() {
    let items = items(9, |_| 0);
    let mut random = numbers();
    let mut lists = [List::<Item, Queued>::new(), List::new()];
    let mut vectors = [VecDeque::new(), VecDeque::new()];
    for _ in 0..20_000 {
        let (number, list) = (random(9), random(2));
        let is_free = vectors.iter().all(|vector| !vector.contains(&number));
        match random(5) {
            0 if is_free => {
                lists[list].push_back(items[number].clone());
                vectors[list].push_back(number);
            }
            1 if is_free => {
                lists[list].push_front(items[number].clone());
                vectors[list].push_front(number);
            }
            2 => {
                let popped = lists[list].pop_front().map(|item| item.number);
                assert_eq!(popped, vectors[list].pop_front());
            }
            3 => {
                let place = vectors[list].iter().position(|other| *other == number);
                assert_eq!(lists[list].remove(&items[number]), place.is_some());
                place.map(|place| vectors[list].remove(place));
            }
            4 if is_free => {
                let exchanged = lists[list].exchange_only(items[number].clone());
                let exchanged = exchanged.map(|item| item.number).map_err(|item| item.number);
                if vectors[list].len() == 1 {
                    assert_eq!(exchanged, Ok(vectors[list][0]));
                    vectors[list][0] = number;
                } else {
                    assert_eq!(exchanged, Err(number));
                }
            }
            _ => {}
        }
        assert_eq!(lists[list].is_empty(), vectors[list].is_empty());
        assert_eq!(lists[list].first().map(|item| item.number), vectors[list].front().copied());
    }
    lists.iter_mut().for_each(|list| while list.pop_front().is_some() {});
    assert!(items.iter().all(|item| Arc::strong_count(item) == 1), "a list keeps who left");
}

#[test]
fn the_most_urgent_comes_first_and_equals_in_order() {
    let items = items(6, |number| [4, 31, 0, 31, 4, 0][number]);
    let mut ready = Box::new(Ready::<Item>::new());
    let pushed: Vec<_> = items.iter().map(|item| ready.push(item.clone()).number()).collect();
    assert_eq!(pushed, [4, 31, 0, 31, 4, 0]);
    assert!(ready.remove(&items[4]) && !ready.remove(&items[4]));
    ready.push_first(items[4].clone());
    let mut order = Vec::new();
    while let Some(item) = ready.pop() {
        order.push(item.number);
    }
    assert_eq!(order, [1, 3, 4, 0, 2, 5]);
    assert_eq!((ready.top(), ready.present()), (None, 0));
}

#[test]
fn a_search_looks_once_at_everybody_who_was_there() {
    let items = items(12, |_| 0);
    let mut random = numbers();
    for _ in 0..2000 {
        let mut crowd = Crowd::<Item, Queued>::new();
        let mut here: Vec<usize> = (0..8).collect();
        here.iter().for_each(|number| crowd.push_back(items[*number].clone()));
        let searches = [random(2), random(2)];
        // What each search looks for: even or odd numbers, and whom it must find unless they leave before.
        let mut wanted =
            searches.map(|kind| here.iter().copied().filter(|n| n % 2 == kind).collect());
        let mut found: [Vec<usize>; 2] = Default::default();
        (0..2).for_each(|cpu| crowd.begin(cpu));
        let mut over = [false; 2];
        while over != [true; 2] {
            let (cpu, number) = (random(2), random(12));
            match random(4) {
                0 => {
                    let was_here = here.contains(&number);
                    assert_eq!(crowd.remove_if(&items[number], || true), was_here);
                    here.retain(|other| *other != number);
                    wanted
                        .iter_mut()
                        .for_each(|list: &mut Vec<usize>| list.retain(|n| *n != number));
                }
                1 if !here.contains(&number) => {
                    crowd.push_back(items[number].clone());
                    here.push(number);
                }
                _ if over[cpu] => {}
                _ => {
                    match crowd.step(cpu, 1 + random(3), |item| item.number % 2 == searches[cpu]) {
                        Found::One(item) => {
                            here.retain(|other| *other != item.number);
                            found[cpu].push(item.number);
                            // Somebody who came again counts for nobody who was there.
                            wanted.iter_mut().for_each(|list| list.retain(|n| *n != item.number));
                        }
                        Found::NotYet => {}
                        Found::Nobody => {
                            over[cpu] = true;
                            assert_eq!(wanted[cpu], [], "who was there is found");
                            crowd.end(cpu);
                        }
                    }
                }
            }
        }
        here.iter().for_each(|number| assert!(crowd.remove_if(&items[*number], || true)));
        assert!(items.iter().all(|item| Arc::strong_count(item) == 1), "a search keeps who left");
    }
}

#[test]
fn a_search_ends_whoever_comes_meanwhile() {
    let items = items(3, |_| 0);
    let mut crowd = Crowd::<Item, Queued>::new();
    items.iter().for_each(|item| crowd.push_back(item.clone()));
    crowd.begin(0);
    let mut looks = 0;
    while !matches!(crowd.step(0, 1, |_| false), Found::Nobody) {
        looks += 1;
        // Whoever was looked at leaves and comes again.
        let item = &items[(looks - 1) % 3];
        assert!(crowd.remove_if(item, || true));
        crowd.push_back(item.clone());
    }
    assert_eq!(looks, 3);
    items.iter().for_each(|item| assert!(crowd.remove_if(item, || true)));
}
