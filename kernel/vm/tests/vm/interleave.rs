//! Long operations, step by step, with other acts between the steps.
//!
//! Owns: plays. In a play somebody begins one long operation after the other in an address space: map,
//! unmap, remap, protect, decommit, populate, promote, clone, move the frames. Between its steps, when the
//! lock is free, *neighbours* do what other threads of the process could: they load and store, make blocks,
//! take pages from a pager, let the kernel write, ask about mappings, and die. Most of it happens at the
//! edges of the range that is in hand and at the edges of tables, where it matters; some plays have too few
//! frames, and some allocations fail. A play is a number: the same again whenever it is played.
//!
//! Shows: whatever comes between two steps, no operation needs what it has not got; no second one begins
//! meanwhile; when it is done no mark is left, the auditors of tables and frames find nothing and the
//! machine saw no rule broken; in the end everything is given back. Nobody goes on for ever where only a
//! later step could help ([`patience`]).
//!
//! Does not cover: what the bytes and tags are (`random` compares them with the flat model); acts in the
//! midst of a step or of each other (`races` and what follows it explore schedules); pages that a pager
//! is asked for (`paged`); operations of two address spaces on the same tables; loops that ask the machine
//! for nothing; and the kernel, which drives the steps: threads that wait, or end with an operation in hand.
//!
//! `VELLUM_MODEL_PLAYS` sets how many plays there are, `VELLUM_MODEL_SEED` where they begin;
//! `VELLUM_MODEL_PLAY` names a single one. Read `long`, then `neighbour`.

mod draw;
mod long;
mod maps;
mod neighbour;
mod patience;
mod play;

use crate::coverage;
use crate::explore::setting;
use play::Play;
use std::panic::catch_unwind;

/// Plays, unless somebody wants more: a few seconds.
const PLAYS: u64 = 250;
/// Long operations that are begun in a play.
const OPERATIONS: u64 = 60;

/// What the usual plays come across, or they test too little: accesses, what others do, operations.
const REACHED: &[&str] = &[
    "Read Changing",
    "Read Die(OutOfFrames)",
    "Read block",
    "Read done",
    "Write Changing",
    "Write Die(OutOfFrames)",
    "Write block",
    "Write done",
    "child Ok(1)",
    "clone Ok(begun)",
    "decommit Ok(begun)",
    "map Ok(begun)",
    "map Ok(done)",
    "move_frames Ok(begun)",
    "populate Ok(begun)",
    "promote Ok(begun)",
    "protect Ok(begun)",
    "remap Ok(begun)",
    "remap Ok(done)",
    "supply true",
    "unmap Ok(begun)",
    "unmap Ok(done)",
    "write Err(Changing)",
    "write Ok(1)",
];

/// Plays one play from the beginning to the end.
fn play(number: u64) {
    let mut play = Play::new(number);
    for _ in 0..OPERATIONS {
        play.neighbours(11);
        play.disturb();
        let was_begun = play.perform();
        play.leave_alone();
        if was_begun {
            play.check();
        }
    }
    play.finish();
}

/// Plays a play; says which it is and where it was if it fails.
fn try_play(number: u64) {
    if catch_unwind(|| play(number)).is_err() {
        panic!(
            "play {number} fails: {}; the reason is above. Play it again with\n  \
             VELLUM_MODEL_PLAY={number} cargo test -p vellum-vm --test vm neighbours_may",
            patience::scene(),
        );
    }
}

#[test]
fn neighbours_may_do_anything_between_the_steps_of_a_long_operation() {
    let single = setting("VELLUM_MODEL_PLAY", 0);
    if single != 0 {
        return try_play(single);
    }
    // Seeds far apart: each play has one, and they must not meet.
    let (plays, first) =
        (setting("VELLUM_MODEL_PLAYS", PLAYS), setting("VELLUM_MODEL_SEED", 1) << 32);
    (first + 1..=first + plays).for_each(try_play);
    let seen = coverage::take();
    println!("{plays} plays behind {first}, {} acts at most: {seen:#?}", patience::longest());
    for name in REACHED.iter().filter(|_| plays >= PLAYS) {
        assert!(seen.contains_key(*name), "{plays} plays never came across {name}");
    }
}
