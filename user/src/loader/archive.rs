//! The boot archive, mapped into a program that may start others.

use super::load::{Child, Grants, LoadError, Program, load};
use crate::devices::Devices;
use crate::mapping::MapRequest;
use core::fmt::{self, Display, Formatter};
use vellum_abi::archive::{Archive, ArchiveError, File};
use vellum_abi::{Error, Handle};

/// Why there is no archive to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The kernel refused to map it.
    Kernel(Error),
    /// The bytes are not an archive.
    Archive(ArchiveError),
}

impl Display for OpenError {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(match self {
            OpenError::Kernel(error) => error.text(),
            OpenError::Archive(error) => error.text(),
        })
    }
}

/// The archive, mapped read-only for the rest of the program's life.
#[derive(Clone, Copy, Debug)]
pub struct BootArchive {
    handle: Handle,
    length: u64,
    archive: Archive<'static>,
}

impl BootArchive {
    /// Maps and checks the archive.
    ///
    /// # Errors
    /// What the kernel or the parser says.
    pub fn open(handle: Handle, length: u64) -> Result<BootArchive, OpenError> {
        let bytes = usize::try_from(length).map_err(|_| OpenError::Kernel(Error::InvalidSize))?;
        let mapping = MapRequest::of(handle, bytes).read_only().map().map_err(OpenError::Kernel)?;
        let start = core::ptr::with_exposed_provenance(mapping.leak());
        // SAFETY: the mapping is as long, read-only and never goes away, and the archive object's
        // frames never change after boot.
        let contents = unsafe { core::slice::from_raw_parts(start, bytes) };
        let archive = Archive::parse(contents).map_err(OpenError::Archive)?;
        Ok(BootArchive { handle, length, archive })
    }

    /// Returns the first file of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<File<'static>> {
        self.archive.find(name)
    }

    /// Returns the options, or nothing if they cannot be read.
    #[must_use]
    pub fn options(&self) -> &'static str {
        self.archive.options().unwrap_or("")
    }

    /// Returns the archive itself.
    #[must_use]
    pub const fn archive(&self) -> &Archive<'static> {
        &self.archive
    }

    /// Loads a file of the archive as a program that gets the archive and the devices too.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn load<'a>(
        &self,
        file: File<'_>,
        arguments: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Child, LoadError> {
        self.load_paid_by(Handle::SELF, file, arguments)
    }

    /// Loads a file of the archive as a program that an account pays for.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn load_paid_by<'a>(
        &self,
        account: Handle,
        file: File<'_>,
        arguments: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Child, LoadError> {
        let grants = Grants { account, devices: Devices::own(), ..Grants::default() };
        self.load_with(grants, file, arguments)
    }

    /// Loads a file of the archive as a program that gets the archive, and what these grants say.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn load_with<'a>(
        &self,
        grants: Grants,
        file: File<'_>,
        arguments: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Child, LoadError> {
        let archive = Some((self.handle, self.length));
        load(Program { file: file.data, arguments, archive, grants })
    }
}
