//! How first writes run through a mapping, and how many frames may be ahead of them.
//!
//! Owns: one word a mapping: where the next first write is expected, how many came in a row, which
//! frames a batch made ahead. Refuses to know: descriptors; who asks counts the untouched frames of
//! a window itself. The invariant that others rely on: of the frames that were made ahead in a
//! mapping, at most [`MOST_AHEAD`] are untouched at any time.
//!
//! The word has the frames of one *window*, the pages right before the one expected next, whose
//! leaves tell which are untouched, and the number of *strays*: frames that were untouched when
//! their window was given up. Strays count until the whole mapping is decommitted, even if they are
//! touched later, so that the count can err on one side alone. Faults hold the address space shared
//! and change the word by compare-and-exchange; who loses makes nothing ahead. A batch claims the
//! word before it takes frames and settles it when its leaves are published; meanwhile no other
//! fault of the mapping changes it.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};

/// The most untouched frames ahead in one mapping.
pub const MOST_AHEAD: u64 = 15;
/// First writes in a row, each to the page above the last, before a batch.
const RUN: u64 = 4;

/// The word, unpacked: from bit 0 the page number (36 bits), run (3), ahead (4), strays (4), claimed
/// (1), mark (16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// The page that the next first write of the run goes to.
    next: u64,
    /// First writes in a row, at most [`RUN`].
    run: u64,
    /// Pages of the window, which ends before `next`.
    ahead: u64,
    /// Frames made ahead that may be untouched outside the window.
    strays: u64,
    /// Whether a batch is being made.
    claimed: bool,
    /// Tells the claims of one place apart: the generation of the address space.
    mark: u64,
}

impl Progress {
    const fn of(word: u64) -> Progress {
        Progress {
            next: word & 0xf_ffff_ffff,
            run: word >> 36 & 0b111,
            ahead: word >> 39 & 0xf,
            strays: word >> 43 & 0xf,
            claimed: word >> 47 & 1 != 0,
            mark: word >> 48,
        }
    }

    const fn word(self) -> u64 {
        self.next
            | self.run << 36
            | self.ahead << 39
            | self.strays << 43
            | (self.claimed as u64) << 47
            | self.mark << 48
    }

    /// Forgets where the window is, but not how many frames it has.
    const fn scattered(self) -> Progress {
        let strays = if self.strays + self.ahead < MOST_AHEAD {
            self.strays + self.ahead
        } else {
            MOST_AHEAD
        };
        Progress { next: 0, run: 0, ahead: 0, strays, claimed: false, mark: 0 }
    }
}

/// The first writes of one mapping.
#[derive(Debug, Default)]
pub struct Sequence(AtomicU64);

/// Leave to make pages ahead. It must be given back by [`Sequence::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "no batch of the mapping comes after a claim that is not settled"]
pub struct Claim(NonZeroU64);

impl Claim {
    /// Returns how many pages may be made.
    #[must_use]
    pub fn pages(self) -> u64 {
        Progress::of(self.0.get()).ahead
    }
}

/// A copy belongs to a part of the mapping, or to one at another place: it has the window's frames
/// as strays.
impl Clone for Sequence {
    fn clone(&self) -> Sequence {
        Sequence(AtomicU64::new(Progress::of(self.0.load(Ordering::Relaxed)).scattered().word()))
    }
}

impl Sequence {
    /// Notes a first write to a page, under the shared lock. Returns a claim if pages behind it may
    /// be made too: `room_fn` says how many could be, of a number, and `untouched_fn` how many of
    /// a number of pages from a page on are private and untouched.
    pub fn note(
        &self,
        page: u64,
        generation: u64,
        room_fn: impl FnOnce(u64) -> u64,
        untouched_fn: impl FnOnce(u64, u64) -> u64,
    ) -> Option<Claim> {
        let word = self.0.load(Ordering::Acquire);
        let old = Progress::of(word);
        let again = old.ahead == 0 && old.next == page + 1;
        if old.claimed || (again && old.run != 0) {
            return None;
        }
        let window = (old.ahead != 0).then(|| untouched_fn(old.next - old.ahead, old.ahead));
        let strays = MOST_AHEAD.min(old.strays + window.unwrap_or(0));
        let follows = old.run != 0 && old.next == page;
        let batch = follows && old.run == RUN;
        let ahead = if batch { room_fn(MOST_AHEAD - strays) } else { 0 };
        let new = Progress {
            next: page + 1 + ahead,
            run: if follows { RUN.min(old.run + 1) } else { 1 },
            ahead,
            strays,
            claimed: ahead != 0,
            mark: if ahead != 0 { generation & 0xffff } else { 0 },
        };
        let changed = self.exchange(word, new);
        NonZeroU64::new(new.word()).filter(|_| changed && new.claimed).map(Claim)
    }

    /// Ends a claim, under the shared lock: `made` leaves were published from the first page on.
    /// If untouched leaves cannot be told from others, all of them are strays from the start.
    pub fn settle(&self, claim: Claim, made: u64, can_tell: bool) {
        let claimed = Progress::of(claim.0.get());
        let next = claimed.next - claimed.ahead + made;
        let open = Progress { next, ahead: made, claimed: false, mark: 0, ..claimed };
        let closed = Progress { ahead: 0, strays: MOST_AHEAD.min(open.strays + made), ..open };
        // Fails if the mapping at this place is another by now, and then made nothing.
        self.exchange(claimed.word(), if can_tell { open } else { closed });
    }

    fn exchange(&self, word: u64, new: Progress) -> bool {
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        self.0.compare_exchange(word, new.word(), order.0, order.1).is_ok()
    }

    /// Forgets everything: the lock is held exclusively, and every frame is about to go.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Forgets the place of the window: the lock is held exclusively, and the range changes.
    pub(crate) fn scatter(&self) {
        let progress = Progress::of(self.0.load(Ordering::Relaxed)).scattered();
        self.0.store(progress.word(), Ordering::Relaxed);
    }

    /// Returns whether the mapping has no frames ahead. Only such mappings become one: neither
    /// spends what the other may have.
    pub(crate) fn is_idle(&self) -> bool {
        Progress::of(self.0.load(Ordering::Relaxed)).scattered().strays == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_AHEAD, Progress, Sequence};

    /// Notes a first write where everything has room and `untouched` frames of a window are so.
    fn note(sequence: &Sequence, page: u64, untouched: u64) -> u64 {
        let claim = sequence.note(page, 1, |most| most, |_, pages| untouched.min(pages));
        let Some(claim) = claim else { return 0 };
        sequence.settle(claim, claim.pages(), true);
        claim.pages()
    }

    #[test]
    fn the_fifth_in_a_row_is_the_first_of_a_batch() {
        let sequence = Sequence::default();
        let ahead = [10, 11, 12, 13, 14].map(|page| note(&sequence, page, 0));
        assert_eq!(ahead, [0, 0, 0, 0, 15]);
        assert_eq!(note(&sequence, 30, 0), 15);
    }

    #[test]
    fn no_stride_and_no_descent_makes_a_batch() {
        let sequence = Sequence::default();
        assert!((0..100).all(|page| note(&sequence, 2 * page, 0) == 0));
        assert!((0..100).rev().all(|page| note(&sequence, page, 0) == 0));
        assert!((0..100).all(|page| note(&sequence, 16 * page, 0) == 0));
    }

    #[test]
    fn what_a_run_leaves_untouched_is_missing_from_the_next() {
        let sequence = Sequence::default();
        (0..5).for_each(|page| _ = note(&sequence, page, 0));
        let second = [100, 101, 102, 103, 104].map(|page| note(&sequence, page, 9));
        assert_eq!(second, [0, 0, 0, 0, 6]);
        let third = [200, 201, 202, 203, 204].map(|page| note(&sequence, page, 6));
        assert_eq!(third, [0; 5]);
    }

    #[test]
    fn a_window_that_was_jumped_over_counts_although_the_run_goes_on() {
        let sequence = Sequence::default();
        (0..5).for_each(|page| _ = note(&sequence, page, 0));
        assert_eq!(note(&sequence, 20, 15), 0);
        assert_eq!(note(&sequence, 21, 15), 0);
    }

    #[test]
    fn the_same_fault_again_and_a_fault_during_a_batch_change_nothing() {
        let sequence = Sequence::default();
        let pages = [0, 0, 1, 1, 1, 2, 3, 3];
        assert!(pages.into_iter().all(|page| note(&sequence, page, 0) == 0));
        let claim = sequence.note(4, 1, |most| most, |_, _| 0).expect("a batch");
        assert_eq!((note(&sequence, 5, 0), note(&sequence, 90, 0)), (0, 0));
        sequence.settle(claim, 3, true);
        assert_eq!(note(&sequence, 8, 0), MOST_AHEAD, "fewer were made, and the run goes on");
    }

    #[test]
    fn where_touches_leave_no_trace_there_is_one_batch() {
        let sequence = Sequence::default();
        (0..4).for_each(|page| _ = note(&sequence, page, 0));
        let claim = sequence.note(4, 1, |_| 10, |_, _| 0).expect("a batch");
        sequence.settle(claim, 10, false);
        let copy = sequence.clone();
        let ahead = [40, 41, 42, 43, 44].map(|page| note(&copy, page, 0));
        assert_eq!(ahead, [0, 0, 0, 0, 5], "each of the ten counts once");
        assert_eq!((note(&sequence, 15, 0), note(&sequence, 21, 0)), (5, 15 - 10));
    }

    #[test]
    fn a_claim_is_settled_only_where_it_was_made() {
        let (first, second) = (Sequence::default(), Sequence::default());
        (0..4).for_each(|page| _ = (note(&first, page, 0), note(&second, page, 0)));
        let old = first.note(4, 1, |most| most, |_, _| 0).expect("a batch");
        let new = second.note(4, 2, |most| most, |_, _| 0).expect("a batch");
        second.settle(old, 0, true);
        assert_eq!(note(&second, 5, 0), 0, "still claimed");
        second.settle(new, 15, true);
        assert_eq!(note(&second, 20, 0), 15);
    }

    #[test]
    fn parts_and_copies_have_the_frames_of_the_whole() {
        let sequence = Sequence::default();
        (0..5).for_each(|page| _ = note(&sequence, page, 0));
        let copy = sequence.clone();
        assert!(!copy.is_idle() && !sequence.is_idle() && Sequence::default().is_idle());
        assert!((0..9).all(|page| note(&copy, page, 0) == 0));
        sequence.scatter();
        assert!((20..29).all(|page| note(&sequence, page, 0) == 0));
        copy.reset();
        assert!(copy.is_idle());
    }

    #[test]
    fn progress_survives_the_word() {
        let progress = Progress {
            next: (1 << 36) - 1,
            run: 4,
            ahead: 15,
            strays: 9,
            claimed: true,
            mark: 0xabcd,
        };
        assert_eq!(Progress::of(progress.word()), progress);
    }
}
