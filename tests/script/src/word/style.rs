//! What a mapping is made with beyond protection and place.

use super::{Word, number};
use crate::random::Rng;
use alloc::vec::Vec;
use core::fmt::{self, Formatter};
use core::str::SplitWhitespace;
use vellum_abi::{MapFlags, MapOptions, Policy, Switches};

/// Policy, switches, width of fault-around and tag hint: names joined by `+`, or `-` for none of
/// them, which is also what a line means that ends before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// How clean pages get their contents.
    pub policy: Policy,
    /// What is switched on.
    pub switches: Switches,
    /// log2 of the pages that one read fault maps.
    pub around: u8,
    /// The tag of a tag hint, of which only mappings of anonymous memory take notice.
    pub tag: Option<u8>,
}

const POLICIES: [(&str, Policy); 5] = [
    ("eager", Policy::Eager),
    ("anyfault", Policy::PatternOnAnyFault),
    ("inmapping", Policy::InMapping),
    ("object", Policy::Object),
    ("wrap", Policy::Wrap),
];
const SWITCHES: [(&str, Switches); 6] = [
    ("tables", Switches::SHARED_TABLES),
    ("batch", Switches::BATCH),
    ("tagaware", Switches::TAG_AWARE),
    ("atomicaware", Switches::ATOMIC_AWARE),
    ("huge", Switches::HUGE),
    ("hugewrites", Switches::HUGE_WRITES),
];
const AROUND: &str = "around:";
const HINT: &str = "hint:";

impl Style {
    /// Returns the options of a mapping made so.
    #[must_use]
    pub fn apply(self, options: MapOptions) -> MapOptions {
        let Style { policy, switches, around, tag } = self;
        let hint = if tag.is_some() { MapFlags::TAG_HINT } else { MapFlags::NONE };
        let flags = options.flags | hint;
        MapOptions { policy, switches, around, tag: tag.unwrap_or(0), flags, ..options }
    }

    fn add(self, name: &str) -> Option<Style> {
        if let Some((_, policy)) = POLICIES.iter().find(|(known, _)| *known == name) {
            return Some(Style { policy: *policy, ..self });
        }
        if let Some((_, switch)) = SWITCHES.iter().find(|(known, _)| *known == name) {
            return Some(Style { switches: self.switches | *switch, ..self });
        }
        if let Some(around) = name.strip_prefix(AROUND) {
            let around = number(around).filter(|n| *n <= u64::from(MapOptions::LAST_AROUND))?;
            return Some(Style { around: around as u8, ..self });
        }
        let tag = number(name.strip_prefix(HINT)?).filter(|tag| *tag < 16)?;
        Some(Style { tag: Some(tag as u8), ..self })
    }

    fn is_consistent(&self) -> bool {
        self.switches.contains(Switches::HUGE) || !self.switches.contains(Switches::HUGE_WRITES)
    }
}

impl Word for Style {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Style> {
        match words.next() {
            None | Some("-") => Some(Style::default()),
            Some(word) => {
                let style = word.split('+').try_fold(Style::default(), Style::add);
                style.filter(Style::is_consistent)
            }
        }
    }

    fn write(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if *self == Style::default() {
            return formatter.write_str("-");
        }
        let mut between = "";
        let mut put_fn = |text: fmt::Arguments<'_>| {
            formatter.write_fmt(format_args!("{between}{text}"))?;
            between = "+";
            Ok(())
        };
        for (name, policy) in &POLICIES {
            if *policy == self.policy {
                put_fn(format_args!("{name}"))?;
            }
        }
        for (name, _) in SWITCHES.iter().filter(|(_, switch)| self.switches.contains(*switch)) {
            put_fn(format_args!("{name}"))?;
        }
        if self.around != 0 {
            put_fn(format_args!("{AROUND}{}", self.around))?;
        }
        self.tag.map_or(Ok(()), |tag| put_fn(format_args!("{HINT}{tag}")))
    }

    /// Half of all are plain. The real kernel's batches are its own affair: what they make ahead is
    /// not told to a script there.
    fn random(rng: &mut Rng) -> Style {
        if rng.below(2) == 0 {
            return Style::default();
        }
        let policy = rng.weighted(&[
            (6, Policy::ReferencePage),
            (1, Policy::Eager),
            (2, Policy::PatternOnAnyFault),
            (2, Policy::InMapping),
            (1, Policy::Object),
            (2, Policy::Wrap),
        ]);
        let batch = if rng.setting.on_kernel { Switches::NONE } else { Switches::BATCH };
        let switches = rng.weighted(&[
            (4, Switches::NONE),
            (2, Switches::SHARED_TABLES),
            (1, Switches::HUGE),
            (1, Switches::HUGE | Switches::HUGE_WRITES),
            (3, batch),
            (1, Switches::TAG_AWARE | Switches::ATOMIC_AWARE),
            (1, Switches::SHARED_TABLES | Switches::TAG_AWARE | batch),
        ]);
        let around = rng.weighted(&[(4, 0), (1, 1), (1, 2), (2, 4), (1, 9)]);
        let tag = (rng.setting.tags && rng.below(3) == 0).then(|| rng.below(12) as u8);
        Style { policy, switches, around, tag }
    }

    fn simpler(&self) -> Vec<Style> {
        let plain = Style::default();
        let mut all = [
            Style { policy: plain.policy, ..*self },
            Style { switches: plain.switches, ..*self },
            Style { around: 0, ..*self },
            Style { tag: None, ..*self },
        ]
        .to_vec();
        all.retain(|other| other != self);
        all
    }
}
