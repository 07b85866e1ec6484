//! The operations, in one table.

use crate::random::Rng;
use crate::word::{
    Address, Byte, Content, Count, Cpu, Kind, Maximum, Moving, Offset, Placing, PointerTag,
    Protect, Slot, Space, Span, Style, Tag, Word,
};
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter};
use vellum_abi::Protection;

/// Defines [`Op`] from one table: how often a random script has the operation, its name in text,
/// and its fields, each of a type that reads, writes and makes itself.
macro_rules! operations {
    ($($(#[$meta:meta])* $weight:literal $text:literal $name:ident { $($field:ident: $type:ty),* };)*) => {
        /// One operation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the fields are explained at their types")]
        pub enum Op { $($(#[$meta])* $name { $($field: $type),* },)* }

        impl Op {
            /// Reads a line.
            #[must_use]
            pub fn parse(line: &str) -> Option<Op> {
                let mut words = line.split_whitespace();
                let op = match words.next()? {
                    $($text => Op::$name { $($field: <$type>::read(&mut words)?),* },)*
                    _ => return None,
                };
                words.next().is_none().then_some(op)
            }

            /// Returns the operation's name in text.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Op::$name { .. } => $text,)* }
            }

            /// Makes any operation.
            pub fn random(rng: &mut Rng) -> Op {
                let mut number = rng.below(0 $(+ $weight)*);
                $(
                    if number < $weight {
                        return Op::$name { $($field: <$type>::random(rng)),* };
                    }
                    number -= $weight;
                )*
                unreachable!("{number} is below the sum of the weights")
            }

            /// Returns the same operation with one field simpler, for each field that can be.
            #[must_use]
            pub fn simpler(&self) -> Vec<Op> {
                let mut all = Vec::new();
                match self {
                    $(Op::$name { $($field),* } => { $(
                        for simpler in $field.simpler() {
                            let mut op = self.clone();
                            if let Op::$name { $field, .. } = &mut op {
                                *$field = simpler;
                            }
                            all.push(op);
                        }
                    )* })*
                }
                all
            }
        }

        impl Display for Op {
            fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
                formatter.write_str(self.name())?;
                match self {
                    $(Op::$name { $($field),* } => {
                        $(formatter.write_str(" ")?; $field.write(formatter)?;)*
                    })*
                }
                Ok(())
            }
        }
    };
}

impl Op {
    /// Returns whether the operation needs a machine with allocation tags.
    #[must_use]
    pub fn needs_tags(&self) -> bool {
        match self {
            Op::Create { kind: Kind::Tagged(_), .. } | Op::LoadTag { .. } | Op::StoreTag { .. } => {
                true
            }
            Op::Map { protection, style, .. } => {
                style.tag.is_some() || protection.0.contains(Protection::TAGGED)
            }
            Op::Protect { protection, .. } => protection.0.contains(Protection::TAGGED),
            _ => false,
        }
    }
}

operations! {
    /// Makes an object and puts it into a slot; what was there is closed first.
    3 "create" Create { slot: Slot, kind: Kind };
    /// Makes a reference object of bytes that an address space can read.
    3 "snapshot" Snapshot { space: Space, slot: Slot, content: Content };
    /// As `snapshot`, of an object without a frame.
    2 "frameless" Frameless { space: Space, slot: Slot, content: Content };
    /// Closes the handle in a slot.
    1 "close" Close { slot: Slot };
    /// Maps an object; the number is the offset in pages.
    14 "map" Map {
        space: Space, slot: Slot, span: Span, offset: Offset, protection: Protect,
        maximum: Maximum, placing: Placing, style: Style
    };
    /// Unmaps.
    2 "unmap" Unmap { space: Space, span: Span };
    /// Changes the protection.
    6 "protect" Protect { space: Space, span: Span, protection: Protect };
    /// Gives private frames back.
    4 "decommit" Decommit { space: Space, span: Span };
    /// Resizes or moves; the new length is that of the second span, its address is used if fixed.
    6 "remap" Remap { space: Space, old: Span, new: Span, moving: Moving };
    /// Does what a load of each page would do.
    2 "populate-read" PopulateRead { space: Space, span: Span };
    /// Does what a store to each page would do.
    2 "populate-write" PopulateWrite { space: Space, span: Span };
    /// Makes blocks, of which no window has room for one: what is refused is refused.
    1 "promote" Promote { space: Space, span: Span };
    /// A program loads a byte.
    14 "load" Load { cpu: Cpu, address: Address, tag: PointerTag };
    /// A program stores a byte.
    14 "store" Store { cpu: Cpu, address: Address, tag: PointerTag, byte: Byte };
    /// A program jumps to an address.
    2 "execute" Execute { cpu: Cpu, address: Address };
    /// A program loads an allocation tag.
    5 "ldg" LoadTag { cpu: Cpu, address: Address };
    /// A program stores an allocation tag.
    6 "stg" StoreTag { cpu: Cpu, address: Address, tag: Tag };
    /// The kernel reads on behalf of somebody, up to the end of the page.
    4 "kread" KernelRead { space: Space, address: Address, count: Count };
    /// The kernel writes one byte again and again, up to the end of the page.
    4 "kwrite" KernelWrite { space: Space, address: Address, count: Count, byte: Byte };
    /// Asks what is mapped.
    2 "query" Query { space: Space, address: Address };
    /// Lets a CPU run an address space.
    4 "switch" Switch { cpu: Cpu, space: Space };
    /// Ends an address space; a clone of another takes its place.
    2 "clone" Clone { space: Space, target: Space };
    /// Ends an address space; an empty one takes its place.
    1 "renew" Renew { space: Space };
}
