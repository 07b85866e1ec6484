//! Starting a service, and stopping it.

use super::{OWNER, PUBLIC, Trouble};
use crate::devices::Devices;
use crate::loader::{BootArchive, Child, Grants};
use crate::{Endpoint, Process};
use vellum_abi::{ExitReport, Rights};

/// What a service may do at its endpoint.
const SERVER: Rights = Rights::READ.union(Rights::INSPECT);

/// A service that this program has started.
#[derive(Debug)]
pub struct Service {
    child: Child,
    owner: Endpoint,
    public: Endpoint,
}

impl Service {
    /// Starts a program of the archive as a service.
    ///
    /// # Errors
    /// `NoProgram`, `NotAProgram`, and those of the kernel.
    pub fn start(
        archive: &BootArchive,
        name: &str,
        arguments: &[&str],
        devices: Devices,
    ) -> Result<Service, Trouble> {
        Service::start_at(Endpoint::new()?, archive, name, arguments, devices)
    }

    /// As [`Self::start`], at an endpoint that something was done to before.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn start_at(
        endpoint: Endpoint,
        archive: &BootArchive,
        name: &str,
        arguments: &[&str],
        devices: Devices,
    ) -> Result<Service, Trouble> {
        let file = archive.find(name).ok_or(Trouble::NoProgram)?;
        let parcel = Some((endpoint.handle(), SERVER));
        let grants = Grants { devices, parcel, ..Grants::default() };
        let words = core::iter::once(name).chain(arguments.iter().copied());
        let child = archive.load_with(grants, file, words).map_err(Trouble::from)?;
        let (owner, public) = (endpoint.with_badge(OWNER)?, endpoint.with_badge(PUBLIC)?);
        child.start()?;
        // From here on the service alone can receive: when it is gone, calls fail.
        drop(endpoint);
        Ok(Service { child, owner, public })
    }

    /// Returns the way to ask as the owner.
    #[must_use]
    pub const fn owner(&self) -> &Endpoint {
        &self.owner
    }

    /// Returns the way to ask for everybody else.
    #[must_use]
    pub const fn public(&self) -> &Endpoint {
        &self.public
    }

    /// Returns the service's process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.child.process
    }

    /// Asks the service to stop, by the number of that question, and waits for its end.
    ///
    /// # Errors
    /// What the service or the kernel says.
    pub fn stop(self, number: u64) -> Result<ExitReport, Trouble> {
        let answer = self.owner.call([number, 0, 0, 0])?;
        Trouble::check(answer.words[0])?;
        Ok(self.child.wait()?)
    }
}
