//! Does every call refuse every class of bad argument with its named error, and change nothing?
//!
//! The table is data, in three parts. `parameters` says of each call what its arguments are;
//! `classes` says of each kind of argument which values are bad and how they are refused: their
//! product is most of the table. `cases` adds what only several arguments together make bad, and
//! values that look bad and are allowed. A call without parameters does not compile.
#![no_std]
#![no_main]

mod cases;
mod classes;
mod full;
mod messages;
mod pagers;
mod parameters;
mod pieces;
mod scene;
mod state;

use Error::TagsUnsupported;
use cases::{Answer, Case, Undo};
use parameters::{Parameter, parameters};
use scene::{Scene, Value};
use state::State;
use vellum_user::abi::{Call, Error, Handle};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, calls, check, println, raw, system, testing};

vellum_user::test!(main);

/// Numbers that name no call.
const UNKNOWN_NUMBERS: [u64; 6] =
    [Call::ALL.len() as u64, 1000, 1 << 31, 1 << 32, 1 << 63, u64::MAX];

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("exit") => return Ok(()),
        Some("full") => return full::check_full_table(),
        _ => {}
    }
    let scene = Scene::new(arguments)?;
    let table = Table { scene: &scene };
    for call in Call::ALL {
        for (index, parameter) in parameters(*call).iter().enumerate() {
            table.check_parameter(*call, index, parameter);
        }
    }
    cases::CASES.iter().chain(pieces::CASES).for_each(|case| table.check_case(case));
    table.check_unknown_numbers();
    drop(scene);
    let report = testing::run_self(&["full"]);
    check!("the child with a full handle table", testing::exited_with(&report, 0));
    Ok(())
}

/// Returns whether a call refuses, before it looks at this argument, because there are no tags.
fn is_unsupported(call: Call, argument: usize) -> bool {
    let needs_tags = matches!(call, Call::TagsRead | Call::TagsWrite);
    needs_tags && argument > 0 && !system::tags_supported()
}

/// The table, on the scene that its values are taken from.
struct Table<'a> {
    scene: &'a Scene,
}

impl Table<'_> {
    /// Puts each bad value of its kind in the place of one argument; the others are good.
    fn check_parameter(&self, call: Call, index: usize, parameter: &Parameter) {
        for bad in classes::tables(parameter.kind).iter().copied().flatten() {
            let mut arguments = [0; 6];
            for (argument, other) in arguments.iter_mut().zip(parameters(call)) {
                *argument = self.scene.word(other.good);
            }
            arguments[index] = self.scene.word(bad.value);
            let name = format_args!("{}, argument {index}, {}", call.name(), bad.class);
            let error = if is_unsupported(call, index) { TagsUnsupported } else { bad.error };
            self.check_call(name, call as u64, arguments, &Answer::Refused(error));
        }
    }

    fn check_case(&self, case: &Case) {
        let mut arguments = [0; 6];
        for (argument, value) in arguments.iter_mut().zip(case.arguments) {
            *argument = self.scene.word(*value);
        }
        let name = format_args!("{}, {}", case.call.name(), case.class);
        self.check_call(name, case.call as u64, arguments, &case.answer);
    }

    fn check_unknown_numbers(&self) {
        for number in UNKNOWN_NUMBERS {
            let arguments = [self.scene.word(Value::Own), 0, 0, 0, 0, 0];
            let name = format_args!("call number {number:#x}");
            self.check_call(name, number, arguments, &Answer::Refused(Error::UnknownCall));
        }
    }

    /// Makes a call and compares answer and state with what they must be.
    fn check_call(
        &self,
        name: core::fmt::Arguments,
        number: u64,
        arguments: [u64; 6],
        answer: &Answer,
    ) {
        let before = State::now();
        // SAFETY: the call is to be refused. What the table allows reaches the pages of the scene
        // alone, which no Rust value lives in.
        let (status, value) = unsafe { raw::call(number, arguments) };
        let refusal = Error::from_number(status);
        let held = match *answer {
            Answer::Refused(error) => {
                check!(name, (refusal, value), (Some(error), 0))
            }
            Answer::Partly(error, bytes) => {
                check!(name, (refusal, value), (Some(error), bytes))
            }
            Answer::Allowed(undo) => {
                let held = check!(name, status, 0);
                if held {
                    self.undo(undo, value, &arguments);
                }
                held
            }
        };
        let after = State::now();
        if !check!(format_args!("{name}: what it changed"), after, before) || !held {
            println!("  with arguments {arguments:x?}");
        }
    }

    /// Takes back what an allowed call did.
    fn undo(&self, undo: Undo, value: u64, arguments: &[u64; 6]) {
        match undo {
            Undo::Nothing => {}
            Undo::Close => {
                let handle = Handle::from_word(value).expect("a handle has 32 bits");
                check!("closing what was made", calls::handle_close(handle), Ok(()));
            }
            Undo::Unmap => {
                let length = arguments[3].next_multiple_of(PAGE as u64);
                // SAFETY: the range was just mapped, and no Rust value lives in it.
                let unmapped = unsafe { calls::unmap(Handle::SELF, value, length) };
                check!("unmapping what was mapped", unmapped, Ok(()));
            }
            Undo::Value(expected) => _ = check!("value", value, expected),
        }
    }
}
