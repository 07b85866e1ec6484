//! What a refused call must leave as it is.

use vellum_user::abi::{Handle, Stat, USER_START};
use vellum_user::{calls, testing};

/// Everything that counters and `query` tell about this process and the system's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    free_frames: u64,
    pool_bytes: u64,
    refpages_live: u64,
    processes_live: u64,
    private_frames: u64,
    pt_frames: u64,
    mappings: u64,
    handles: u64,
    account: [u64; 2],
    /// A hash of every word of every mapping's description.
    layout: u64,
}

impl State {
    /// Looks.
    pub(crate) fn now() -> State {
        let Stat {
            free_frames,
            pool_bytes,
            refpages_live,
            processes_live,
            private_frames,
            pt_frames,
            mappings,
            handles,
            account_frames,
            account_kernel_bytes,
            ..
        } = testing::stat();
        State {
            free_frames,
            pool_bytes,
            refpages_live,
            processes_live,
            private_frames,
            pt_frames,
            mappings,
            handles,
            account: [account_frames, account_kernel_bytes],
            layout: layout(),
        }
    }
}

/// Returns the FNV-1a hash, by words, of what `query` says of all mappings.
fn layout() -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut address = USER_START;
    while let Ok(info) = calls::query_mapping(Handle::SELF, address) {
        for word in info.to_words() {
            hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
        address = info.start + info.length;
    }
    hash
}
