//! Each operation of a script on the subsystem, with the answer compared to the flat model's.

use crate::coverage::note;
use crate::harness::{CPUS, Harness, Host};
use vellum_abi::{Error, ExitKind, FaultAccess, MapFlags, MapOptions, Policy};
use vellum_model::Single;
use vellum_script::flat::{End, Expected, FlatMap};
use vellum_script::op::Op;
use vellum_script::word::{Address, Count, Space, Span};
use vellum_vm::addr::{Page, PageRange, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::ops::{AccessRefusal, Change, MapRequest, RemapRequest};

pub(crate) fn page_range(span: Span) -> PageRange {
    PageRange::new(span.address(), span.length()).expect("a user range")
}

impl Harness {
    /// Does an operation of which the flat model said what must come of it.
    pub(crate) fn perform(&mut self, op: &Op, expected: Expected) {
        match (op, expected) {
            (_, Expected::Nothing) => {}
            (Op::Create { slot, kind }, Expected::Object(wanted)) => {
                let made = self.create(*kind);
                self.register(slot.0, made.map_err(Error::from), wanted);
            }
            (Op::Snapshot { space, slot, content }, Expected::Object(wanted)) => {
                self.slots[slot.0] = None;
                let made = self.snapshot(*space, *content);
                self.register(slot.0, made, wanted);
            }
            (Op::Frameless { space, slot, content }, Expected::Object(wanted)) => {
                self.slots[slot.0] = None;
                self.frameless(*space, slot.0, *content, wanted);
            }
            (Op::Close { slot }, _) => self.slots[slot.0] = None,
            (Op::Map { space, .. }, Expected::Map(request, wanted)) => {
                self.map(space.0, &request, wanted);
            }
            (Op::Unmap { space, span }, Expected::Call(wanted)) => {
                match self.space(space.0).unmap(page_range(*span)).transpose() {
                    Some(begun) => self.drive(*space, *span, begun, wanted),
                    None => assert_eq!(wanted, Ok(0)),
                }
            }
            (Op::Protect { space, span, protection }, Expected::Call(wanted)) => {
                let begun = self.space(space.0).protect(page_range(*span), protection.0);
                self.drive(*space, *span, begun, wanted);
            }
            (Op::Decommit { space, span }, Expected::Call(wanted)) => {
                let begun = self.space(space.0).decommit(page_range(*span));
                self.drive(*space, *span, begun, wanted);
            }
            (Op::Remap { space, old, new, moving }, Expected::Call(wanted)) => {
                let request = RemapRequest {
                    old: old.address(),
                    old_length: old.length(),
                    new_length: new.length(),
                    flags: moving.0,
                    new: new.address(),
                };
                self.remap(*space, &request, wanted);
            }
            (Op::PopulateRead { space, span }, Expected::Call(wanted)) => {
                let begun = self.space(space.0).populate(page_range(*span), FaultAccess::Read);
                self.drive(*space, *span, begun, wanted);
            }
            (Op::PopulateWrite { space, span }, Expected::Call(wanted)) => {
                let begun = self.space(space.0).populate(page_range(*span), FaultAccess::Write);
                self.drive(*space, *span, begun, wanted);
            }
            (Op::Promote { space, span }, Expected::Call(wanted)) => {
                assert_eq!(self.promote(space.0, *span), wanted, "promotion");
            }
            (Op::KernelRead { space, address, count }, Expected::Bytes(wanted)) => {
                assert_eq!(self.kernel_read(*space, *address, *count), wanted, "kernel read");
            }
            (Op::KernelWrite { space, address, count, byte }, Expected::Call(wanted)) => {
                let bytes = vec![byte.0; count.0 as usize];
                let written = self.space(space.0).write_page(address.0, &bytes);
                assert_eq!(written.map(|n| n as u64).map_err(error_of), wanted, "kernel write");
            }
            (Op::Query { space, address }, Expected::Mapping(wanted)) => {
                let found = self.space(space.0).query(Page::from_number(address.page()));
                assert_eq!(found.map_err(refused), wanted.ok_or(Error::NotMapped));
            }
            (Op::Switch { cpu, space }, _) => self.switch(cpu.0, space.0),
            (Op::Clone { space, target }, _) => self.clone_space(space.0, target.0),
            (Op::Renew { space }, _) => self.renew(space.0),
            (_, Expected::Access(pointer, wanted)) => self.user_access(op, pointer, wanted),
            (op, expected) => panic!("{op} cannot end with {expected:?}"),
        }
    }

    fn map(&mut self, space: usize, request: &FlatMap, wanted: Result<u64, Error>) {
        let real = MapRequest::<Host> {
            object: self.objects[&request.object].clone(),
            address: request.address,
            length: request.length,
            offset: request.offset,
            options: request.style.apply(MapOptions {
                protection: request.protection,
                flags: request.flags,
                ..MapOptions::default()
            }),
            maximum: request.maximum,
        };
        let begun = self.space(space).map(&real);
        drop(real);
        let (address, change) = match begun {
            Ok(begun) => begun,
            Err(refusal) => {
                note("map", refused(refusal));
                return assert_eq!(Err(refused(refusal)), wanted);
            }
        };
        assert_eq!(Ok(address), wanted, "where the mapping went");
        let eager = request.style.policy == Policy::Eager;
        assert!(change.is_none() || eager || request.flags.contains(MapFlags::REPLACE));
        note("map", if change.is_some() && !eager { "replaced" } else { "fresh" });
        note("map", format!("{:?}", request.style.policy));
        let target = self.space(space);
        if let Some(mut change) = change {
            while !change.step(target) {
                let fault = target.handle_fault(Page::containing(address), FaultAccess::Read);
                assert_eq!(fault, Outcome::Changing);
            }
            assert_eq!(change.failure(), None);
        }
    }

    /// Moves step by step; what is moved waits meanwhile.
    fn remap(&self, space: Space, request: &RemapRequest, wanted: Result<u64, Error>) {
        note("remap", wanted.map(|_| request.flags));
        let target = self.space(space.0);
        // What an eager mapping gains is populated behind the move, and only that waits then.
        let before = target.query(Page::containing(request.old));
        let eager = before.is_ok_and(|mapping| mapping.policy == Policy::Eager as u64);
        let (address, change) = match target.remap(request) {
            Ok(begun) => begun,
            Err(refusal) => return assert_eq!(Err(refused(refusal)), wanted),
        };
        assert_eq!(Ok(address), wanted, "where the pages went");
        let Some(mut change) = change else { return };
        while !change.step(target) {
            note("remap", "step");
            assert_eq!(target.remap(request).map(|_| ()), Err(Refusal::Changing));
            if address != request.old && !eager {
                for page in [request.old, address].map(Page::containing) {
                    assert_eq!(target.handle_fault(page, FaultAccess::Write), Outcome::Changing);
                }
            }
        }
        assert_eq!(change.failure(), None);
    }

    /// Runs a change step by step, with faults on both sides of its edge between the steps.
    fn drive(
        &mut self,
        space: Space,
        span: Span,
        begun: Result<Change<Host>, Refusal>,
        wanted: Result<u64, Error>,
    ) {
        note("change", wanted.map(|_| ()));
        let mut change = match begun {
            Ok(change) => change,
            Err(refusal) => return assert_eq!(Err(refused(refusal)), wanted),
        };
        assert_eq!(wanted, Ok(0));
        while !change.step(self.space(space.0)) {
            note("change", "step");
            let target = self.space(space.0);
            let inside = Page::from_number(span.start + span.pages / 2);
            assert_eq!(target.handle_fault(inside, FaultAccess::Write), Outcome::Changing);
            let read = target.read_page(inside.address(), &mut [0; 8]);
            assert_eq!(read, Err(AccessRefusal::Changing));
            let second = target.unmap(page_range(span)).map(|_| ());
            assert_eq!(second, Err(Refusal::Changing));
            for page in [span.start - 1, span.range().end] {
                if self.flat.fills_tables(space.0, page) {
                    // How much one fault fills depends on where mappings end meanwhile.
                    continue;
                }
                let (space, address) = (space, Address(page * vellum_abi::PAGE_SIZE));
                let read = Op::KernelRead { space, address, count: Count(1) };
                self.flat.is_changing = true;
                let Expected::Bytes(wanted) = self.flat.apply(&read) else { panic!("no bytes") };
                self.flat.is_changing = false;
                assert_eq!(self.kernel_read(space, address, Count(1)), wanted);
            }
        }
    }

    fn user_access(&mut self, op: &Op, pointer: u64, wanted: End) {
        let (Op::Load { cpu, .. }
        | Op::Store { cpu, .. }
        | Op::Execute { cpu, .. }
        | Op::LoadTag { cpu, .. }
        | Op::StoreTag { cpu, .. }) = op
        else {
            panic!("{op} is no access");
        };
        let cpu = cpu.0 % CPUS;
        Single::run_on(cpu);
        let pointer = UserPointer::new(pointer);
        let end = self.access(cpu, pointer, op);
        note(op.name(), name(wanted));
        assert_eq!(end, wanted, "{op} at {:x}", pointer.tagged());
        if let (Op::Execute { .. }, End::Value(_)) = (op, end) {
            self.check_fetch(cpu, pointer);
        }
        if let End::Death(_) = end {
            self.renew(self.running[cpu]);
        }
    }

    /// Checks that fetch sees what was written, but for an object that others may be writing.
    fn check_fetch(&self, cpu: usize, pointer: UserPointer) {
        let number = Page::containing(pointer.untagged()).number();
        let page = &self.flat.spaces[self.running[cpu]].pages[&number];
        let fetched = self.model.cpu(cpu).execute(pointer);
        let synchronised = fetched.is_ok_and(|(_, synchronised)| synchronised);
        assert!(synchronised || self.flat.objects[&page.object].is_memory());
    }

    fn kernel_read(&self, space: Space, address: Address, count: Count) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; count.0 as usize];
        let read = self.space(space.0).read_page(address.0, &mut bytes);
        let length = read.map_err(error_of)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Returns the answer of a refused operation.
pub(crate) fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Error(error) => error.into(),
        Refusal::Changing | Refusal::Absent(..) => panic!("nothing else is going on"),
    }
}

fn error_of(refusal: AccessRefusal) -> Error {
    match refusal {
        AccessRefusal::Fault(kind) => VmError::of_access(kind).into(),
        AccessRefusal::Changing | AccessRefusal::Absent(..) => panic!("nothing else is going on"),
    }
}

/// Returns how an access ended, without the value.
fn name(end: End) -> String {
    match end {
        End::Value(_) => "done".into(),
        End::Death(ExitKind::TagCheck) => "TagFault".into(),
        End::Death(kind) => format!("{kind:?}"),
    }
}
