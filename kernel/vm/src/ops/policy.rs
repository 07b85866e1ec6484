//! Which policy suits which object and mapping.

use crate::machine::Machine;
use crate::object::MemoryObject;
use crate::page_table::Sharing;
use vellum_abi::{MapFlags, MapOptions, Policy};

/// Returns whether an object can be mapped so.
///
/// * A shared mapping shows the object's own frames, so no policy that is about private ones.
/// * `Eager` does not replace: if frames run out, what was there could not be put back. It asks no
///   pager, which may need what it has in hand.
/// * `InMapping` has one page to copy, `Wrap` an object that repeats.
/// * An object without frames has nothing to show: pages are private from the first access on.
pub(super) fn suits<M: Machine>(
    options: &MapOptions,
    sharing: Sharing,
    object: &MemoryObject<M>,
) -> bool {
    let private = sharing == Sharing::Private;
    match options.policy {
        Policy::ReferencePage | Policy::Object => object.has_frames(),
        Policy::UserPager => object.is_paged(),
        Policy::Wrap => object.wraps(),
        Policy::InMapping => private && object.has_reference_frame(),
        Policy::PatternOnAnyFault => private,
        Policy::Eager => {
            private && !object.is_paged() && !options.flags.contains(MapFlags::REPLACE)
        }
    }
}
