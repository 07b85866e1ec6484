//! The atomic-aware handler: does an atomic read-modify-write of a clean page take one fault, and two
//! without the switch?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Error, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

/// Defines functions of one instruction on the word at x10, or of a few.
macro_rules! instructions {
    ($($name:ident $($text:literal)+;)*) => {
        $(fn $name(word: *mut u64) {
            // SAFETY: the word and the one behind it are in a mapping where no Rust value lives,
            // and the registers are named.
            unsafe {
                asm!(
                    ".arch_extension lse", $($text,)+
                    in("x10") word,
                    inout("x0") 0u64 => _, inout("x1") 0u64 => _,
                    inout("x2") 1u64 => _, inout("x3") 1u64 => _,
                    options(nostack)
                );
            }
        })*
    };
}

instructions! {
    ldadd "ldadd x2, x0, [x10]";
    ldaddal_word "ldaddal w2, w0, [x10]";
    ldclrb "ldclrb w2, w0, [x10]";
    ldeorh "ldeorlh w2, w0, [x10]";
    ldset "ldseta x2, x0, [x10]";
    ldsmax "ldsmax x2, x0, [x10]";
    ldumin "ldumin w2, w0, [x10]";
    stadd "stadd x2, [x10]";
    stset "stsetlb w2, [x10]";
    swp "swp x2, x0, [x10]";
    swpalb "swpalb w2, w0, [x10]";
    cas "cas x0, x2, [x10]";
    casalh "casalh w0, w2, [x10]";
    casp "casp x0, x1, x2, x3, [x10]";
    caspal_words "caspal w0, w1, w2, w3, [x10]";
    exclusive "ldxr x0, [x10]" "add x0, x0, #1" "stxr w1, x0, [x10]";
    load "ldr x0, [x10]";
    store "str x2, [x10]";
}

/// What makes a page private, and its faults on a clean page with and without the switch.
type Case = (&'static str, fn(*mut u64), i64, Option<i64>);

const CASES: &[Case] = &[
    ("ldadd", ldadd, 1, Some(2)),
    ("ldaddal, 32 bits", ldaddal_word, 1, Some(2)),
    ("ldclrb", ldclrb, 1, Some(2)),
    ("ldeorlh", ldeorh, 1, Some(2)),
    ("ldseta", ldset, 1, Some(2)),
    ("ldsmax", ldsmax, 1, Some(2)),
    ("ldumin", ldumin, 1, Some(2)),
    ("stadd", stadd, 1, Some(2)),
    ("stsetlb", stset, 1, Some(2)),
    ("swp", swp, 1, Some(2)),
    ("swpalb", swpalb, 1, Some(2)),
    // Hardware may call the fault of a compare and swap a store.
    ("cas", cas, 1, None),
    ("casalh", casalh, 1, None),
    ("casp", casp, 1, None),
    ("caspal, 32 bits", caspal_words, 1, None),
    ("ldxr and stxr", exclusive, 2, Some(2)),
    ("str", store, 1, Some(1)),
];

fn main(_: &Arguments) -> Result<(), Error> {
    let zeros = MemoryObject::pattern(0)?;
    for (name, access, aware, plain) in CASES {
        let counted = faults(&zeros, Switches::ATOMIC_AWARE, *access)?;
        check!(format_args!("{name}, aware"), counted, *aware);
        let counted = faults(&zeros, Switches::NONE, *access)?;
        check!(format_args!("{name}, plain"), plain.is_none_or(|plain| counted == plain));
    }
    let pages = map(&zeros, Switches::ATOMIC_AWARE)?;
    let change = testing::measure(|| load(word(&pages, 1)));
    check!("a load shares", (change.faults_read_map, change.private_frames), (1, 0));
    let change = testing::measure(|| ldadd(word(&pages, 1)));
    check!("then an atomic copies", (change.faults_write_cow, change.faults()), (1, 1));
    Ok(())
}

fn map(object: &MemoryObject, switches: Switches) -> Result<Mapping, Error> {
    let pages = MapRequest { switches, ..MapRequest::of(object.handle(), 2 * PAGE) }.map()?;
    // Translation tables exist from here on.
    pages.write(0, 1);
    Ok(pages)
}

fn word(pages: &Mapping, page: usize) -> *mut u64 {
    pages.pointer(page * PAGE).cast()
}

/// Returns the faults of an access to a clean page, which is private then and holds a one.
fn faults(object: &MemoryObject, switches: Switches, access: fn(*mut u64)) -> Result<i64, Error> {
    let pages = map(object, switches)?;
    let change = testing::measure(|| access(word(&pages, 1)));
    check!("the page is private", change.private_frames, 1);
    check!("its content", pages.read_word(PAGE) <= 1 << 32 | 1);
    Ok(change.faults())
}
