//! The arguments of the calls of pagers, and which values are bad.

use crate::classes::{Bad, bad};
use crate::parameters::{Kind, Parameter, of};
use crate::scene::{HOLE, NO_ACCESS, OBJECT_BYTES, Value, WRITABLE};
use Value::{Endpoint, Memory, Number, Paged, PagedNotManaged, Pattern};
use vellum_user::abi::{Error, PAGE_SIZE};

const LAST_PAGE: u64 = PAGE_SIZE.wrapping_neg();
const PAGE: Value = Number(PAGE_SIZE);
const NONE: Value = Number(0);

pub(crate) const CREATE: &[Parameter] =
    &[of(Kind::CalledEndpoint, Endpoint), of(Kind::NewLength, PAGE), of(Kind::OneFlag, NONE)];
pub(crate) const SUPPLY: &[Parameter] = &[
    of(Kind::SuppliedObject, Paged),
    of(Kind::SuppliedOffset, NONE),
    of(Kind::SuppliedLength, PAGE),
    of(Kind::SuppliedPages, Number(WRITABLE)),
    of(Kind::SupplyOptions, NONE),
];

/// Lengths of new objects, paged ones or others.
pub(crate) const NEW_LENGTHS: &[Bad] = &[
    bad("zero", Number(0), Error::InvalidSize),
    bad("unaligned", Number(1), Error::Misaligned),
    bad("more than can be mapped", Number((1 << 47) + PAGE_SIZE), Error::InvalidSize),
    bad("half of everything", Number(1 << 63), Error::InvalidSize),
    bad("nearly 2^64", Number(LAST_PAGE), Error::InvalidSize),
];
pub(crate) const NOT_SUPPLIED: &[Bad] = &[
    bad("a paged object without MANAGE", PagedNotManaged, Error::MissingRight),
    bad("another memory object, without MANAGE", Memory, Error::MissingRight),
    bad("a reference object, without MANAGE", Pattern, Error::MissingRight),
];
const SUPPLIED_OFFSETS: &[Bad] = &[
    bad("unaligned", Number(1), Error::Misaligned),
    bad("the end", Number(OBJECT_BYTES), Error::BeyondEnd),
    bad("nearly 2^64", Number(LAST_PAGE), Error::BeyondEnd),
];
const SUPPLIED_LENGTHS: &[Bad] = &[
    bad("zero", Number(0), Error::InvalidSize),
    bad("unaligned", Number(PAGE_SIZE + 1), Error::Misaligned),
    bad("beyond the end", Number(OBJECT_BYTES + PAGE_SIZE), Error::BeyondEnd),
    bad("nearly 2^64", Number(LAST_PAGE), Error::BeyondEnd),
];
pub(crate) const NOT_COPIED: &[Bad] = &[
    bad("unmapped", Number(HOLE), Error::BadAddress),
    bad("no access", Number(NO_ACCESS), Error::BadAddress),
    bad("a handle, which is no address", Paged, Error::Misaligned),
];
const SUPPLY_OPTIONS: &[Bad] = &[
    bad("behind the last way", Number(5), Error::InvalidFlags),
    bad("an unknown flag", Number(1 << 9), Error::InvalidFlags),
    bad("a watch over nothing", Number(0x103), Error::InvalidFlags),
    bad("the highest bit", Number(1 << 63), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
];

/// Returns the bad values of a kind of argument that only pagers give.
pub(crate) const fn tables(kind: Kind) -> &'static [&'static [Bad]] {
    match kind {
        Kind::SuppliedOffset => &[SUPPLIED_OFFSETS],
        Kind::SuppliedLength => &[SUPPLIED_LENGTHS],
        _ => &[SUPPLY_OPTIONS],
    }
}
