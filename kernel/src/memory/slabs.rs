//! Pieces of equal size, cut from slabs of the pool heap.
//!
//! Owns: eight size classes from 32 to 4096 bytes, their slabs and the count of live bytes. A slab
//! is aligned to its size, so that a piece finds its slab by its address; the slab's header takes
//! the place of its first pieces. Taking and giving are constant in time, but for a slab coming
//! from or going back to the heap. Refuses to know: what is stored (`pools`), and tags (`heap_tags`):
//! inside, everything goes by unchecked pointers.
//!
//! Lock order: a class, then the pool heap.

use crate::memory::{heap, heap_tags, injection};
use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::mutex::SpinMutex;

/// log2 of the smallest class.
const SMALLEST: u32 = 5;
/// log2 of the largest class.
const LARGEST: u32 = 12;
const CLASSES: usize = (LARGEST - SMALLEST + 1) as usize;
/// The largest slab: seven pieces of the largest class.
const LARGEST_SLAB: usize = 32 * 1024;

/// Bytes in use that are no pieces.
static LARGE: AtomicU64 = AtomicU64::new(0);
static LISTS: [SpinMutex<List>; CLASSES] =
    [const { SpinMutex::new(List { slabs: null_mut(), live: 0 }) }; CLASSES];

/// The head of a slab.
#[repr(C)]
struct Slab {
    /// Neighbours among the slabs of the class that have a free piece.
    previous: *mut Slab,
    next: *mut Slab,
    /// First of the pieces that were given back; each starts with a pointer to the next.
    head: *mut Piece,
    /// Pieces in use.
    live: u16,
    /// The first piece that was never given out.
    fresh: u16,
    /// Pieces that there are, the header's place included.
    pieces: u16,
}

impl Slab {
    fn is_full(&self) -> bool {
        self.head.is_null() && self.fresh == self.pieces
    }
}

/// A free piece.
struct Piece {
    next: *mut Piece,
}

/// The slabs of a class.
struct List {
    /// Those that have a free piece.
    slabs: *mut Slab,
    /// Pieces in use, of all slabs.
    live: u64,
}

// SAFETY: Slabs belong to no CPU; the lock around the list keeps their users apart.
unsafe impl Send for List {}

/// A size class, by log2.
#[derive(Clone, Copy)]
struct Class(u32);

impl Class {
    /// Returns the class for a layout, or `None` if it is larger than any. A matter of types, which the
    /// compiler decides: nothing of it is left where memory is taken.
    #[inline(always)]
    const fn of(layout: Layout) -> Option<Class> {
        let bytes = if layout.size() > layout.align() { layout.size() } else { layout.align() };
        let shift = bytes.next_power_of_two().trailing_zeros();
        match shift {
            ..SMALLEST => Some(Class(SMALLEST)),
            SMALLEST..=LARGEST => Some(Class(shift)),
            _ => None,
        }
    }

    const fn bytes(self) -> usize {
        1 << self.0
    }

    const fn slab_bytes(self) -> usize {
        let wanted = self.bytes() * 16;
        if wanted < 4096 {
            4096
        } else if wanted > LARGEST_SLAB {
            LARGEST_SLAB
        } else {
            wanted
        }
    }

    const fn slab_layout(self) -> Layout {
        match Layout::from_size_align(self.slab_bytes(), self.slab_bytes()) {
            Ok(layout) => layout,
            Err(_) => panic!("slab sizes are powers of two"),
        }
    }

    /// Returns the number of the first piece behind the header.
    const fn first_piece(self) -> u16 {
        size_of::<Slab>().div_ceil(self.bytes()) as u16
    }

    const fn pieces(self) -> u16 {
        (self.slab_bytes() / self.bytes()) as u16
    }

    /// Returns the number of a piece in its slab.
    fn index(self, piece: NonNull<u8>) -> usize {
        (piece.as_ptr().addr() & (self.slab_bytes() - 1)) >> self.0
    }

    fn list(self) -> &'static SpinMutex<List> {
        &LISTS[(self.0 - SMALLEST) as usize]
    }
}

/// Returns the bytes in use.
pub fn live_bytes() -> u64 {
    let lists = LISTS.iter().zip(SMALLEST..);
    let pieces = lists.map(|(list, shift)| list.lock().live << shift);
    pieces.sum::<u64>() + LARGE.load(Ordering::Relaxed)
}

/// Takes memory for a layout, or `None` if the heap has none.
#[inline(always)]
pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    match Class::of(layout) {
        Some(class) => allocate_piece(class, heap_tags::granules(layout.size())),
        None => allocate_large(layout),
    }
}

/// Takes a piece of a class, for memory of so many bytes in whole granules.
#[inline(never)]
fn allocate_piece(class: Class, bytes: usize) -> Option<NonNull<u8>> {
    if injection::fails_now() {
        return None;
    }
    let piece = class.list().lock().take(class)?;
    // SAFETY: The piece was just taken, and is as large as its class.
    Some(unsafe { heap_tags::begin_piece(piece, || class.index(piece), bytes) })
}

fn allocate_large(layout: Layout) -> Option<NonNull<u8>> {
    if injection::fails_now() {
        return None;
    }
    let memory = heap::allocate(layout)?;
    LARGE.fetch_add(layout.size() as u64, Ordering::Relaxed);
    // SAFETY: The heap just gave this memory, never at its edge.
    Some(unsafe { heap_tags::begin_block(memory, layout.size()) })
}

/// Gives memory back.
///
/// # Safety
/// `pointer` came from [`allocate`] with this layout and is not used any more.
#[inline(always)]
pub(super) unsafe fn free(pointer: NonNull<u8>, layout: Layout) {
    match Class::of(layout) {
        // SAFETY: The piece is the caller's, of this layout.
        Some(class) => unsafe { free_piece(pointer, class, heap_tags::granules(layout.size())) },
        // SAFETY: The memory is the caller's, of this layout.
        None => unsafe { free_large(pointer, layout) },
    }
}

/// # Safety
/// `pointer` came from [`allocate_piece`] with the same numbers and is not used any more.
#[inline(never)]
unsafe fn free_piece(pointer: NonNull<u8>, class: Class, bytes: usize) {
    // SAFETY: The piece is the caller's, with so many bytes in use.
    let piece = unsafe { heap_tags::end_piece(pointer, bytes) };
    // SAFETY: Likewise, of this class.
    unsafe { class.list().lock().give(class, piece) };
}

/// # Safety
/// `pointer` came from [`allocate_large`] with this layout and is not used any more.
unsafe fn free_large(pointer: NonNull<u8>, layout: Layout) {
    LARGE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
    // SAFETY: The memory is the caller's, of this layout.
    let memory = unsafe { heap_tags::end_block(pointer, layout.size()) };
    // SAFETY: It came from the heap with this layout.
    unsafe { heap::free(memory, layout) };
}

impl List {
    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        if self.slabs.is_null() {
            self.grow(class)?;
        }
        let mut memory = NonNull::new(self.slabs)?;
        // SAFETY: The list holds live slabs, and its lock is held: nobody else has a reference.
        let slab = unsafe { memory.as_mut() };
        let piece = if let Some(piece) = NonNull::new(slab.head) {
            // SAFETY: A free piece holds the link that `give` wrote.
            slab.head = unsafe { piece.read() }.next;
            piece.cast()
        } else {
            slab.fresh += 1;
            let offset = (slab.fresh - 1) as usize * class.bytes();
            // SAFETY: A slab in the list without a listed piece has a fresh one below its end.
            unsafe { memory.cast::<u8>().add(offset) }
        };
        slab.live += 1;
        self.live += 1;
        if slab.is_full() {
            self.unlink(slab);
        }
        Some(piece)
    }

    /// Puts a new slab into the list.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, class: Class) -> Option<()> {
        let memory = heap::allocate(class.slab_layout())?.cast::<Slab>();
        let slab = Slab {
            previous: null_mut(),
            next: null_mut(),
            head: null_mut(),
            live: 0,
            fresh: class.first_piece(),
            pieces: class.pieces(),
        };
        // SAFETY: The heap gave this memory, aligned to more than a slab's alignment.
        unsafe { memory.write(slab) };
        self.slabs = memory.as_ptr();
        Some(())
    }

    /// # Safety
    /// The piece was taken from a slab of this class and is not used any more.
    unsafe fn give(&mut self, class: Class, pointer: NonNull<u8>) {
        let mask = !(class.slab_bytes() - 1);
        let address = pointer.as_ptr().map_addr(|address| address & mask).cast::<Slab>();
        // SAFETY: Slabs are aligned to their size, so that the header is there; the lock is held.
        let slab = unsafe { &mut *address };
        let was_full = slab.is_full();
        let piece = pointer.cast::<Piece>();
        // SAFETY: The piece is free now, and large and aligned enough for a link.
        unsafe { piece.write(Piece { next: slab.head }) };
        slab.head = piece.as_ptr();
        slab.live -= 1;
        self.live -= 1;
        if was_full {
            self.link(slab);
        }
        // One empty slab stays, so that a class in use at its edge does not go to the heap.
        let alone = slab.previous.is_null() && slab.next.is_null();
        if slab.live == 0 && !alone {
            // SAFETY: It has no piece in use.
            unsafe { self.shrink(class, slab) };
        }
    }

    /// Gives a slab back to the heap.
    ///
    /// # Safety
    /// The slab is in the list, and no piece of it is in use.
    #[cold]
    #[inline(never)]
    unsafe fn shrink(&mut self, class: Class, slab: &mut Slab) {
        self.unlink(slab);
        let memory = NonNull::from(slab).cast();
        // SAFETY: Slabs are whole pages, and no piece is in use.
        unsafe { heap_tags::clear(memory.as_ptr(), class.slab_bytes()) };
        // SAFETY: The slab came from the heap with this layout, and none of it is in use.
        unsafe { heap::free(memory, class.slab_layout()) };
    }

    fn link(&mut self, slab: &mut Slab) {
        slab.previous = null_mut();
        slab.next = self.slabs;
        // SAFETY: The list holds live slabs, other than `slab`, and its lock is held.
        if let Some(next) = unsafe { self.slabs.as_mut() } {
            next.previous = slab;
        }
        self.slabs = slab;
    }

    fn unlink(&mut self, slab: &mut Slab) {
        // SAFETY: Neighbours are live slabs, other than `slab`, and the list's lock is held.
        match unsafe { slab.previous.as_mut() } {
            Some(previous) => previous.next = slab.next,
            None => self.slabs = slab.next,
        }
        // SAFETY: As above.
        if let Some(next) = unsafe { slab.next.as_mut() } {
            next.previous = slab.previous;
        }
        slab.previous = null_mut();
        slab.next = null_mut();
    }
}

const _: () = assert!(size_of::<Slab>() <= 64 && size_of::<Piece>() <= 1 << SMALLEST);
