//! The smallest program: says hello and shows its arguments.
#![no_std]
#![no_main]

use vellum_user::{Arguments, println};

vellum_user::entry!(main);

fn main(arguments: &Arguments) {
    println!("hello from {}", arguments.program());
    for (index, argument) in arguments.iter().enumerate() {
        println!("argument {index}: {argument}");
    }
}
