//! The end of the frames, and the few frames before it.

use super::rounds;
use vellum_user::abi::{Error, Handle};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Mapping, calls, check, testing};

/// Frames that are left to be taken one by one, by calls that can be refused.
const SLOWLY: u64 = 1024;

/// Takes every frame, makes objects there, and expects every frame back.
pub(super) fn exhaust() -> Result<(), Error> {
    let before = testing::stat();
    let hog = Mapping::anonymous(before.total_frames as usize * PAGE)?;
    let pages = before.free_frames - before.free_frames / 256 - SLOWLY;
    (0..pages as usize).for_each(|page| hog.write(page * PAGE, 1));
    let mut page = pages as usize;
    let refusal = loop {
        let address = hog.pointer(page * PAGE).addr() as u64;
        // SAFETY: the page is in the mapping, where no Rust value lives.
        match unsafe { calls::memory_write(Handle::SELF, address, &[1]) } {
            (1, Ok(())) => page += 1,
            (_, result) => break result,
        }
    };
    check!("memory is refused", refusal, Err(Error::OutOfFrames));
    check!("free frames at the end", testing::stat().free_frames, 0);
    rounds("frames", Error::OutOfFrames, || hog.decommit(0..PAGE).expect("page 0 is mapped"));
    few_frames(&hog)?;
    hog.unmap()?;
    let after = testing::stat();
    check!("free frames", after.free_frames, before.free_frames);
    check!("frames charged", after.account_frames, before.account_frames);
    check!("live objects", after.refpages_live, before.refpages_live);
    Ok(())
}

/// Content that needs translation tables before it can be read, with fewer frames than that takes.
fn few_frames(hog: &Mapping) -> Result<(), Error> {
    let mut refused = 0;
    for free in 1..=8 {
        hog.decommit(0..free * PAGE)?;
        let before = testing::stat();
        // Far away from everything else: two or three tables of its own.
        let far = MapRequest::anonymous(PAGE).at(0x5555_5555_5000).map()?;
        let object = testing::reference(&far, 0, PAGE);
        refused += u64::from(object.as_ref().err() == Some(&Error::OutOfFrames));
        check!("enough frames", object.is_ok() || free < 8);
        drop(object);
        far.unmap()?;
        check!(format_args!("{free} frames"), testing::stat().free_frames, before.free_frames);
        check!(format_args!("{free} frames: tables"), testing::stat().pt_frames, before.pt_frames);
    }
    check!("refused with few frames", refused >= 2);
    Ok(())
}
