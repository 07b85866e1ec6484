//! Making huge pages of what is mapped already.

use crate::{Mapping, calls, raw};
use vellum_abi::{Advice, Call, Error, Handle};

impl Mapping {
    /// Makes a private block of every aligned 2 MiB of the mapping, which has HUGE switched on, and
    /// returns how many were made. No content changes, whatever the answer is.
    ///
    /// # Errors
    /// `NotMapped`; `WrongPolicy` without the switch; `NotPermitted` where the mapping allows no
    /// write or allows execution; `OutOfFrames`, `LimitReached` where memory ended before the range.
    pub fn promote(&self) -> Result<u64, Error> {
        let (address, length) = (self.address() as u64, self.length() as u64);
        let advice = Advice::Promote as u64;
        let arguments = [Handle::SELF.to_word(), address, length, advice, 0, 0];
        // SAFETY: promotion changes no content and no permission.
        calls::result(unsafe { raw::call(Call::Advise as u64, arguments) })
    }
}
