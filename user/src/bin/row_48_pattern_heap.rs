//! Row 48: is a large block of a pattern heap free until it is touched, and the pattern throughout?
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use vellum_user::abi::Error;
use vellum_user::allocators::PatternHeap;
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const BLOCK_BYTES: usize = 4 << 20;
const PAGES: usize = BLOCK_BYTES / PAGE;

static HEAP: PatternHeap = PatternHeap::new(PATTERN);

fn main(_: &Arguments) -> Result<(), Error> {
    let layout = Layout::from_size_align(BLOCK_BYTES, 16).expect("a size and a power of two");
    let mut block = core::ptr::null_mut();
    let allocation = testing::measure(|| {
        // SAFETY: the layout is not empty.
        block = unsafe { HEAP.alloc(layout) };
    });
    check!("a block", !block.is_null());
    check!("frames before a touch", allocation.private_frames, 0);
    check!("faults before a touch", allocation.faults(), 0);
    check!("bytes before a touch", allocation.kernel_bytes_written(), 0);
    let reading = testing::measure(|| check_bytes(block, |_| PATTERN));
    check!("frames of reading", reading.private_frames, 0);
    check!("faults of reading", (reading.faults_read_map, reading.faults()), pair(PAGES));
    let writing = testing::measure(|| {
        for page in (0..PAGES).step_by(2) {
            // SAFETY: inside the block.
            unsafe { block.wrapping_add(page * PAGE + 5).write_volatile(1) }
        }
    });
    check!("frames of writing", writing.private_frames, PAGES as i64 / 2);
    check!("faults of writing", (writing.faults_write_cow, writing.faults()), pair(PAGES / 2));
    check!("fills", (writing.bytes_filled, writing.bytes_copied), ((BLOCK_BYTES / 2) as i64, 0));
    let written = |offset: usize| offset % (2 * PAGE) == 5;
    check_bytes(block, |offset| if written(offset) { 1 } else { PATTERN });
    let back = testing::measure(|| {
        // SAFETY: the block came from the heap with this layout and is not used again.
        unsafe { HEAP.dealloc(block, layout) }
    });
    check!("frames back", back.private_frames, -(PAGES as i64) / 2);
    small_blocks()
}

fn pair(count: usize) -> (i64, i64) {
    (count as i64, count as i64)
}

fn check_bytes(block: *mut u8, want_fn: impl Fn(usize) -> u8) {
    // SAFETY: inside the block.
    let byte = |offset: usize| unsafe { block.wrapping_add(offset).read_volatile() };
    let other = (0..BLOCK_BYTES).find(|offset| byte(*offset) != want_fn(*offset));
    check!("the first byte that differs", other, None);
}

/// Small blocks are filled by hand and read as the pattern too.
fn small_blocks() -> Result<(), Error> {
    let layout = Layout::from_size_align(100, 4).expect("a size and a power of two");
    // SAFETY: the layout is not empty.
    let block = unsafe { HEAP.alloc(layout) };
    check!("a small block", !block.is_null());
    // SAFETY: inside the block.
    let all = (0..100).all(|offset| unsafe { block.wrapping_add(offset).read() } == PATTERN);
    check!("its bytes", all);
    // SAFETY: the block came from the heap with this layout and is not used again.
    unsafe { HEAP.dealloc(block, layout) }
    Ok(())
}
