//! Several virtual CPUs at once: every act of the machine and every access of a program is a point
//! where another CPU may go on, and an explorer picks who.
//!
//! `VELLUM_MODEL_SCHEDULES` sets how many schedules of each race are tried. A failure prints the
//! schedule, which `shuttle::replay` runs again.

use crate::explore::setting;
use crate::support::{Rig, Space};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, Runner, thread};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vellum_model::{Family, Model, ModelOptions};
use vellum_vm::error::Refusal;
use vellum_vm::ops::Change;

/// Virtual CPUs that an explorer interleaves, one a thread.
pub(crate) struct Explored;

/// How often a CPU met a leaf that another was about to publish.
pub(crate) static BUSY: AtomicU64 = AtomicU64::new(0);

shuttle::thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
}

impl Family for Explored {
    fn cpu() -> usize {
        CPU.with(Cell::get)
    }

    fn step() {
        thread::sleep(std::time::Duration::ZERO);
    }

    fn wait() {
        thread::yield_now();
    }

    fn busy() {
        BUSY.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
    }
}

pub(crate) type Race = Rig<Explored>;

pub(crate) fn options() -> ModelOptions {
    ModelOptions { frames: 64, fixed_frames: 0, cpus: 4, ..ModelOptions::default() }
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.failure_persistence = FailurePersistence::Print;
    config
}

/// Runs a race under random schedules and under schedules with few, far-reaching preemptions.
pub(crate) fn explore(race_fn: fn()) {
    let (count, seed) = (setting("VELLUM_MODEL_SCHEDULES", 400), setting("VELLUM_MODEL_SEED", 1));
    let random = RandomScheduler::new_from_seed(seed, count as usize);
    Runner::new(random, config()).run(race_fn);
    let few = PctScheduler::new_from_seed(seed, 3, count as usize);
    Runner::new(few, config()).run(race_fn);
}

/// Runs each closure as a CPU of its number plus one, and waits for all.
pub(crate) fn on_cpus(bodies: Vec<Box<dyn FnOnce(usize) + Send>>) {
    let threads: Vec<_> = bodies
        .into_iter()
        .enumerate()
        .map(|(index, body)| {
            thread::spawn(move || {
                CPU.with(|cpu| cpu.set(index + 1));
                body(index + 1);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a CPU that did not panic"));
}

pub(crate) fn cpu(
    rig: &Arc<Race>,
    body_fn: impl FnOnce(&Race, usize) + Send + 'static,
) -> Box<dyn FnOnce(usize) + Send> {
    let rig = rig.clone();
    Box::new(move |cpu| body_fn(&rig, cpu))
}

/// Begins a change as often as it is refused because of another, and completes it.
pub(crate) fn change<C: Into<Option<Change<Model<Explored>>>>>(
    rig: &Race,
    begin_fn: impl Fn(&Space<Explored>) -> Result<C, Refusal>,
) -> Result<(), Refusal> {
    loop {
        match begin_fn(&rig.space) {
            Ok(change) => {
                rig.complete(Ok(change));
                return Ok(());
            }
            Err(Refusal::Changing) => Explored::wait(),
            Err(refusal) => return Err(refusal),
        }
    }
}

pub(crate) fn finish(rig: Arc<Race>) {
    Arc::into_inner(rig).expect("the last owner").finish(options());
}
