//! Random operations. Every number is taken modulo what exists, so that shrinking keeps a sequence
//! meaningful.

use proptest::prelude::{Just, Strategy};
use proptest::{option, prop_oneof};
use vellum_abi::{FaultAccess, MapFlags, PAGE_SIZE, Protection};

/// Pages in a window.
pub(crate) const WINDOW: u64 = 12;
/// First pages of the windows: the first three lie across the edge of a table of each level, the
/// last is where mappings without a wish go.
const WINDOWS: [u64; 4] =
    [5 * (1 << 9) - 6, 3 * (1 << 18) - 6, 2 * (1 << 27) - 6, 0x10_0000_0000 / PAGE_SIZE];

/// A byte in a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    window: usize,
    page: u64,
    pub(crate) offset: usize,
}

impl At {
    pub(crate) fn page(self) -> u64 {
        WINDOWS[self.window] + self.page
    }

    /// Returns the multiple of a size at or below.
    pub(crate) fn aligned(self, size: usize) -> At {
        At { offset: self.offset & !(size - 1), ..self }
    }

    pub(crate) fn address(self) -> u64 {
        self.page() * PAGE_SIZE + self.offset as u64
    }
}

/// Pages of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    window: usize,
    page: u64,
    pub(crate) pages: u64,
}

impl Span {
    /// Returns the whole of a window.
    pub(crate) fn window(window: usize) -> Span {
        Span { window, page: 0, pages: WINDOW }
    }

    pub(crate) fn start(self) -> u64 {
        WINDOWS[self.window] + self.page
    }

    pub(crate) fn range(self) -> std::ops::Range<u64> {
        self.start()..self.start() + self.pages
    }
}

/// What a user access does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Load,
    Store(u8),
    Execute,
    LoadTag,
    StoreTag(u8),
}

impl From<Access> for FaultAccess {
    fn from(access: Access) -> FaultAccess {
        match access {
            Access::Load | Access::LoadTag => FaultAccess::Read,
            Access::Store(_) | Access::StoreTag(_) => FaultAccess::Write,
            Access::Execute => FaultAccess::Execute,
        }
    }
}

/// What an object is made as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Create {
    Pattern(u8),
    Tagged(u8),
    Memory(u64),
    Fixed(u64),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Create(usize, Create),
    /// `from_user`: address and log2 of the size.
    Snapshot(usize, At, u32),
    DropHandle(usize),
    Map {
        space: usize,
        object: usize,
        span: Span,
        offset: u64,
        protection: Protection,
        maximum: Protection,
        flags: MapFlags,
        /// Whether the address is passed.
        wish: bool,
    },
    /// With a page that is touched between the steps.
    Unmap(usize, Span, At),
    Protect(usize, Span, Protection, At),
    Decommit(usize, Span, At),
    /// CPU, address, access, and a tag other than the right one.
    Access(usize, At, Access, Option<u8>),
    KernelRead(usize, At, usize),
    KernelWrite(usize, At, usize, u8),
    Query(usize, At),
    /// Lets a CPU run an address space.
    Switch(usize, usize),
    /// Drops an address space and makes another.
    Renew(usize),
}

fn window() -> impl Strategy<Value = usize> {
    prop_oneof![12 => Just(0usize), 6 => Just(1usize), 1 => Just(2usize), 1 => Just(3usize)]
}

fn at() -> impl Strategy<Value = At> {
    // Few offsets, so that tags and bytes meet again.
    let offset = prop_oneof![3 => 0..48usize, 1 => Just(4080usize), 1 => 0..PAGE_SIZE as usize];
    (window(), 0..WINDOW, offset).prop_map(|(window, page, offset)| At { window, page, offset })
}

fn span() -> impl Strategy<Value = Span> {
    (window(), 0..WINDOW, 1..=WINDOW).prop_map(|(window, page, pages)| Span {
        window,
        page,
        pages: pages.min(WINDOW - page),
    })
}

const R: Protection = Protection::READ;
const W: Protection = Protection::WRITE;
const X: Protection = Protection::EXECUTE;
const T: Protection = Protection::TAGGED;

/// What most mappings allow.
pub(crate) const READ_WRITE: Protection = R.union(W);

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![
        4 => Just(READ_WRITE),
        4 => Just(READ_WRITE.union(T)),
        2 => Just(R),
        2 => Just(R.union(T)),
        2 => Just(R.union(X)),
        1 => Just(W),
        1 => Just(X),
        1 => Just(Protection::NONE),
        1 => (0..16u64).prop_map(|bits| Protection::from_bits(bits).expect("four bits")),
    ]
}

fn maximum() -> impl Strategy<Value = Protection> {
    prop_oneof![9 => Just(Protection::ALL), 1 => Just(R.union(X).union(T)), 1 => Just(R)]
}

fn flags() -> impl Strategy<Value = MapFlags> {
    let fixed = MapFlags::FIXED;
    let place = prop_oneof![
        3 => Just(fixed),
        5 => Just(fixed | MapFlags::REPLACE),
        2 => Just(MapFlags::NONE),
    ];
    let shared = prop_oneof![2 => Just(MapFlags::NONE), 1 => Just(MapFlags::SHARED)];
    let sealed = prop_oneof![40 => Just(MapFlags::NONE), 1 => Just(MapFlags::SEALED)];
    (place, shared, sealed).prop_map(|(place, shared, sealed)| place | shared | sealed)
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        4 => Just(Access::Load),
        4 => (1..200u8).prop_map(Access::Store),
        1 => Just(Access::Execute),
        2 => Just(Access::LoadTag),
        2 => (0..12u8).prop_map(Access::StoreTag),
    ]
}

fn create() -> impl Strategy<Value = Create> {
    prop_oneof![
        (0..3u8).prop_map(|byte| Create::Pattern(byte * 0x55)),
        (0..12u8).prop_map(Create::Tagged),
        prop_oneof![4 => 0..30u64, 1 => 500..1100u64].prop_map(Create::Memory),
        (1..4u64).prop_map(Create::Fixed),
    ]
}

fn map() -> impl Strategy<Value = Op> {
    let offset = prop_oneof![4 => 0..6u64, 1 => 490..1000u64];
    let wish = prop_oneof![3 => Just(true), 1 => Just(false)];
    (0..2usize, 0..8usize, span(), offset, protection(), maximum(), flags(), wish).prop_map(
        |(space, object, span, offset, protection, maximum, flags, wish)| {
            let wish = wish || flags.contains(MapFlags::FIXED);
            Op::Map { space, object, span, offset, protection, maximum, flags, wish }
        },
    )
}

/// Any operation.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    let n = || 0..2usize;
    let tag = option::weighted(0.1, 0..12u8);
    prop_oneof![
        2 => (n(), create()).prop_map(|(space, create)| Op::Create(space, create)),
        3 => (n(), at(), prop_oneof![0..13u32, Just(4), Just(12)]).prop_map(|(space, at, size)| Op::Snapshot(space, at, size)),
        1 => (0..8usize).prop_map(Op::DropHandle),
        8 => map(),
        2 => (n(), span(), at()).prop_map(|(space, span, at)| Op::Unmap(space, span, at)),
        6 => (n(), span(), protection(), at())
            .prop_map(|(space, span, protection, at)| Op::Protect(space, span, protection, at)),
        4 => (n(), span(), at()).prop_map(|(space, span, at)| Op::Decommit(space, span, at)),
        40 => (n(), at(), access(), tag)
            .prop_map(|(cpu, at, access, tag)| Op::Access(cpu, at, access, tag)),
        4 => (n(), at(), 1..600usize).prop_map(|(space, at, size)| Op::KernelRead(space, at, size)),
        4 => (n(), at(), 1..600usize, 1..200u8)
            .prop_map(|(space, at, size, byte)| Op::KernelWrite(space, at, size, byte)),
        2 => (n(), at()).prop_map(|(space, at)| Op::Query(space, at)),
        4 => (n(), n()).prop_map(|(cpu, space)| Op::Switch(cpu, space)),
        1 => n().prop_map(Op::Renew),
    ]
}
