//! Do two processes that map a GiB of one object read it through the same translation tables, and
//! do the tables go with the object?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, MapOptions, Protection, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::stat;
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const GIB: usize = 1 << 30;
const PLACE: usize = 0x40_0000_0000;
const SWITCHES: Switches = Switches::SHARED_TABLES;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("child") {
        return child();
    }
    check!("a child", testing::run("hello", &[]).status, 0);
    let before = stat();
    let object = MemoryObject::pattern(0xaa)?;
    let request = MapRequest::of(object.handle(), GIB).read_only().with(SWITCHES);
    let mapping = request.at(PLACE).map()?;
    let read = testing::measure(|| {
        let wrong = (0..GIB).step_by(PAGE).find(|offset| mapping.read(*offset) != 0xaa);
        check!("contents", wrong, None);
    });
    check!("tables of the object", read.free_frames, -2 - read.pt_frames);
    check!("faults", (read.faults_table, read.faults()), (1, 1));
    check!("frames", object.query()?.frames, 3);
    let child = testing::load_self(&["child"]);
    let options =
        MapOptions { protection: Protection::READ, switches: SWITCHES, ..MapOptions::default() };
    child.process.map(object.handle(), PLACE as u64, GIB as u64, options, 0)?;
    child.start()?;
    check!("the child", testing::exited_with(&child.wait()?, 0));
    check!("no other tables", object.query()?.frames, 3);
    check!("still there", mapping.read(GIB - 1), 0xaa);
    drop((mapping, object));
    check!("all given back", stat().free_frames, before.free_frames);
    check!("no object", stat().refpages_live, before.refpages_live);
    Ok(())
}

/// A test reads every page of its own before `main`, those that the parent mapped too: a quarter
/// of a million leaves, which would take 512 tables.
fn child() -> Result<(), Error> {
    let stat = stat();
    check!("one fault for all", stat.faults_table, 1);
    check!("few tables of its own", stat.pt_frames < 32);
    check!("few reads of the others", stat.faults_read_map < 512);
    Ok(())
}
