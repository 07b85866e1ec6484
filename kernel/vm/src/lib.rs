//! The VM subsystem.
#![no_std]
#![forbid(unsafe_code)]
