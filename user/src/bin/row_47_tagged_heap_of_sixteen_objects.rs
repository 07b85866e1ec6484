//! Row 47: does an allocator with an object for each tag pay for touched pages only, and are wrong
//! tags caught on touched and untouched pages alike?
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use vellum_user::abi::{Error, ExitKind, TAG_BYTES_PER_PAGE};
use vellum_user::allocators::TaggedHeap;
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, check, tags, testing};

vellum_user::test!(main);

const BLOCKS: usize = 15;
const BLOCK_BYTES: usize = 4 << 20;
/// The page of a block that is touched.
const TOUCHED: usize = 77 * PAGE;

static HEAP: TaggedHeap = TaggedHeap::new();

fn layout() -> Layout {
    Layout::from_size_align(BLOCK_BYTES, 16).expect("a size and a power of two")
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    if let Some(victim) = arguments.at(0) {
        return mismatch(victim);
    }
    let creation = testing::measure(|| {
        check!("making the objects", HEAP.prepare(), Ok(()));
    });
    check!("objects", creation.refpages_live, 16);
    check!("tags at creation", creation.create_tag_bytes_written, 16 * TAG_BYTES_PER_PAGE as i64);
    check!("tags for faults at creation", creation.tag_bytes_written, 0);
    allocate_and_touch();
    for (victim, tag) in [("touched", 1), ("untouched", 1), ("neighbour", 2)] {
        let report = testing::run_self(&[victim]);
        check!(format_args!("{victim}: kind"), report.kind, ExitKind::TagCheck as u64);
        let want = (if victim == "neighbour" { 1 } else { 14 }, tag);
        let tags = (report.logical_tag, report.allocation_tag);
        check!(format_args!("{victim}: tags"), tags, want);
    }
    Ok(())
}

fn allocate_and_touch() {
    let mut blocks = [core::ptr::null_mut::<u8>(); BLOCKS];
    let allocation = testing::measure(|| {
        // SAFETY: the layout is not empty.
        blocks.fill_with(|| unsafe { HEAP.alloc(layout()) });
    });
    check!("every block is there", blocks.iter().all(|block| !block.is_null()));
    check!("frames before a touch", allocation.private_frames, 0);
    check!("tags before a touch", allocation.tag_bytes_written, 0);
    check!("bytes before a touch", allocation.kernel_bytes_written(), 0);
    let all = blocks.iter().fold(0_u32, |set, block| set | 1 << tags::logical(*block));
    check!("fifteen different tags", all, 0xfffe);
    let touch = testing::measure(|| {
        for block in &blocks {
            // SAFETY: inside the block.
            unsafe { block.wrapping_add(TOUCHED).write_volatile(1) }
        }
    });
    check!("tags of touched pages", touch.tag_bytes_written, 15 * TAG_BYTES_PER_PAGE as i64);
    check!("frames of touched pages", touch.private_frames, 15);
    check!("bytes of touched pages", touch.kernel_bytes_written(), (15 * PAGE) as i64);
    check!("no copies", touch.bytes_copied, 0);
    for block in blocks {
        for offset in [0, TOUCHED, TOUCHED + PAGE - 16, BLOCK_BYTES - 16] {
            let place = block.wrapping_add(offset);
            check!("tag of memory", tags::load(place), tags::logical(block));
        }
        // SAFETY: inside the block.
        let byte = |offset| unsafe { block.wrapping_add(offset).read_volatile() };
        check!("bytes", (byte(TOUCHED), byte(0)), (1, 0));
    }
    let back = testing::measure(|| {
        for block in blocks {
            // SAFETY: the block came from the heap with this layout and is not used again.
            unsafe { HEAP.dealloc(block, layout()) }
        }
    });
    check!("frames back", back.private_frames, -15);
    check!("mappings back", back.mappings, -15);
}

/// Reaches a block with a wrong tag, which ends the program.
fn mismatch(victim: &str) -> Result<(), Error> {
    // SAFETY: the layout is not empty.
    let first = unsafe { HEAP.alloc(layout()) };
    // SAFETY: as above.
    let second = unsafe { HEAP.alloc(layout()) };
    let wrong = match victim {
        "touched" => {
            // SAFETY: inside the block.
            unsafe { first.write_volatile(1) };
            tags::with_tag(first, 14)
        }
        "untouched" => tags::with_tag(first, 14),
        // From one block into the other: the distance is right, the tag is not.
        _ => first.with_addr(second.addr() & !(0xf << 56) | first.addr() & 0xf << 56),
    };
    // SAFETY: the address is a block's; the tag check ends the program.
    let byte = unsafe { wrong.read_volatile() };
    check!("a byte that was read", byte, 0xff);
    Ok(())
}
