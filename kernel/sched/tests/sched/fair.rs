//! Nobody who waits for a fair lock is passed by who comes later, and it excludes.

use crate::machine::Explored;
use crate::races::explore;
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use vellum_model::Family;
use vellum_sched::fair::{FairLock, Waiting};

impl Waiting for Explored {
    fn step() {
        <Explored as Family>::step();
    }

    fn wait() {
        <Explored as Family>::wait();
    }
}

/// A lock, and who is in.
#[derive(Default)]
struct Room {
    lock: FairLock<Explored>,
    sharers: AtomicUsize,
    owners: AtomicUsize,
    /// How often somebody had it for himself.
    turns: AtomicUsize,
    entries: AtomicUsize,
}

impl Room {
    fn share(&self, in_fn: impl FnOnce()) {
        if !self.lock.try_share() {
            self.lock.share_in_turn();
        }
        self.entries.fetch_add(1, Ordering::SeqCst);
        self.sharers.fetch_add(1, Ordering::SeqCst);
        <Explored as Family>::step();
        assert_eq!(self.owners.load(Ordering::SeqCst), 0, "somebody has it for himself");
        in_fn();
        self.sharers.fetch_sub(1, Ordering::SeqCst);
        self.lock.end_sharing();
    }

    fn take(&self, in_fn: impl FnOnce()) {
        if !self.lock.try_take() {
            self.lock.take_in_turn();
        }
        in_fn();
        self.entries.fetch_add(1, Ordering::SeqCst);
        self.turns.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.owners.fetch_add(1, Ordering::SeqCst), 0, "two have it");
        <Explored as Family>::step();
        assert_eq!(self.sharers.load(Ordering::SeqCst), 0, "somebody shares it");
        self.owners.fetch_sub(1, Ordering::SeqCst);
        self.lock.let_go();
    }
}

fn run(bodies: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = bodies.into_iter().map(thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

#[test]
fn who_shares_a_lock_passes_nobody_who_waits_for_it() {
    explore(|| {
        let (room, passed) = (Arc::new(Room::default()), Arc::new(AtomicBool::new(false)));
        let reader = || -> Box<dyn FnOnce() + Send> {
            let room = room.clone();
            Box::new(move || {
                for _ in 0..3 {
                    let waited = room.lock.is_waited_for();
                    // There is one, who takes it once.
                    room.share(|| assert!(!waited || room.turns.load(Ordering::SeqCst) == 1));
                }
            })
        };
        let (writer, was_in) = (room.clone(), passed.clone());
        let take = move || writer.take(|| was_in.store(true, Ordering::SeqCst));
        run(vec![reader(), reader(), Box::new(take)]);
        assert!(passed.load(Ordering::SeqCst) && !room.lock.is_waited_for());
    });
}

#[test]
fn who_takes_a_lock_passes_nobody_who_waits_for_it() {
    explore(|| {
        let room = Arc::new(Room::default());
        let writer = || -> Box<dyn FnOnce() + Send> {
            let room = room.clone();
            Box::new(move || {
                for _ in 0..3 {
                    let before = room.entries.load(Ordering::SeqCst);
                    let waited = room.lock.is_waited_for();
                    room.take(|| {
                        let since = room.entries.load(Ordering::SeqCst) - before;
                        assert!(!waited || since > 0, "who waited comes first");
                    });
                }
            })
        };
        let reader = room.clone();
        let share = move || (0..2).for_each(|_| reader.share(|| {}));
        run(vec![writer(), writer(), Box::new(share)]);
        assert_eq!(room.entries.load(Ordering::SeqCst), 8);
        assert!(!room.lock.is_waited_for());
    });
}
