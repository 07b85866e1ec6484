//! A Linux program that knows nothing of Vellum: it prints, allocates small and large, forks, waits and
//! exits with a status. Whatever runs it must look to it like Linux.

use std::io::Write as _;

unsafe extern "C" {
    safe fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    safe fn getpid() -> i32;
    safe fn _exit(status: i32) -> !;
}

/// Bytes that no allocator takes from a heap of small blocks.
const LARGE: usize = 4 << 20;

fn main() {
    println!("hello from Linux, {} arguments", std::env::args().count());
    let words: Vec<String> = (0..1000).map(|number| format!("word {number}")).collect();
    println!("small: {} bytes", words.iter().map(String::len).sum::<usize>());
    let mut large = vec![0_u8; LARGE];
    large.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    println!("large: {} pages", large.iter().map(|byte| usize::from(*byte)).sum::<usize>());
    std::io::stdout().flush().expect("standard output takes bytes");
    let shared = Box::new(std::cell::Cell::new(5));
    match fork() {
        0 => {
            shared.set(shared.get() + 37);
            println!("child: {} {}", shared.get(), large[4096]);
            std::io::stdout().flush().expect("standard output takes bytes");
            _exit(shared.get())
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is written to a live variable.
            let waited = unsafe { waitpid(child, &raw mut status, 0) };
            println!("parent: {} {} status {}", shared.get(), waited == child, status >> 8 & 0xff);
            println!("identity: {}", getpid() != child);
        }
    }
    drop(large);
    drop(words);
    std::process::exit(23)
}
