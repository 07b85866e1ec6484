//! Messages between threads.
//!
//! Owns: endpoints, where a caller meets who serves it (`endpoint`; most meet in `direct`), what passes from one to the other
//! (`message`), what the kernel itself tells of a thread (`report`) and who handles that (`handling`),
//! notifications (`notification`), and device interrupts that raise their bits (`interrupt`). Refuses to know:
//! what a message means, and how a thread is switched to.
//!
//! A message is a few words in registers and at most one handle. Nothing is ever kept in an endpoint: a
//! caller waits with its message in its own registers, and with its handle in its own table, until
//! somebody receives it. So sending allocates nothing, a queue takes no memory however long it is, and
//! what a thread that dies had sent dies with it.
//!
//! Nobody waits for ever for a partner that is gone. A caller whose server ends, or receives another
//! message without having answered, gets `PartnerGone`; so does one that calls an endpoint, or waits at
//! one, for which no handle with the right to receive is left.
//!
//! Lock order: an endpoint's lock is one of the wait queues; what a thread serves is a leaf below it.

pub mod direct;
pub mod endpoint;
pub mod handling;
pub mod interrupt;
pub mod message;
mod named;
pub mod notification;
pub mod report;

pub use endpoint::Endpoint;
pub use handling::Handling;
pub use interrupt::Interrupt;
pub use named::Named;
pub use notification::{Notification, NotificationName};
pub use report::Report;
