//! Records that calls fill or read.

words! {
    /// Exact counters. The first group is the whole system's, the rest the process's own.
    pub struct Stat {
        /// Frames of RAM that the kernel manages.
        total_frames,
        /// Frames that nobody has: buddy allocator and all caches.
        free_frames,
        /// Reference objects alive, the kernel's own zero object not counted.
        refpages_live,
        /// Processes that are not yet reaped.
        processes_live,
        /// Bytes of kernel pool memory in use.
        pool_bytes,
        /// Frames that only this process maps, by its private leaves.
        private_frames,
        /// Frames of this process's translation tables.
        pt_frames,
        /// Mappings.
        mappings,
        /// Handles in the table.
        handles,
        /// Faults that mapped a shared frame read-only.
        faults_read_map,
        /// Faults that gave an untouched page a private frame.
        faults_write_fresh,
        /// Faults that replaced a shared frame by a private one.
        faults_write_cow,
        /// Faults that made the process's own frame writable again.
        faults_write_upgrade,
        /// Faults that mapped a frame of a shared object for its users to change.
        faults_object,
        /// Faults that found nothing to do, or nothing but to set an access flag.
        faults_spurious,
        /// Tag check faults.
        faults_tag,
        /// Faults that nothing could resolve, tag check faults not counted.
        faults_denied,
        /// Faults that pointed to a table of leaves which an object shares among its mappings.
        faults_table,
        /// Faults that mapped a block of 2 MiB.
        faults_block,
        /// Leaves that fault-around mapped beside the one asked for.
        pages_around,
        /// Pages that `advise` or an eager `map` made present. Each is counted among the faults of its
        /// kind too, although no program faulted.
        pages_populated,
        /// Private frames that batches made ahead of the fault.
        speculative_frames,
        /// Private blocks of 2 MiB; each counts 512 times in `private_frames`.
        blocks,
        /// Blocks, or shared tables, that were split into leaves of the process's own.
        block_splits,
        /// Ranges of 2 MiB that were made one block.
        block_promotions,
        /// Leaves that `remap` moved one by one.
        leaves_moved,
        /// Whole tables that `remap` moved.
        tables_moved,
        /// Bytes of frames written by fills.
        bytes_filled,
        /// Bytes of frames written by copies, which read as many.
        bytes_copied,
        /// Bytes of tag storage written by fills and copies.
        tag_bytes_written,
        /// TLB maintenance instructions issued.
        tlbi_count,
        /// Bytes written while reference objects were made.
        create_bytes_written,
        /// Bytes of tag storage written while reference objects were made.
        create_tag_bytes_written,
        /// Frames charged to the process's account, which it may share with other processes.
        account_frames,
        /// Kernel memory charged to the process's account, in bytes.
        account_kernel_bytes,
    }
}

impl Stat {
    /// Returns the bytes that the kernel wrote to frames for faults: fills and copies.
    #[must_use]
    pub const fn kernel_bytes_written(&self) -> u64 {
        self.bytes_filled + self.bytes_copied
    }
}

words! {
    /// The machine as the kernel found it at boot, and what CPUs wait for each other.
    pub struct SystemInfo {
        /// Bits of [`Features`].
        features,
        /// CPUs that the device tree names.
        cpus,
        /// Bytes of RAM.
        ram_bytes,
        /// Bytes that `DC ZVA` and `DC GZVA` write (DCZID_EL0), 0 where they are prohibited.
        zero_block_bytes,
        /// Bytes whose tags `LDGM` and `STGM` move (GMID_EL1), 0 without tags.
        tag_block_bytes,
        /// Bits of an address space identifier.
        asid_bits,
        /// Bytes of the kernel image in memory.
        kernel_bytes,
        /// How often a CPU had to wait for a lock of the VM subsystem since boot.
        lock_waits,
    }
}

/// Bits of [`SystemInfo::features`].
pub struct Features;

impl Features {
    /// Allocation tags are kept and checked synchronously (FEAT_MTE2).
    pub const TAGS: u64 = 1 << 0;
    /// The CPU has asymmetric tag checking (FEAT_MTE3).
    pub const ASYMMETRIC_TAGS: u64 = 1 << 1;
    /// The CPU has memory copy and set instructions (FEAT_MOPS).
    pub const MOPS: u64 = 1 << 2;
    /// Memory copy and set instructions are in use, in the kernel and for user programs.
    pub const MOPS_IN_USE: u64 = 1 << 3;
    /// The event counter PMEVCNTR0_EL0 counts retired instructions and can be read by programs.
    pub const INSTRUCTION_COUNTER: u64 = 1 << 4;
    /// Fills take their fallback loops although the CPU would not need it.
    pub const PLAIN_FILLS: u64 = 1 << 5;
}

words! {
    /// What an account may use: frames, bytes of kernel memory, handles.
    pub struct Limits {
        /// Frames: private pages, translation tables, pages of objects.
        frames,
        /// Bytes of kernel memory.
        kernel_bytes,
        /// Handles in the tables of all processes that the account pays for.
        handles,
    }
}

words! {
    /// What an account may use, what it gave away and what is in use.
    pub struct AccountInfo {
        /// The most frames, those of accounts below it included.
        frame_limit,
        /// The most bytes of kernel memory, likewise.
        kernel_byte_limit,
        /// The most handles, likewise.
        handle_limit,
        /// Frames that were granted to accounts below it.
        frames_granted,
        /// Bytes of kernel memory that were granted.
        kernel_bytes_granted,
        /// Handles that were granted.
        handles_granted,
        /// Frames that are charged to the account itself.
        frames,
        /// Bytes of kernel memory that are charged to it.
        kernel_bytes,
        /// Handles that are charged to it.
        handles,
        /// Frames that are charged to it and to every account below it.
        subtree_frames,
        /// Bytes of kernel memory, likewise.
        subtree_kernel_bytes,
        /// Handles, likewise.
        subtree_handles,
    }
}

/// What kind of memory object a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ObjectKind {
    /// Reference object of arbitrary content, filled by copying.
    Bytes = 0,
    /// Reference object of one repeated byte.
    Pattern = 1,
    /// Reference object of zeros under one tag (tag 0: like anonymous memory).
    Tagged = 2,
    /// Memory object of its own frames.
    Memory = 3,
    /// Memory object of frames that exist since boot, such as the archive.
    Fixed = 4,
    /// Memory object whose pages repeat without end.
    Wrap = 5,
    /// Registers of a device.
    Device = 6,
    /// Memory object whose pages a pager supplies.
    Paged = 7,
}

impl ObjectKind {
    /// Returns the kind with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<ObjectKind> {
        match number {
            0 => Some(ObjectKind::Bytes),
            1 => Some(ObjectKind::Pattern),
            2 => Some(ObjectKind::Tagged),
            3 => Some(ObjectKind::Memory),
            4 => Some(ObjectKind::Fixed),
            5 => Some(ObjectKind::Wrap),
            6 => Some(ObjectKind::Device),
            7 => Some(ObjectKind::Paged),
            _ => None,
        }
    }
}

words! {
    /// What a memory object is.
    pub struct ObjectInfo {
        /// An [`ObjectKind`] number.
        kind,
        /// The repeated byte or the tag; 0 for other kinds.
        detail,
        /// Length in bytes, for a wrap object that of what repeats; 0 for reference objects.
        length,
        /// Handles and mappings that keep the object alive.
        references,
        /// Frames that the object holds.
        frames,
    }
}

/// What stands behind one page of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PageState {
    /// Nothing yet: the first access faults.
    Untouched = 0,
    /// A shared frame, read-only.
    ReadShared = 1,
    /// A frame of this process alone.
    Private = 2,
    /// A frame of a shared object that stores change for everybody.
    Object = 3,
}

words! {
    /// One mapping, and the page that was asked for.
    pub struct MappingInfo {
        /// First address.
        start,
        /// Length in bytes.
        length,
        /// [`crate::Protection`] bits; WRITE always comes with READ.
        protection,
        /// [`crate::MapFlags`] bits: SHARED, SEALED and GUARD.
        flags,
        /// A [`crate::Policy`] number.
        policy,
        /// Offset in the object of the first page, in bytes.
        offset,
        /// An [`ObjectKind`] number.
        kind,
        /// The repeated byte or the tag of the object.
        detail,
        /// A [`PageState`] number, of the page asked for; of the first page where the address lies
        /// below the mapping.
        page,
    }
}
