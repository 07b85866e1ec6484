//! What the monitor needs and no kernel: editing a line.
//!
//! Owns: the way from bytes of a terminal to a finished line. Refuses to know: where bytes come from and go
//! to, and what a line means. All of it runs on the host too, where its tests are.
//!
//! Of the line editors for programs without an operating system, those that are kept have no completion and
//! want to own input and output; these few pages have both and own neither.

pub mod completion;
pub mod editor;
pub mod history;
pub mod keys;
pub mod line;

pub use editor::{Editor, Event};
