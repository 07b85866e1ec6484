//! Where the loader puts what is not in the program's file, at the top of the user half.
//!
//! ```text
//! USER_START .. PROGRAM_END    segments of the file, and whatever the program maps
//! PROGRAM_END .. STACK_START   guard: mapped without any access, so that nothing else gets there
//! STACK_START .. STACK_END     the stack, anonymous
//! START_BLOCK ..               the start block, read-only, one unmapped page above the stack
//! ```

use vellum_abi::{PAGE_SIZE, USER_END};

/// Bytes of the stack.
pub const STACK_BYTES: u64 = 1 << 20;
/// Bytes below the stack that always fault.
pub const GUARD_BYTES: u64 = 64 << 10;
/// The longest start block.
pub const START_BLOCK_MAX: u64 = 64 << 10;

/// Where the start block is.
pub const START_BLOCK: u64 = USER_END - START_BLOCK_MAX;
/// The first stack pointer: the end of the stack.
pub const STACK_END: u64 = START_BLOCK - PAGE_SIZE;
/// The lowest byte of the stack.
pub const STACK_START: u64 = STACK_END - STACK_BYTES;
/// The end of what segments may cover, and the start of the guard.
pub const PROGRAM_END: u64 = STACK_START - GUARD_BYTES;
