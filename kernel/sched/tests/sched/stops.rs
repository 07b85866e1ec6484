//! A wait ends once and by one reason, whoever wakes, interrupts or moves the thread as its time ends.

use crate::machine::Explored;
use crate::races::explore;
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use vellum_model::{Family, SpinMutex};
use vellum_sched::{Link, Member, Queued, Reason, Sleeper, Stop, Timed, Timer, Timers};

type Mutex<T> = lock_api::Mutex<SpinMutex<Explored>, T>;

/// What a thread's wait came to.
const WOKEN: usize = 1;
const TIMED_OUT: usize = 2;
const INTERRUPTED: usize = 3;

struct Sleepy {
    queued: Link<SpinMutex<Explored>, Arc<Sleepy>>,
    timed: Link<SpinMutex<Explored>, Arc<Sleepy>>,
    timer: Timer,
    stop: Stop,
    /// In which place it waits: looked at before that place's lock is taken.
    waiting: Mutex<Option<usize>>,
    /// How the wait ended; 0 while it has not.
    ended: AtomicUsize,
    ends: AtomicUsize,
}

impl Member<Queued> for Sleepy {
    type Handle = Arc<Sleepy>;
    type Mutex = SpinMutex<Explored>;

    fn link(&self) -> &Link<SpinMutex<Explored>, Arc<Sleepy>> {
        &self.queued
    }
}

impl Member<Timed> for Sleepy {
    type Handle = Arc<Sleepy>;
    type Mutex = SpinMutex<Explored>;

    fn link(&self) -> &Link<SpinMutex<Explored>, Arc<Sleepy>> {
        &self.timed
    }
}

impl Sleeper for Sleepy {
    fn timer(&self) -> &Timer {
        &self.timer
    }
}

/// Two places, from the first of which threads may be moved to the second.
struct Scene {
    places: [Mutex<vellum_sched::List<Sleepy, Queued>>; 2],
    timers: Timers<Explored, Sleepy>,
    now: AtomicU64,
    sleepy: Arc<Sleepy>,
}

impl Scene {
    fn new() -> Arc<Scene> {
        let sleepy = Arc::new(Sleepy {
            queued: Link::new(),
            timed: Link::new(),
            timer: Timer::new(),
            stop: Stop::new(),
            waiting: Mutex::new(None),
            ended: AtomicUsize::new(0),
            ends: AtomicUsize::new(0),
        });
        let places = [const { Mutex::new(vellum_sched::List::new()) }; 2];
        Arc::new(Scene { places, timers: Timers::new(), now: AtomicU64::new(0), sleepy })
    }

    fn wait(&self, place: usize, deadline: u64) {
        let now = self.now.load(Ordering::SeqCst);
        let next = self.timers.start(self.sleepy.clone(), now, deadline);
        assert_eq!(next, self.timers.next());
        *self.sleepy.waiting.lock() = Some(place);
        self.places[place].lock().push_back(self.sleepy.clone());
    }

    /// Makes the thread ready.
    fn end(&self, how: usize) {
        self.sleepy.ends.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.sleepy.ended.swap(how, Ordering::SeqCst), 0, "it ended twice");
    }

    /// Waits until the thread is ready, and lets it go on.
    fn go_on(&self) -> usize {
        let how = loop {
            match self.sleepy.ended.swap(0, Ordering::SeqCst) {
                0 => thread::yield_now(),
                how => break how,
            }
        };
        *self.sleepy.waiting.lock() = None;
        if self.sleepy.timer.is_started() {
            self.timers.end(&self.sleepy);
            self.sleepy.stop.forget_time();
        }
        how
    }

    /// Ends the wait if it is to end and the thread is found.
    fn look(&self) {
        let Some(place) = *self.sleepy.waiting.lock() else { return };
        let mut reason = None;
        let taken = self.places[place].lock().remove_if(&self.sleepy, || {
            reason = self.sleepy.stop.take();
            reason.is_some()
        });
        match reason {
            Some(Reason::TimedOut) => self.end(TIMED_OUT),
            Some(Reason::Interrupted) => self.end(INTERRUPTED),
            None => assert!(!taken),
        }
    }

    fn interrupt(&self) -> bool {
        if !self.sleepy.stop.interrupt() {
            return false;
        }
        self.look();
        !self.sleepy.stop.withdraw()
    }

    /// The timer's interrupt: everything that is due.
    fn expire(&self) {
        let now = self.now.load(Ordering::SeqCst);
        while self.timers.step(now, |sleepy| {
            sleepy.stop.time_is_over();
            self.look();
        }) {}
    }

    fn move_to_second(&self) {
        let Some(sleepy) = self.places[0].lock().pop_front() else { return };
        <Explored as Family>::step();
        *sleepy.waiting.lock() = Some(1);
        self.places[1].lock().push_back(sleepy.clone());
        if sleepy.stop.is_asked_for() {
            self.look();
        }
    }

    fn wake(&self, place: usize) -> bool {
        let woken = self.places[place].lock().pop_front();
        woken.inspect(|_| self.end(WOKEN)).is_some()
    }
}

fn others(acts: Vec<Box<dyn FnOnce() + Send>>) -> Vec<thread::JoinHandle<()>> {
    acts.into_iter().map(thread::spawn).collect()
}

/// The first wait has a deadline, and is woken or not; the second has none and must end by a wake-up alone.
#[test]
fn who_is_woken_as_its_time_ends_waits_again_undisturbed() {
    explore(|| {
        let scene = Scene::new();
        scene.wait(0, 1024);
        let (waking, timing) = (scene.clone(), scene.clone());
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        let others = others(vec![
            Box::new(move || {
                count.fetch_add(usize::from(waking.wake(0)), Ordering::SeqCst);
            }),
            Box::new(move || {
                timing.now.store(2048, Ordering::SeqCst);
                timing.expire();
            }),
        ]);
        let first = scene.go_on();
        assert!(first == WOKEN || first == TIMED_OUT);
        assert!(!scene.sleepy.timer.is_started() && !scene.sleepy.stop.is_asked_for());
        *scene.sleepy.waiting.lock() = Some(1);
        scene.places[1].lock().push_back(scene.sleepy.clone());
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(woken.load(Ordering::SeqCst), usize::from(first == WOKEN));
        assert_eq!(scene.sleepy.ended.load(Ordering::SeqCst), 0, "the second wait was ended");
        assert!(scene.wake(1));
        assert_eq!(scene.go_on(), WOKEN);
        assert_eq!(Arc::strong_count(&scene.sleepy), 1);
    });
}

/// A thread on its way from one place to another is found in neither, and its wait ends all the same.
#[test]
fn no_deadline_is_lost_on_the_way() {
    explore(|| {
        let scene = Scene::new();
        scene.wait(0, 1024);
        let (moving, timing) = (scene.clone(), scene.clone());
        let others = others(vec![
            Box::new(move || moving.move_to_second()),
            Box::new(move || {
                timing.now.store(1024, Ordering::SeqCst);
                timing.expire();
            }),
        ]);
        assert_eq!(scene.go_on(), TIMED_OUT);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(Arc::strong_count(&scene.sleepy), 1);
    });
}

/// Two interrupters, a move, a wake-up and a deadline: one of them ends the wait, and interrupters know
/// whether it was one of them.
#[test]
fn interrupters_know_whether_they_were_heard() {
    explore(|| {
        let scene = Scene::new();
        scene.wait(0, 1024);
        let heard = Arc::new(AtomicUsize::new(0));
        let interrupter = || -> Box<dyn FnOnce() + Send> {
            let (scene, heard) = (scene.clone(), heard.clone());
            Box::new(move || {
                heard.fetch_add(usize::from(scene.interrupt()), Ordering::SeqCst);
            })
        };
        let (moving, timing) = (scene.clone(), scene.clone());
        let others = others(vec![
            interrupter(),
            interrupter(),
            Box::new(move || {
                moving.move_to_second();
                moving.wake(1);
            }),
            Box::new(move || {
                timing.now.store(1024, Ordering::SeqCst);
                timing.expire();
            }),
        ]);
        let how = scene.go_on();
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(heard.load(Ordering::SeqCst), usize::from(how == INTERRUPTED));
        assert_eq!(scene.sleepy.ends.load(Ordering::SeqCst), 1);
        assert!(!scene.sleepy.stop.is_asked_for());
    });
}
