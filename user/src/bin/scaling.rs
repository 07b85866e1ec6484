//! Do faults on two CPUs wait for each other, and how many are there in a second?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::figures::Figure;
use vellum_user::scaling::{OTHER, Scaled, one_process, other_process, two_processes, two_threads};
use vellum_user::{Arguments, println, system, testing};

vellum_user::entry!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let (Some(OTHER), Some(word)) = (arguments.at(0), arguments.at(1)) {
        return other_process(word);
    }
    testing::warm();
    let figures = arguments.has("figures");
    println!("Fresh faults: waits for locks, and faults a second by the clock of the machine.");
    print("one_process", one_process()?, figures);
    if system::cpus() > 1 {
        print("two_processes", two_processes()?, figures);
        print("two_threads", two_threads()?, figures);
    }
    Ok(())
}

fn print(case: &str, scaled: Scaled, figures: bool) {
    let Scaled { faults, lock_waits, .. } = scaled;
    let rate = scaled.faults_per_second();
    println!("{case:<16}{faults:>10} faults{lock_waits:>8} waits{rate:>12} a second");
    if figures {
        let (bench, suffix) = ("scaling", system::figure_suffix());
        for (metric, unit, value) in
            [("lock_wait", "acquisitions", lock_waits), ("faults_per_second", "faults/s", rate)]
        {
            println!("{}", Figure { bench, case, suffix, metric, unit, value });
        }
    }
}
