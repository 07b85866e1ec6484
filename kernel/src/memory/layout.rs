//! Where everything is: the kernel's half of the address space.
//!
//! Owns: the address map and the image's borders. Refuses to know: what is mapped with which
//! permission (`arch::aarch64::kernel_map`).
//!
//! ```text
//! 0xffff_0000_0000_0000 + PA   RAM, Normal Tagged; the image is left out
//! 0xffff_8000_0000_0000 + PA   the kernel image, each segment with its own permission
//! 0xffff_c000_0000_0000 + PA   device registers that the kernel uses
//! 0xffff_e000_0000_0000        one slot a CPU: an unmapped half, then the kernel stack
//! ```

use vellum_abi::PAGE_SIZE;
use vellum_vm::addr::FrameAddress;

/// Start of the direct map: every byte of RAM at its physical address from here.
pub const DIRECT_MAP: u64 = 0xffff_0000_0000_0000;
/// Distance of the kernel image from its physical address.
pub const IMAGE_OFFSET: u64 = 0xffff_8000_0000_0000;
/// Start of the device map.
pub const DEVICE_MAP: u64 = 0xffff_c000_0000_0000;
/// Start of the kernel stacks.
pub const STACKS: u64 = 0xffff_e000_0000_0000;

/// Start of RAM on QEMU `virt`. The image is linked for it; the device tree must agree.
pub const RAM_BASE: u64 = 0x4000_0000;
/// A block of the second last level: what the large-frame allocator deals in.
pub const BLOCK_SIZE: u64 = 2 << 20;

/// log2 of a kernel stack's size. The stack fills the upper half of a slot of twice the size, so
/// that one bit of the stack pointer tells whether it left the stack downwards.
pub const STACK_SHIFT: u32 = 15;
/// Bytes of a kernel stack.
pub const STACK_SIZE: u64 = 1 << STACK_SHIFT;

/// CPUs that the kernel has room for.
pub const MAX_CPUS: usize = 8;

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
}

/// The image's borders, as virtual addresses of whole pages.
pub struct Image {
    /// First byte of the code.
    pub start: u64,
    /// End of the code, start of constants.
    pub text_end: u64,
    /// End of constants, start of data.
    pub rodata_end: u64,
    /// End of data, `.bss` included.
    pub end: u64,
}

/// Returns the image's borders.
pub fn image() -> Image {
    Image {
        start: (&raw const __image_start).addr() as u64,
        text_end: (&raw const __text_end).addr() as u64,
        rodata_end: (&raw const __rodata_end).addr() as u64,
        end: (&raw const __image_end).addr() as u64,
    }
}

impl Image {
    /// Returns whether an address is in the code.
    pub fn is_code(&self, address: u64) -> bool {
        (self.start..self.text_end).contains(&address)
    }
}

/// Returns the kernel's view of a byte of RAM.
#[inline]
pub const fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// Returns the kernel's view of a frame.
#[inline]
pub fn frame_pointer(frame: FrameAddress) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(direct(frame.to_physical()) as usize)
}

/// Returns the kernel's view of a device register block.
#[inline]
pub const fn device(physical: u64) -> u64 {
    DEVICE_MAP + physical
}

/// Returns the lowest address of a CPU's kernel stack.
pub const fn stack_bottom(cpu: usize) -> u64 {
    STACKS + cpu as u64 * 2 * STACK_SIZE + STACK_SIZE
}

/// Returns whether an address is where a kernel stack overflows to.
pub const fn is_stack_guard(address: u64) -> bool {
    address >= STACKS
        && address < STACKS + MAX_CPUS as u64 * 2 * STACK_SIZE
        && address & STACK_SIZE == 0
}

/// Rounds up to a multiple of `alignment`, a power of two.
pub const fn align_up(value: u64, alignment: u64) -> u64 {
    (value + alignment - 1) & !(alignment - 1)
}

const _: () = assert!(BLOCK_SIZE.is_multiple_of(PAGE_SIZE));
