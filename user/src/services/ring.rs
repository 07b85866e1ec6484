//! A queue of bytes of fixed size.
//!
//! Owns: which bytes are in it. Refuses to know: who waits for them. What does not fit is refused, never
//! written over what is there.

/// A queue of at most `SIZE` bytes.
#[derive(Clone, Debug)]
pub struct Ring<const SIZE: usize> {
    bytes: [u8; SIZE],
    start: usize,
    length: usize,
}

impl<const SIZE: usize> Ring<SIZE> {
    /// Returns an empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Ring { bytes: [0; SIZE], start: 0, length: 0 }
    }

    /// Returns whether no byte is there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a byte. Returns whether there was room.
    pub fn push(&mut self, byte: u8) -> bool {
        let has_room = self.length < SIZE;
        if has_room {
            self.bytes[(self.start + self.length) % SIZE] = byte;
            self.length += 1;
        }
        has_room
    }

    /// Returns the oldest byte.
    #[must_use]
    pub fn first(&self) -> Option<u8> {
        (self.length > 0).then(|| self.bytes[self.start])
    }

    /// Takes the oldest byte.
    pub fn pop(&mut self) -> Option<u8> {
        self.length = self.length.checked_sub(1)?;
        let byte = self.bytes[self.start];
        self.start = (self.start + 1) % SIZE;
        Some(byte)
    }
}

impl<const SIZE: usize> Default for Ring<SIZE> {
    fn default() -> Self {
        Ring::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;
    use std::vec::Vec;

    #[test]
    fn bytes_come_out_in_order_all_the_way_round() {
        let mut ring = Ring::<5>::new();
        let mut out = Vec::new();
        for byte in 0..100 {
            assert!(ring.push(byte));
            if byte % 3 != 0 {
                out.extend(ring.pop());
            }
            if byte % 3 == 2 {
                out.extend(ring.pop());
            }
        }
        out.extend(core::iter::from_fn(|| ring.pop()));
        assert_eq!(out, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut ring = Ring::<2>::new();
        assert!(ring.is_empty() && ring.push(1) && ring.push(2) && !ring.push(3));
        assert_eq!([ring.pop(), ring.pop(), ring.pop()], [Some(1), Some(2), None]);
    }
}
