//! K4, K5: do stores stay apart over a clone of a clone of a clone, at one fault each?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::fork::fork;
use vellum_user::{Arguments, Mapping, check, mapping::PAGE, testing};

vellum_user::test!(main);

const GENERATIONS: u8 = 4;

fn main(_: &Arguments) -> Result<(), Error> {
    let page = Mapping::anonymous(PAGE)?;
    page.write(0, 100);
    check!("warm-up", descend(&page, GENERATIONS)?, 0);
    let before = testing::stat();
    check!("a chain of clones", descend(&page, 0)?, 0);
    check!("what the first one sees", page.read(0), 100);
    let change = testing::Change::between(&before, &testing::stat());
    check!("frames", change.free_frames, 0);
    check!("processes", change.processes_live, 0);
    Ok(())
}

/// Clones itself until there are enough generations, each of which stores its own number.
fn descend(page: &Mapping, generation: u8) -> Result<u64, Error> {
    let clone = fork(|| {
        let seen = page.read(0);
        let mine = generation + 1;
        // Once without the store: the stack is clean in a clone too, wherever its pages meet.
        let [_, change] = [false, true].map(|stores| {
            testing::measure(|| {
                if stores {
                    page.write(0, mine);
                }
            })
        });
        let below = if mine < GENERATIONS { descend(page, mine).unwrap_or(50) } else { 0 };
        match (seen, change.faults(), page.read(0), below) {
            (_, 1, now, 0)
                if now == mine && seen == if generation == 0 { 100 } else { generation } =>
            {
                0
            }
            (_, 1, now, 0) if now == mine && generation == GENERATIONS => 0,
            (seen, faults, _, below) => 1000 + u64::from(seen) * 10 + faults as u64 + below,
        }
    })?;
    Ok(clone.wait()?.status)
}
