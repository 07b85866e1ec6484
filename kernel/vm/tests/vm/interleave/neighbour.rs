//! What others do while a long operation is under way.
//!
//! Owns: acts of threads of the same process, on any CPU, of the kernel on their behalf, of a pager that
//! takes pages from here, and of children. Each ends by itself: none waits for the operation.

use super::patience;
use super::play::{CPUS, PAGED, Play};
use crate::coverage::note;
use crate::support::{READ, WRITE};
use vellum_abi::FaultAccess;
use vellum_model::{Fault, FaultKind};
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::fault::Outcome;

/// Faults that one access may take, one behind the other, with nobody else about.
const FAULTS: u32 = 20;

impl Play {
    /// Lets neighbours act, so many times at most.
    pub(super) fn neighbours(&mut self, most: u64) {
        for _ in 0..self.draw.below(most + 1) {
            self.neighbour();
        }
    }

    fn neighbour(&mut self) {
        match self.draw.below(12) {
            0 => self.go_on_with_block(),
            1 => {
                patience::act("a write of the kernel's");
                let written = self.rig.space.write_page(self.draw.address(), &[3]);
                note("write", written);
            }
            2 => {
                patience::act("a page that moves to a pager's object");
                let (index, page) = (self.draw.below(PAGED), self.draw_page());
                let moved = self.paged.supply_move(index, &self.rig.space, page, false);
                note("supply", moved.is_ok());
            }
            3 => {
                patience::act("a query");
                let page = self.draw_page();
                _ = self.rig.space.query(page);
            }
            4 => self.disturb_child(),
            _ => self.touch(),
        }
    }

    fn draw_page(&mut self) -> Page {
        Page::containing(self.draw.address())
    }

    /// Goes on with a block that somebody is making, or forgets it.
    fn go_on_with_block(&mut self) {
        patience::act("a step of a block");
        let Some(mut block) = self.blocks.pop() else { return };
        if self.draw.one_in(8) {
            return drop(block);
        }
        if !block.step(&self.rig.space) {
            self.blocks.insert(0, block);
        }
    }

    /// Lets a child write what it may share, or end.
    fn disturb_child(&mut self) {
        patience::act("something of a child's");
        let (ends, address) = (self.draw.one_in(10), self.draw.address());
        if ends {
            self.children.pop();
        } else if let Some(child) = self.children.last() {
            note("child", child.0.write_page(address, &[5]));
        }
    }

    /// Makes one access, with what its faults call for, as far as it goes.
    fn touch(&mut self) {
        let access = self.draw.pick(&[READ, WRITE]);
        let (cpu, pointer) = (self.draw.below(CPUS), UserPointer::new(self.draw.address()));
        patience::act(if access == WRITE { "a store" } else { "a load" });
        for _ in 0..FAULTS {
            match self.access(cpu as usize, pointer, access) {
                Ok(()) => return note(access, "done"),
                Err(Fault { kind: FaultKind::TagCheck, .. }) => return note(access, "TagCheck"),
                Err(_) => {}
            }
            match self.rig.space.handle_fault_at(pointer, access) {
                Outcome::Resume => {}
                Outcome::Long => match self.rig.space.begin_block(pointer, access) {
                    Ok(block) => {
                        self.blocks.push(block);
                        return note(access, "block");
                    }
                    Err(Outcome::Resume) => {}
                    Err(outcome) => return note(access, outcome),
                },
                outcome => return note(access, outcome),
            }
        }
        panic!("an access at {pointer:?} that faults for ever");
    }

    fn access(&self, cpu: usize, pointer: UserPointer, access: FaultAccess) -> Result<(), Fault> {
        let cpu = self.rig.model.cpu(cpu);
        if access == WRITE { cpu.store(pointer, 1) } else { cpu.load(pointer).map(|_| ()) }
    }
}
