//! The loader: from the bytes of an ELF file to a process that runs it.
//!
//! [`image`] decides, from the bytes alone, what would be mapped where; it runs on the host too.
//! [`load`] does it with system calls. [`layout`] says where everything that is not in the file
//! goes, and [`ending`] says in words how a process ended.

#[cfg(target_os = "none")]
mod archive;
pub mod ending;
pub mod image;
pub mod layout;
#[cfg(target_os = "none")]
mod load;

#[cfg(target_os = "none")]
pub use {
    archive::{BootArchive, OpenError},
    load::{Child, Grants, LoadError, Program, Step, load, map_image},
};
