//! The one way to define a record that crosses the kernel boundary.

/// Defines a record of named 64-bit words with conversions to and from a word array.
///
/// The array form is what is copied: it has no padding, needs no `unsafe`, and its field names are
/// available to whoever prints or checks it.
macro_rules! words {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: u64,)* }

        impl $name {
            /// The names of the words, in order.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
            /// How many words the record has.
            pub const WORDS: usize = Self::FIELDS.len();

            /// Returns the record as words, in the order of [`Self::FIELDS`].
            #[must_use]
            pub const fn to_words(&self) -> [u64; [$(stringify!($field)),*].len()] {
                [$(self.$field),*]
            }

            /// Returns the record that `words` hold.
            #[must_use]
            pub const fn from_words(words: [u64; [$(stringify!($field)),*].len()]) -> Self {
                let [$($field),*] = words;
                Self { $($field),* }
            }
        }
    };
}
