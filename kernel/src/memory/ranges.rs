//! RAM that nobody has yet, during boot.
//!
//! Owns: a short list of free ranges, whole pages, ascending. Refuses to know: what the holes are.

use vellum_abi::PAGE_SIZE;

/// Ranges that the list has room for: a start, and one more for each reservation that splits.
const ROOM: usize = 8;

/// Free physical memory.
pub struct FreeRanges {
    /// Start and end of each.
    ranges: [(u64, u64); ROOM],
    count: usize,
}

impl FreeRanges {
    /// Returns one range.
    pub fn new(start: u64, end: u64) -> FreeRanges {
        let mut ranges = [(0, 0); ROOM];
        ranges[0] = (start, end);
        FreeRanges { ranges, count: 1 }
    }

    /// Returns the free ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges[..self.count].iter().copied()
    }

    /// Takes every page that `length` bytes from `start` touch out of the list.
    ///
    /// # Panics
    /// If the list has no room for another piece.
    pub fn reserve(&mut self, start: u64, length: u64) {
        let (start, end) = (start & !(PAGE_SIZE - 1), (start + length).next_multiple_of(PAGE_SIZE));
        let old = FreeRanges { ranges: self.ranges, count: self.count };
        self.count = 0;
        for (free, free_end) in old.iter() {
            self.push(free, free_end.min(start));
            self.push(free.max(end), free_end);
        }
    }

    fn push(&mut self, start: u64, end: u64) {
        if start < end {
            assert!(self.count < ROOM, "too many reserved ranges");
            self.ranges[self.count] = (start, end);
            self.count += 1;
        }
    }

    /// Takes `length` bytes, whole pages, out of the lowest range that has them.
    ///
    /// Ends the machine if there is none: the archive leaves too little for boot.
    pub fn take(&mut self, length: u64) -> u64 {
        let length = length.next_multiple_of(PAGE_SIZE);
        let fits = |(start, end): &(u64, u64)| end - start >= length;
        let Some((start, _)) = self.iter().find(fits) else {
            crate::boot::fail("the archive leaves too little memory")
        };
        self.reserve(start, length);
        start
    }
}
