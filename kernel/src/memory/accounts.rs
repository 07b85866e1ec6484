//! The tree of accounts.
//!
//! Owns: who is whose parent, and what was granted. Refuses to know: what is charged (the accounts
//! themselves) and who names an account (handles). A child holds its parent; the parent knows its
//! children for one purpose, to be asked for the sum over everything below it.
//!
//! Each child of the root has a share of the CPU's time, together with all accounts below it: so nobody gets more
//! by making processes, threads or accounts. The root and what it has not parted with are one more. There
//! are [`SHARES`]; beyond that many children, the one is shared that the fewest have.
//!
//! Invariant: an entry of the table names a live account from the end of [`create`] to the moment
//! the account is dropped, which takes the entry out under the table's lock.

use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use core::ptr::{self, NonNull};
use spin::mutex::SpinMutex;
use vellum_abi::{AccountInfo, Limits};
use vellum_sched::{SHARES, Share};
use vellum_vm::account::Account;
use vellum_vm::error::VmError;
use vellum_vm::machine::Pools;

/// The most accounts: a sum visits them all in one go.
const MAX_ACCOUNTS: usize = 512;
/// The most accounts above another: the last charge of one may end all of them, one in the other.
const MAX_DEPTH: u32 = 16;
/// No entry. The first one of the table is never used: an empty tree is all zeros, and no part of
/// the kernel's file.
const NONE: u32 = 0;

/// What is known of an account.
struct Entry {
    account: Option<NonNull<Account>>,
    parent: Option<PoolArc<Account>>,
    grant: Limits,
    depth: u32,
    /// The number of its share.
    share: u32,
    child: u32,
    /// Neighbours among the parent's children; `next` also links free entries.
    previous: u32,
    next: u32,
}

// SAFETY: The pointer is to an account, which all CPUs may share, and is followed under the lock.
unsafe impl Send for Entry {}

impl Entry {
    const fn free(next: u32) -> Entry {
        let grant = Limits { frames: 0, kernel_bytes: 0, handles: 0 };
        let (account, parent, depth, share) = (None, None, 0, 0);
        Entry { account, parent, grant, depth, share, child: NONE, previous: NONE, next }
    }
}

struct Tree {
    entries: [Entry; MAX_ACCOUNTS],
    /// First of the free entries that were used before, and the last that ever was.
    free: u32,
    used: u32,
    /// How many children of the root have each share.
    sharers: [u32; SHARES],
}

static TREE: SpinMutex<Tree> = SpinMutex::new(Tree {
    entries: [const { Entry::free(NONE) }; MAX_ACCOUNTS],
    free: NONE,
    used: 0,
    sharers: [0; SHARES],
});

/// Makes the account that everything else is taken out of.
///
/// # Errors
/// `OutOfKernelMemory`.
pub fn root(limits: &Limits) -> Result<PoolArc<Account>, VmError> {
    make(None, limits)
}

/// Makes an account with limits that are taken out of its parent's, which also pays for it.
///
/// # Errors
/// `LimitReached` if the parent has not as much left, or with too many accounts or levels;
/// `OutOfKernelMemory`.
pub fn create(parent: &PoolArc<Account>, limits: &Limits) -> Result<PoolArc<Account>, VmError> {
    parent.charge_kernel(size_of::<Account>())?;
    let granted = parent.grant(limits);
    granted.inspect_err(|_| parent.credit_kernel(size_of::<Account>()))?;
    make(Some(parent), limits)
}

fn make(parent: Option<&PoolArc<Account>>, limits: &Limits) -> Result<PoolArc<Account>, VmError> {
    let Some(number) = TREE.lock().take(parent, limits) else {
        parent.into_iter().for_each(|parent| give_back(parent, limits));
        return Err(VmError::LimitReached);
    };
    // Where there is no memory the account is dropped at once, and gives everything back.
    let account = Hardware.share(Account::in_tree(limits, number, end))?;
    TREE.lock().place(number, &account);
    Ok(account)
}

fn give_back(parent: &Account, limits: &Limits) {
    parent.take_back(limits);
    parent.credit_kernel(size_of::<Account>());
}

/// Takes the entry of an account out of the tree that is being dropped.
fn end(number: u32) {
    let (parent, grant) = TREE.lock().remove(number);
    if let Some(parent) = parent {
        give_back(&parent, &grant);
        // Perhaps the parent's end; the table's lock is free.
        drop(parent);
    }
}

/// Returns limits and use of an account, sums over all accounts below it included.
pub fn query(account: &Account) -> AccountInfo {
    let mut info = account.info();
    if let Some(number) = account.number() {
        TREE.lock().add_children(number, &mut info);
    }
    info
}

/// Returns the share of a thread whose process an account pays for.
pub fn share(account: &Account) -> Share {
    let number = account.number().map(|number| TREE.lock().entries[number as usize].share);
    number.and_then(|number| Share::new(number as usize)).unwrap_or(Share::FIRST)
}

impl Tree {
    /// Takes an entry, or `None` if there is none or the parent is too deep.
    fn take(&mut self, parent: Option<&PoolArc<Account>>, grant: &Limits) -> Option<u32> {
        let above = parent.and_then(|parent| parent.number());
        let depth = above.map_or(0, |above| self.entries[above as usize].depth + 1);
        if depth > MAX_DEPTH {
            return None;
        }
        let number = if self.free == NONE { self.used + 1 } else { self.free };
        let entry = self.entries.get_mut(number as usize)?;
        if self.free == NONE {
            self.used = number;
        } else {
            self.free = entry.next;
        }
        *entry = Entry { parent: parent.cloned(), grant: *grant, depth, ..Entry::free(NONE) };
        self.entries[number as usize].share = match above {
            Some(above) if depth > 1 => self.entries[above as usize].share,
            Some(_) => self.take_share(),
            None => 0,
        };
        Some(number)
    }

    /// Takes a share for a child of the root: one that the fewest have.
    fn take_share(&mut self) -> u32 {
        let all = 1..SHARES;
        let share = all.min_by_key(|share| self.sharers[*share]).unwrap_or(0);
        self.sharers[share] += 1;
        share as u32
    }

    /// Puts an account in its place below its parent.
    fn place(&mut self, number: u32, account: &PoolArc<Account>) {
        let parent = self.entries[number as usize].parent.as_ref();
        let above = parent.and_then(|parent| parent.number());
        self.entries[number as usize].account = NonNull::new(ptr::from_ref(&**account).cast_mut());
        let Some(above) = above else { return };
        let first = self.entries[above as usize].child;
        self.entries[number as usize].next = first;
        if first != NONE {
            self.entries[first as usize].previous = number;
        }
        self.entries[above as usize].child = number;
    }

    fn remove(&mut self, number: u32) -> (Option<PoolArc<Account>>, Limits) {
        let free = Entry::free(self.free);
        let Entry { account, parent, grant, previous, next, depth, share, .. } =
            core::mem::replace(&mut self.entries[number as usize], free);
        if depth == 1 {
            self.sharers[share as usize] -= 1;
        }
        self.free = number;
        let above = parent.as_ref().and_then(|parent| parent.number());
        if let (Some(_), Some(above)) = (account, above) {
            if previous == NONE {
                self.entries[above as usize].child = next;
            } else {
                self.entries[previous as usize].next = next;
            }
            if next != NONE {
                self.entries[next as usize].previous = previous;
            }
        }
        (parent, grant)
    }

    /// Adds the use of everything below an account. Every account below is visited once: down to
    /// the first child, else to the next one, else up until there is a next one.
    fn add_children(&self, top: u32, info: &mut AccountInfo) {
        let mut number = self.entries[top as usize].child;
        while number != NONE {
            let entry = &self.entries[number as usize];
            if let Some(account) = entry.account {
                // SAFETY: The invariant of this file: the account lives while its entry is here.
                let account = unsafe { account.as_ref() };
                info.subtree_frames += account.frames();
                info.subtree_kernel_bytes += account.kernel_bytes();
                info.subtree_handles += account.handles();
            }
            number = if entry.child == NONE { self.next_in(number, top) } else { entry.child };
        }
    }

    fn next_in(&self, mut number: u32, top: u32) -> u32 {
        loop {
            let entry = &self.entries[number as usize];
            if entry.next != NONE {
                return entry.next;
            }
            let above = entry.parent.as_ref().and_then(|parent| parent.number());
            match above {
                Some(above) if above != top => number = above,
                _ => return NONE,
            }
        }
    }
}
