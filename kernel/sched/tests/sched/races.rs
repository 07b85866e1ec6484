//! No wake-up is lost, nobody waits beside an idle CPU, and the more urgent goes first.

use crate::machine::{After, Body, System, Thread};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Runs a race under random schedules and under schedules with few, far-reaching preemptions.
pub(crate) fn explore(race_fn: fn()) {
    let number = std::env::var("VELLUM_MODEL_SCHEDULES").ok().and_then(|text| text.parse().ok());
    let count = number.unwrap_or(4000);
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 20;
        config
    };
    Runner::new(RandomScheduler::new_from_seed(1, count), config()).run(race_fn);
    Runner::new(PctScheduler::new_from_seed(1, 3, count), config()).run(race_fn);
}

/// A thread that is done at once, and counts.
fn counting(count: &Arc<AtomicUsize>) -> Body {
    let count = count.clone();
    Box::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        After::Ends
    })
}

/// A thread that raises a flag and is done.
fn raising(flag: &Arc<AtomicBool>) -> Body {
    let flag = flag.clone();
    Box::new(move |_, _| {
        flag.store(true, Ordering::SeqCst);
        After::Ends
    })
}

#[test]
fn every_thread_that_is_made_ready_runs() {
    explore(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let system = System::new(3, 4);
        let others: Vec<_> = (0..3).map(|_| System::thread(16, 1, counting(&count))).collect();
        let waking: Body = Box::new(move |system, _| {
            others.iter().for_each(|thread| system.cpus.make_ready(thread.clone()));
            After::Ends
        });
        system.run(vec![System::thread(16, 0, waking)]);
        assert_eq!(count.load(Ordering::SeqCst), 3);
    });
}

/// Two threads that wake each other in turns, each going to wait before it knows that it was woken.
#[test]
fn two_threads_that_wake_each_other_never_both_sleep() {
    explore(|| {
        let system = System::new(2, 2);
        let pair: Arc<[OnceLock<Arc<Thread>>; 2]> = Arc::default();
        let body = |own: usize| -> Body {
            let (pair, turns) = (pair.clone(), AtomicUsize::new(0));
            Box::new(move |system, _| {
                let turn = turns.fetch_add(1, Ordering::SeqCst);
                if let Some(other) = pair[1 - own].get().filter(|_| turn < 2 || own == 0) {
                    system.cpus.make_ready(other.clone());
                }
                if turn == 2 { After::Ends } else { After::Waits }
            })
        };
        for own in 0..2 {
            let thread = System::thread(16, own, body(own));
            assert!(pair[own].set(thread).is_ok());
        }
        system.run(vec![pair[0].get().expect("just set").clone()]);
    });
}

/// A thread that never lets go of its CPU until another has run, which was queued behind it.
#[test]
fn nobody_waits_behind_a_busy_cpu_while_another_is_idle() {
    explore(|| {
        let (flag, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let system = System::new(2, 3);
        let second = System::thread(16, 0, raising(&flag));
        let busy: Body = Box::new(move |system, _| {
            system.cpus.make_ready(second.clone());
            while !flag.load(Ordering::SeqCst) {
                shuttle::thread::yield_now();
            }
            After::Ends
        });
        let short = System::thread(16, 0, counting(&count));
        system.run(vec![System::thread(16, 0, busy), short]);
    });
}

/// One CPU: what it runs goes on until the more urgent thread that it made ready has run.
#[test]
fn the_more_urgent_interrupts_what_runs() {
    explore(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let system = System::new(1, 2);
        let urgent = System::thread(17, 0, raising(&flag));
        let woken = AtomicBool::new(false);
        let usual: Body = Box::new(move |system, _| {
            if !woken.swap(true, Ordering::SeqCst) {
                system.cpus.make_ready(urgent.clone());
            }
            while !flag.load(Ordering::SeqCst) {
                if System::interrupted() {
                    return After::Yields;
                }
                shuttle::thread::yield_now();
            }
            After::Ends
        });
        system.run(vec![System::thread(16, 0, usual)]);
    });
}

/// The other way round: what is about to run finds out that something more urgent has just come.
#[test]
fn a_cpu_never_runs_the_less_urgent_of_its_two() {
    explore(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let system = System::new(2, 3);
        let urgent = System::thread(17, 1, raising(&flag));
        let lowered = flag.clone();
        let stubborn: Body = Box::new(move |_, _| {
            while !lowered.load(Ordering::SeqCst) {
                if System::interrupted() {
                    return After::Yields;
                }
                shuttle::thread::yield_now();
            }
            After::Ends
        });
        let seen = flag.clone();
        let waking: Body = Box::new(move |system, _| {
            system.cpus.make_ready(urgent.clone());
            // This CPU has no time to help.
            while !seen.load(Ordering::SeqCst) {
                shuttle::thread::yield_now();
            }
            After::Ends
        });
        system.run(vec![System::thread(16, 1, stubborn), System::thread(16, 0, waking)]);
    });
}

#[test]
fn another_priority_counts_at_once() {
    explore(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let system = System::new(2, 3);
        let patient = System::thread(3, 0, raising(&flag));
        let raised = patient.clone();
        let busy = || -> Body {
            let flag = flag.clone();
            Box::new(move |_, _| {
                while !flag.load(Ordering::SeqCst) {
                    if System::interrupted() {
                        return After::Yields;
                    }
                    shuttle::thread::yield_now();
                }
                After::Ends
            })
        };
        let (other, raise) = (busy(), AtomicBool::new(false));
        let first: Body = Box::new(move |system, thread| {
            if !raise.swap(true, Ordering::SeqCst) {
                system.set_priority(&raised, 20);
            }
            other(system, thread)
        });
        let threads = vec![System::thread(16, 1, busy()), patient, System::thread(16, 0, first)];
        system.run(threads);
    });
}

/// One CPU: what runs is not the most urgent any more once it says so itself.
#[test]
fn a_thread_that_becomes_less_urgent_is_interrupted() {
    explore(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let (system, other) = (System::new(1, 2), raising(&flag));
        let lowering: Body = Box::new(move |system, thread| {
            system.set_priority(thread, 5);
            while !flag.load(Ordering::SeqCst) {
                if System::interrupted() {
                    return After::Yields;
                }
                shuttle::thread::yield_now();
            }
            After::Ends
        });
        system.run(vec![System::thread(16, 0, lowering), System::thread(10, 0, other)]);
    });
}

/// As many threads as CPUs, each of which stays until all are there: all CPUs must come to help, though
/// short work comes between.
#[test]
fn all_cpus_work_while_there_is_work_for_all() {
    explore(|| {
        let (arrived, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let system = System::new(3, 6);
        let staying = || -> Body {
            let arrived = arrived.clone();
            Box::new(move |_, _| {
                arrived.fetch_add(1, Ordering::SeqCst);
                while arrived.load(Ordering::SeqCst) != 3 {
                    shuttle::thread::yield_now();
                }
                After::Ends
            })
        };
        let others = [0, 1].map(|cpu| System::thread(16, cpu, staying()));
        let stay = staying();
        let waking: Body = Box::new(move |system, thread| {
            others.iter().for_each(|other| system.cpus.make_ready(other.clone()));
            stay(system, thread)
        });
        let short = [0, 2, 2].map(|cpu| System::thread(16, cpu, counting(&count)));
        let mut ready = vec![System::thread(16, 0, waking)];
        ready.extend(short);
        system.run(ready);
    });
}

/// A thread goes to another CPU's queue while its priority is raised: there it must not wait at the place
/// of its old one, behind work that lasts until it has run.
#[test]
fn a_thread_on_its_way_takes_its_new_priority_along() {
    explore(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let system = System::new(2, 3);
        let busy = || -> Body {
            let flag = flag.clone();
            Box::new(move |_, _| {
                while !flag.load(Ordering::SeqCst) {
                    if System::interrupted() {
                        return After::Yields;
                    }
                    shuttle::thread::yield_now();
                }
                After::Ends
            })
        };
        let (other, turns, raised) =
            (System::thread(16, 1, busy()), AtomicUsize::new(0), flag.clone());
        let moving: Body = Box::new(move |system, _| {
            if turns.fetch_add(1, Ordering::SeqCst) == 0 {
                system.cpus.make_ready(other.clone());
                return After::Yields;
            }
            raised.store(true, Ordering::SeqCst);
            After::Ends
        });
        let moving = System::thread(4, 0, moving);
        let (stay, raise, target) = (busy(), AtomicBool::new(false), moving.clone());
        let raising: Body = Box::new(move |system, thread| {
            if !raise.swap(true, Ordering::SeqCst) {
                system.set_priority(&target, 20);
            }
            stay(system, thread)
        });
        system.run(vec![System::thread(16, 0, raising), moving]);
    });
}
