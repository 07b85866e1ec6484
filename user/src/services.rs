//! Services: processes that others ask by messages.
//!
//! Owns: how a service is started, how it answers, and the words of each one's messages ([`console`],
//! [`processes`], [`pager`]), with the side that asks. The side that answers is a program of `user/src/bin`. Refuses to
//! know: what a service does.
//!
//! A question's first word says what is asked (bits 7:0) and how long what follows is (above). An answer's
//! first word is 0, or why not: the number of an [`Error`] of the kernel or of a [`Trouble`]. What does not
//! fit into words goes through a memory object of whoever asks ([`shared`]).
//!
//! **A server answers the call that it received last.** So no service keeps a caller waiting: whoever wants to
//! be told later hands over a notification, which is raised, and asks again.

pub mod ring;

#[cfg(target_os = "none")]
mod ask;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod pager;
#[cfg(target_os = "none")]
pub mod pl011;
#[cfg(target_os = "none")]
pub mod processes;
#[cfg(target_os = "none")]
pub mod serve;
#[cfg(target_os = "none")]
pub mod shared;
#[cfg(target_os = "none")]
mod start;

#[cfg(target_os = "none")]
pub use start::Service;

use core::fmt::{self, Display, Formatter};
use vellum_abi::Error;

/// The badge of whoever started a service, who alone may stop it.
pub const OWNER: u64 = 1;
/// The badge of everybody else.
pub const PUBLIC: u64 = 2;

/// Defines [`Trouble`] from one table of number, variant and text.
macro_rules! troubles {
    ($($(#[$meta:meta])* $number:literal $variant:ident $text:literal;)*) => {
        /// Why a service refuses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Trouble {
            /// The kernel refused something.
            Kernel(Error),
            $($(#[$meta])* $variant,)*
        }

        impl Trouble {
            /// Returns the first word of the answer.
            #[must_use]
            pub const fn to_word(self) -> u64 {
                match self { Trouble::Kernel(error) => error as u64, $(Trouble::$variant => $number),* }
            }

            /// Returns what the first word of an answer says.
            ///
            /// # Errors
            /// If it says no.
            pub const fn check(word: u64) -> Result<(), Trouble> {
                match word {
                    0 => Ok(()),
                    $($number => Err(Trouble::$variant),)*
                    number => Err(match Error::from_number(number) {
                        Some(error) => Trouble::Kernel(error),
                        None => Trouble::Unknown,
                    }),
                }
            }

            /// Returns one line for a human.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    Trouble::Kernel(error) => error.text(),
                    $(Trouble::$variant => $text),*
                }
            }
        }
    };
}

troubles! {
    /// A question or an answer that makes no sense.
    1000 Unknown "the service does not understand";
    /// Only the service's owner may ask for that.
    1001 NotOwner "for the service's owner alone";
    /// No program of that name.
    1002 NoProgram "no such program";
    /// The file is no program.
    1003 NotAProgram "not a program";
    /// The arguments are too long, or no text.
    1004 BadArguments "arguments too long, or no text";
    /// No process of that number.
    1005 NoProcess "no such process";
    /// The process still runs.
    1006 StillRuns "the process still runs";
    /// No more processes at a time.
    1007 TooMany "too many processes";
    /// The process has ended already.
    1008 HasEnded "the process has ended already";
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Kernel(error)
    }
}

#[cfg(target_os = "none")]
impl From<crate::loader::LoadError> for Trouble {
    fn from(error: crate::loader::LoadError) -> Trouble {
        use crate::loader::LoadError;
        match error {
            LoadError::Image(_) => Trouble::NotAProgram,
            LoadError::ArgumentsTooLong => Trouble::BadArguments,
            LoadError::Kernel(_, error) => Trouble::Kernel(error),
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;
    use vellum_abi::Error;

    #[test]
    fn every_refusal_survives_its_word() {
        assert_eq!(Trouble::check(0), Ok(()));
        for error in Error::ALL {
            assert_eq!(Trouble::check(*error as u64), Err(Trouble::Kernel(*error)));
        }
        for word in 1000..1009 {
            assert_eq!(Trouble::check(word).map_err(Trouble::to_word), Err(word));
        }
        assert_eq!(Trouble::check(u64::MAX), Err(Trouble::Unknown));
    }
}
