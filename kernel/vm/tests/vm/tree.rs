//! The tree of mappings against an ordered map.

use crate::explore::explore;
use proptest::prelude::{Strategy, prop_oneof};
use std::collections::BTreeMap;
use vellum_abi::{FaultAccess, Policy, Protection, Switches};
use vellum_model::{Model, ModelOptions, PooledShared, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::{Page, PageRange};
use vellum_vm::counters::Counters;
use vellum_vm::facts::Facts;
use vellum_vm::machine::Pools;
use vellum_vm::mapping::{Mapping, MappingKind};
use vellum_vm::mappings::{Mappings, Node, ROOM};
use vellum_vm::object::MemoryObject;
use vellum_vm::page_table::Sharing;
use vellum_vm::refpage;
use vellum_vm::sequence::Sequence;
use vellum_vm::tag::Tag;

type Host = Model<Single>;
/// The first page of every test, and how many follow: on both sides of where room is looked for.
const BASE: u64 = ROOM.number() - 100;
const PAGES: u64 = 400;

struct Tree {
    model: Host,
    object: PooledShared<MemoryObject<Host>>,
    /// An object whose tags nobody defined.
    fixed: PooledShared<MemoryObject<Host>>,
    mappings: Mappings<Host>,
}

impl Tree {
    fn new() -> Tree {
        let model = Host::new(ModelOptions::default());
        let account = model.share(Account::new(9, u64::MAX / 2)).expect("a pool");
        let zero = refpage::tagged(&model, &account, Tag::ZERO, &Counters::new());
        let object = model.share(zero.expect("a frame")).expect("a pool");
        let fixed = MemoryObject::fixed(model.clone(), account, model.first_fixed(), 4);
        let fixed = model.share(fixed.expect("a pool")).expect("a pool");
        Tree { model, object, fixed, mappings: Mappings::default() }
    }

    fn insert(&mut self, start: u64, end: u64) {
        self.insert_with(start, end, 0);
    }

    /// Puts a mapping in, what stands against operations on which is a function of `flavour`.
    fn insert_with(&mut self, start: u64, end: u64, flavour: u8) {
        let object = if flavour & 4 == 0 { &self.object } else { &self.fixed };
        let allowed = Protection::from_bits(u64::from(flavour >> 4)).expect("four bits");
        let mapping = Mapping {
            range: range(start, end),
            object: object.clone(),
            offset: 0,
            protection: Protection::READ,
            maximum: allowed,
            sharing: if flavour & 2 == 0 { Sharing::Private } else { Sharing::Shared },
            sealed: flavour & 1 != 0,
            kind: MappingKind::Plain,
            policy: Policy::ReferencePage,
            switches: Switches::NONE,
            around: 0,
            hint: None,
            sequence: Sequence::default(),
        };
        self.mappings.insert(Node::allocate(&self.model, || mapping).expect("a pool"));
    }

    fn check_balance(&self) {
        // What a height-balanced tree of so many nodes may have at most (Knuth, 6.2.3, theorem A).
        let most = 1.4405 * (self.mappings.count() as f64 + 2.0).log2() - 0.327;
        assert!(f64::from(self.mappings.height()) <= most, "{} high", self.mappings.height());
    }
}

fn range(start: u64, end: u64) -> PageRange {
    PageRange::between(Page::from_number(start), Page::from_number(end)).expect("a range")
}

fn bounds(mapping: Option<&Mapping<Host>>) -> Option<(u64, u64)> {
    mapping.map(|mapping| (mapping.range.start().number(), mapping.range.end().number()))
}

/// The lowest room for some pages at or above another, by looking at every one.
fn lowest_room(flat: &BTreeMap<u64, u64>, from: u64, pages: u64) -> u64 {
    let mut start = from;
    for (low, high) in flat {
        if *high > start && low.saturating_sub(start) < pages {
            start = *high;
        }
    }
    start
}

fn compare(tree: &Tree, flat: &BTreeMap<u64, u64>, page: u64, pages: u64) {
    let (mappings, here) = (&tree.mappings, Page::from_number(page));
    let pair = |(start, end): (&u64, &u64)| (*start, *end);
    let covering = flat.range(..=page).next_back().map(pair).filter(|(_, end)| *end > page);
    let above = covering.or_else(|| flat.range(page..).next().map(pair));
    let below = flat.iter().map(pair).rfind(|(_, end)| *end <= page);
    assert_eq!(bounds(mappings.find(here)), covering);
    assert_eq!(bounds(mappings.at_or_above(here)), above);
    assert_eq!(bounds(mappings.below(here)), below);
    let asked = range(page, page + pages);
    let mapped = |page: u64| flat.iter().any(|(start, end)| (*start..*end).contains(&page));
    let covered = (page..page + pages).filter(|page| mapped(*page)).count() as u64;
    assert_eq!(mappings.covers(&asked), covered == pages);
    assert_eq!(mappings.is_free(&asked), covered == 0);
    let (low, high) = mappings.around(here);
    assert_eq!((bounds(low), bounds(high)), (below, above));
    if let Some((mapping, beside)) = mappings.at(here) {
        let (start, end) = bounds(Some(mapping)).expect("bounds");
        let low = flat.range(..start).next_back().map_or(0, |(_, end)| *end);
        let high = flat.range(end..).next().map_or(1 << 36, |(start, _)| *start);
        assert_eq!((beside.low.number(), beside.high.number()), (low, high));
        assert_eq!(mappings.beside(&mapping.range), beside);
    }
    assert_eq!(mappings.facts(&asked), naive_facts(mappings, &asked));
    let inside: Vec<_> = in_range(mappings, &asked).map(|found| bounds(Some(found))).collect();
    let overlapping = flat.iter().map(pair).filter(|(a, b)| *a < page + pages && *b > page);
    assert_eq!(inside, overlapping.map(Some).collect::<Vec<_>>());
    let gap = mappings.find_gap(here, pages).map(|gap| gap.start().number());
    assert_eq!(gap, Some(lowest_room(flat, page, pages)));
    compare_room(mappings, flat, pages);
    assert_eq!(mappings.count(), flat.len() as u64);
    tree.check_balance();
    assert!(mappings.is_sound());
}

/// The best place is the lowest that fits, and what is beside it is known.
fn compare_room(mappings: &Mappings<Host>, flat: &BTreeMap<u64, u64>, pages: u64) {
    let room = mappings.find_room(pages).expect("room above everything");
    let start = lowest_room(flat, ROOM.number(), pages);
    assert_eq!(room.range, range(start, start + pages));
    let pair = |(start, end): (&u64, &u64)| (*start, *end);
    assert_eq!(bounds(room.below), flat.iter().map(pair).rfind(|(_, end)| *end <= start));
    assert_eq!(bounds(room.above), flat.range(start..).next().map(pair));
    assert!(room.is_free() && mappings.is_free(&room.range));
}

/// What is true of any mapping of a range, by looking at every page.
fn naive_facts(mappings: &Mappings<Host>, range: &PageRange) -> Facts {
    let pages = (0..range.pages()).map(|index| range.start().add(index));
    let found = pages.filter_map(|page| mappings.find(page));
    found.fold(Facts::NONE, |facts, mapping| facts.and(Facts::of(mapping)))
}

#[test]
fn facts_name_what_stands_against_an_operation_and_nothing_else() {
    let mut tree = Tree::new();
    (0..=255).for_each(|flavour| {
        let start = BASE + 2 * u64::from(flavour);
        tree.insert_with(start, start + 1, flavour);
        let facts = tree.mappings.facts(&range(start, start + 2));
        assert_eq!(facts.any_sealed(), flavour & 1 != 0);
        assert_eq!(facts.any_shared_read_only(), flavour & 2 != 0, "neither object is writable");
        assert_eq!(facts.any_undefined_tags(), flavour & 4 != 0);
        for protection in (0..16).filter_map(Protection::from_bits) {
            let allowed = protection.bits() & !u64::from(flavour >> 4) == 0;
            assert_eq!(facts.all_allow(protection), allowed);
        }
    });
    let all = tree.mappings.facts(&range(BASE, BASE + 512));
    assert!(all.any_sealed() && all.any_shared_read_only() && all.any_undefined_tags());
    assert!(!all.all_allow(Protection::READ) && all.all_allow(Protection::NONE));
    assert_eq!(tree.mappings.facts(&range(BASE + 1, BASE + 2)), Facts::NONE);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(u64, u64, u8),
    /// Lets the mapping that covers a page grow up to its neighbour, or by some pages.
    Grow(u64, u64),
    /// Takes pages off the start or the end of the mapping that covers a page.
    Shrink(u64, bool),
    Remove(u64),
    /// Gives the mapping of a page a new place, if that is between its neighbours.
    Shift(u64, u64, u64),
    /// Gives the mapping that covers a page a protection of these bits.
    Protect(u64, u64),
    Ask(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let page = || BASE..BASE + PAGES;
    prop_oneof![
        3 => (page(), 1..9u64, 0u8..).prop_map(|(page, pages, flavour)| {
            Op::Insert(page, pages, if flavour & 8 == 0 { 0xf0 } else { flavour })
        }),
        1 => (page(), proptest::bool::ANY).prop_map(|(page, start)| Op::Shrink(page, start)),
        2 => page().prop_map(Op::Remove),
        3 => (page(), -12..12i64, 1..9u64)
            .prop_map(|(page, by, pages)| Op::Shift(page, page.saturating_add_signed(by), pages)),
        1 => (page(), 1..9u64).prop_map(|(page, pages)| Op::Grow(page, pages)),
        1 => (page(), 0..16u64).prop_map(|(page, bits)| Op::Protect(page, bits)),
        2 => (page(), 1..20u64).prop_map(|(page, pages)| Op::Ask(page, pages)),
    ]
}

fn shift(tree: &mut Tree, flat: &mut BTreeMap<u64, u64>, page: u64, to: PageRange) {
    let here = Page::from_number(page);
    let Some((start, end)) = bounds(tree.mappings.find(here)) else { return };
    let low = flat.range(..start).next_back().map_or(0, |(_, end)| *end);
    let high = flat.range(end..).next().map_or(u64::MAX, |(start, _)| *start);
    if low <= to.start().number() && to.end().number() <= high {
        tree.mappings.alter(here, |mapping| mapping.go_to(to));
        flat.remove(&start);
        flat.insert(to.start().number(), to.end().number());
    }
}

fn grow(tree: &mut Tree, flat: &mut BTreeMap<u64, u64>, page: u64, pages: u64) {
    let here = Page::from_number(page);
    let Some((start, end)) = bounds(tree.mappings.find(here)) else { return };
    let next = flat.range(end..).next().map_or(u64::MAX, |(next, _)| *next);
    let grown = range(start, next.min(end + pages));
    let high = tree.mappings.beside(&range(start, end)).high;
    if pages > 4 && high != Page::END {
        tree.mappings.leave_out(high);
    }
    tree.mappings.alter_end(&range(start, end), grown.end(), high, |low| low.absorb(grown.end()));
    flat.insert(start, grown.end().number());
}

#[test]
fn the_tree_answers_as_an_ordered_map_does() {
    explore(4000, 300, op(), |sequence| {
        let (mut tree, mut flat) = (Tree::new(), BTreeMap::new());
        for op in sequence {
            match op {
                Op::Insert(start, pages, flavour) => {
                    if tree.mappings.is_free(&range(start, start + pages)) {
                        tree.insert_with(start, start + pages, flavour);
                        flat.insert(start, start + pages);
                    }
                    compare(&tree, &flat, start, pages);
                }
                Op::Shrink(page, from_start) => {
                    let here = Page::from_number(page);
                    let covering = bounds(tree.mappings.find(here));
                    if let Some((start, end)) = covering.filter(|(start, _)| *start < page) {
                        let whole = range(start, end);
                        match from_start {
                            true => tree.mappings.alter(here, |mapping| mapping.begin_at(here)),
                            false => {
                                let high = tree.mappings.beside(&whole).high;
                                let cut_fn = |mapping: &mut Mapping<_>| mapping.truncate(here);
                                tree.mappings.alter_end(&whole, here, high, cut_fn);
                            }
                        }
                        flat.remove(&start);
                        let left = if from_start { (page, end) } else { (start, page) };
                        flat.insert(left.0, left.1);
                    }
                    compare(&tree, &flat, page, 3);
                }
                Op::Grow(page, pages) => {
                    grow(&mut tree, &mut flat, page, pages);
                    compare(&tree, &flat, page, pages);
                }
                Op::Protect(page, bits) => {
                    let protection = Protection::from_bits(bits).expect("four bits");
                    tree.mappings.set_protection(Page::from_number(page), protection);
                    compare(&tree, &flat, page, 20);
                }
                Op::Remove(page) => {
                    let covering = bounds(tree.mappings.find(Page::from_number(page)));
                    let removed = tree.mappings.remove(Page::from_number(page));
                    assert_eq!(
                        removed.map(|node| bounds(Some(node.mapping()))),
                        covering.map(Some)
                    );
                    covering.map(|(start, _)| flat.remove(&start));
                    compare(&tree, &flat, page, 3);
                }
                Op::Shift(page, start, pages) => {
                    shift(&mut tree, &mut flat, page, range(start, start + pages));
                    compare(&tree, &flat, start, pages);
                }
                Op::Ask(page, pages) => compare(&tree, &flat, page, pages),
            }
        }
    });
}

#[test]
fn ten_thousand_mappings_stay_balanced_in_whatever_order_they_come_and_go() {
    let scattered = |number: u64| number * 7919 % 10_000;
    let inwards =
        |number: u64| if number.is_multiple_of(2) { number / 2 } else { 9_999 - number / 2 };
    let orders: [fn(u64) -> u64; 4] =
        [|number| number, |number| 9_999 - number, scattered, inwards];
    for order in orders {
        let mut tree = Tree::new();
        for number in 0..10_000 {
            let start = BASE + 2 * order(number);
            tree.insert(start, start + 1);
            if number % 100 == 0 {
                tree.check_balance();
            }
        }
        tree.check_balance();
        // Every gap has one page, so two fit only behind the last.
        let base = Page::from_number(BASE);
        let one = tree.mappings.find_gap(base, 1).map(|gap| gap.start().number());
        let two = tree.mappings.find_gap(base, 2).map(|gap| gap.start().number());
        assert_eq!((one, two), (Some(BASE + 1), Some(BASE + 19_999)));
        for number in 0..10_000 {
            let page = Page::from_number(BASE + 2 * scattered(number));
            assert!(tree.mappings.remove(page).is_some());
            if number % 100 == 0 {
                tree.check_balance();
            }
        }
        assert_eq!((tree.mappings.count(), tree.mappings.height()), (0, 0));
    }
}

#[test]
fn a_gap_is_found_at_the_end_of_the_user_half_or_not_at_all() {
    let (mut tree, end) = (Tree::new(), PageRange::whole().end().number());
    tree.insert(BASE, end - 3);
    let base = Page::from_number(BASE);
    let gap = |pages| tree.mappings.find_gap(base, pages).map(|gap| gap.start().number());
    assert_eq!((gap(1), gap(3), gap(4)), (Some(end - 3), Some(end - 3), None));
    assert_eq!(gap(u64::MAX >> 20), None);
}

#[test]
fn facts_follow_a_change_of_protection() {
    let mut tree = Tree::new();
    (0..64).for_each(|page| tree.insert_with(BASE + page, BASE + page + 1, 0xf0));
    let whole = range(BASE, BASE + 64);
    let asks = [FaultAccess::Read, FaultAccess::Write, FaultAccess::Execute];
    let served = |tree: &Tree, asked: &PageRange| {
        assert_eq!(tree.mappings.facts(asked), naive_facts(&tree.mappings, asked));
        asks.map(|access| tree.mappings.facts(asked).all_serve(access))
    };
    assert_eq!(served(&tree, &whole), [true, false, false]);
    for page in 0..64 {
        let here = Page::from_number(BASE + page);
        tree.mappings.set_protection(here, Protection::WRITE);
        assert_eq!(served(&tree, &range(BASE, BASE + page + 1)), [true, true, false]);
        assert_eq!(served(&tree, &whole), [true, page == 63, false]);
    }
    tree.mappings.set_protection(Page::from_number(BASE + 40), Protection::EXECUTE);
    assert_eq!(served(&tree, &whole), [false; 3]);
}

/// Returns the mappings that share a page with a range, from below.
fn in_range<'a>(
    mappings: &'a Mappings<Model<Single>>,
    range: &PageRange,
) -> impl Iterator<Item = &'a Mapping<Model<Single>>> {
    let end = range.end();
    let first = mappings.at_or_above(range.start());
    core::iter::successors(first, |mapping| mappings.at_or_above(mapping.range.end()))
        .take_while(move |mapping| mapping.range.start() < end)
}
