//! The pages of an object that nobody reaches go back in steps, none longer than its budget.

use crate::support::Rig;
use vellum_model::{ModelOptions, Single};
use vellum_vm::page_store::PageStore;

#[test]
fn pages_go_back_in_steps_of_the_budget_and_nodes_with_the_last_of_theirs() {
    let rig = Rig::<Single>::new();
    let (model, account) = (&rig.model, &*rig.account);
    let before = (model.free_frames(), account.frames());
    let store = PageStore::new(model, account, 1024).expect("a frame for the root");
    // Five pages below each of two nodes.
    for page in (0..5).chain(600..605) {
        assert!(store.commit(model, account, page).is_ok_and(|written| written.is_some()));
    }
    let left = || (before.0 - model.free_frames(), account.frames() - before.1);
    assert_eq!(left(), (13, 13));
    // In the second step the first node goes with its last page.
    for frames in [9, 4, 0] {
        assert_eq!(store.clear_some(model, account, 4), frames == 0);
        assert_eq!(left(), (frames, frames as u64));
    }
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}
