//! Each random operation on both sides, with the answers compared.

use crate::coverage::note;
use crate::flat::FlatMap;
use crate::harness::{CPUS, End, Harness, Host};
use crate::ops::{Access, At, Create, Op, Span};
use vellum_abi::{ExitKind, FaultAccess, MapFlags, MapOptions, PAGE_SIZE};
use vellum_model::Single;
use vellum_vm::addr::{Page, PageRange, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::ops::{AccessRefusal, Change, MapRequest};
use vellum_vm::refpage;

/// The most objects with open handles.
const OBJECTS: usize = 8;

pub(crate) fn page_range(span: Span) -> PageRange {
    PageRange::new(span.start() * PAGE_SIZE, span.pages * PAGE_SIZE).expect("a user range")
}

impl Harness {
    pub(crate) fn perform(&mut self, op: Op) {
        let spaces = self.spaces.len();
        match op {
            Op::Create(space, create) if self.objects.len() < OBJECTS => {
                self.create_any(space % spaces, create);
            }
            Op::Snapshot(space, at, size) if self.objects.len() < OBJECTS => {
                self.snapshot(space % spaces, at, size);
            }
            Op::Create(..) | Op::Snapshot(..) => {}
            Op::DropHandle(object) => self.drop_handle(object),
            Op::Map { space, object, span, offset, protection, maximum, flags, wish } => {
                let Some(id) = self.some_object(object) else { return };
                let request = FlatMap {
                    object: id,
                    address: if wish { span.start() * PAGE_SIZE } else { 0 },
                    length: span.pages * PAGE_SIZE,
                    offset: offset * PAGE_SIZE,
                    protection,
                    maximum,
                    flags,
                };
                self.map(space % spaces, &request);
            }
            Op::Unmap(space, span, at) => {
                let space = space % spaces;
                let begun = self.space(space).unmap(page_range(span));
                let wanted = self.flat.clone().spaces[space].unmap(span.range());
                self.drive(space, span, begun, wanted, at);
                let _ = self.flat.spaces[space].unmap(span.range());
            }
            Op::Protect(space, span, protection, at) => {
                let space = space % spaces;
                let begun = self.space(space).protect(page_range(span), protection);
                let mut ahead = self.flat.clone();
                let wanted = ahead.spaces[space].protect(&ahead.objects, span.range(), protection);
                self.drive(space, span, begun, wanted, at);
                let flat = &mut self.flat;
                let _ = flat.spaces[space].protect(&flat.objects, span.range(), protection);
            }
            Op::Decommit(space, span, at) => {
                let space = space % spaces;
                let begun = self.space(space).decommit(page_range(span));
                let wanted = self.flat.clone().spaces[space].decommit(span.range());
                self.drive(space, span, begun, wanted, at);
                let _ = self.flat.spaces[space].decommit(span.range());
            }
            Op::Access(cpu, at, access, tag) => self.user_access(cpu % CPUS, at, access, tag),
            Op::KernelRead(space, at, size) => self.kernel_read(space % spaces, at, size),
            Op::KernelWrite(space, at, size, byte) => {
                self.kernel_write(space % spaces, at, size, byte);
            }
            Op::Query(space, at) => {
                let space = space % spaces;
                let found = self.space(space).query(Page::from_number(at.page()));
                assert_eq!(found, self.flat.spaces[space].query(&self.flat, at.page()));
            }
            Op::Switch(cpu, space) => self.switch(cpu % CPUS, space % spaces),
            Op::Renew(space) => self.renew(space % spaces),
        }
    }

    fn some_object(&self, number: usize) -> Option<usize> {
        self.objects.keys().nth(number % self.objects.len().max(1)).copied()
    }

    fn create_any(&mut self, space: usize, create: Create) {
        match (self.create(space, create), create) {
            (result, Create::Memory(0)) => assert_eq!(result, Err(VmError::InvalidSize)),
            (result, _) => assert!(result.is_ok(), "{result:?}"),
        }
    }

    fn drop_handle(&mut self, number: usize) {
        if let Some(id) = self.some_object(number) {
            self.objects.remove(&id);
            self.flat.objects.get_mut(&id).expect("both sides have it").handle = false;
        }
    }

    fn snapshot(&mut self, space: usize, at: At, log2: u32) {
        let at = if at.offset % 8 == 7 { at } else { at.aligned(1 << log2) };
        let (pointer, size) = (UserPointer::new(at.address() | 7 << 56), 1 << log2);
        let made = refpage::from_user(self.space(space), pointer, size);
        if !at.address().is_multiple_of(size) {
            assert_eq!(made.err(), Some(Refusal::Error(VmError::Misaligned)));
            return;
        }
        match self.flat.touch(space, at.page(), FaultAccess::Read) {
            Ok(()) => {
                let flat = self.flat.snapshot(space, at.page(), at.offset, size as usize);
                let made = made.unwrap_or_else(|refusal| panic!("{refusal:?}"));
                note("snapshot", made.kind().0);
                self.register(made, flat);
            }
            Err(_) => assert_eq!(made.err(), Some(Refusal::Error(VmError::BadAddress))),
        }
    }

    pub(crate) fn map(&mut self, space: usize, request: &FlatMap) {
        let real = MapRequest::<Host> {
            object: self.objects[&request.object].clone(),
            address: request.address,
            length: request.length,
            offset: request.offset,
            options: MapOptions {
                protection: request.protection,
                flags: request.flags,
                ..MapOptions::default()
            },
            maximum: request.maximum,
        };
        let begun = self.space(space).map(&real);
        drop(real);
        let object = self.flat.objects[&request.object].clone();
        let wanted = self.flat.spaces[space].map(&object, request);
        match (begun, wanted) {
            (Ok((address, change)), Ok(first)) => {
                assert_eq!(address, first * PAGE_SIZE, "where the mapping went");
                assert!(change.is_none() || request.flags.contains(MapFlags::REPLACE));
                note("map", if change.is_some() { "replaced" } else { "fresh" });
                let target = self.space(space);
                if let Some(mut change) = change {
                    while !change.step(target) {
                        let start = Page::from_number(first);
                        let fault = target.handle_fault(start, FaultAccess::Read);
                        assert_eq!(fault, Outcome::Changing);
                    }
                }
            }
            (Err(refusal), Err(error)) => {
                note("map", error);
                assert_eq!(refusal, Refusal::Error(error));
            }
            (begun, wanted) => panic!("{:?}, {wanted:?}", begun.map(|(address, _)| address)),
        }
    }

    /// Runs a change step by step, with faults on both sides of its edge between the steps.
    fn drive(
        &mut self,
        space: usize,
        span: Span,
        begun: Result<Change<Host>, Refusal>,
        wanted: Result<(), VmError>,
        at: At,
    ) {
        note("change", format!("{wanted:?}"));
        let mut change = match (begun, wanted) {
            (Ok(change), Ok(())) => change,
            (Err(refusal), Err(error)) => return assert_eq!(refusal, Refusal::Error(error)),
            (begun, wanted) => panic!("{:?}, {wanted:?}", begun.map(|_| ())),
        };
        while !change.step(self.space(space)) {
            note("change", "step");
            let target = self.space(space);
            let inside = Page::from_number(span.start() + span.pages / 2);
            assert_eq!(target.handle_fault(inside, FaultAccess::Write), Outcome::Changing);
            let read = target.read_page(inside.address(), &mut [0; 8]);
            assert_eq!(read, Err(AccessRefusal::Changing));
            let second = target.unmap(page_range(span)).map(|_| ());
            assert_eq!(second, Err(Refusal::Changing));
            if !span.range().contains(&at.page()) {
                self.kernel_read(space, at, 1);
            }
        }
    }

    fn user_access(&mut self, cpu: usize, at: At, access: Access, tag: Option<u8>) {
        Single::run_on(cpu);
        let address = match access {
            Access::StoreTag(_) => at.address() & !15,
            _ => at.address(),
        };
        let pointer = self.pointer(cpu, address, tag);
        let end = self.access(cpu, pointer, access);
        let wanted = self.wanted(self.running[cpu], pointer, access);
        note(FaultAccess::from(access), wanted.name());
        assert_eq!(end, wanted, "{access:?} at {:x}", pointer.tagged());
        if let (Access::Execute, End::Value(_)) = (access, end) {
            self.check_fetch(cpu, pointer);
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

    fn wanted(&mut self, space: usize, pointer: UserPointer, access: Access) -> End {
        let number = Page::containing(pointer.untagged()).number();
        if let Err(death) = self.flat.touch(space, number, access.into()) {
            return End::Death(death);
        }
        let offset = pointer.page_offset();
        let tagged = self.flat.is_tagged(space, number);
        let contents = self.flat.contents(space, number);
        let wrong = tagged && contents.tag(offset) != pointer.tag().value();
        match access {
            Access::Load | Access::Store(_) if wrong => return End::TagFault,
            Access::Store(byte) => {
                self.flat.change(space, number, |contents| contents.set_byte(offset, byte));
            }
            Access::StoreTag(tag) if tagged => {
                self.flat.change(space, number, |contents| contents.set_tag(offset, tag));
            }
            Access::Load | Access::Execute => return End::Value(contents.byte(offset)),
            Access::LoadTag if tagged => return End::Value(contents.tag(offset)),
            Access::LoadTag | Access::StoreTag(_) => {}
        }
        End::Value(0)
    }

    fn kernel_read(&mut self, space: usize, at: At, size: usize) {
        let mut bytes = vec![0; size];
        let read = self.space(space).read_page(at.address(), &mut bytes);
        match self.flat.touch(space, at.page(), FaultAccess::Read) {
            Ok(()) => {
                let length = size.min(PAGE_SIZE as usize - at.offset);
                assert_eq!(read, Ok(length));
                let contents = self.flat.contents(space, at.page());
                let wanted = (0..length).map(|index| contents.byte(at.offset + index));
                assert!(wanted.eq(bytes[..length].iter().copied()), "bytes that the kernel read");
            }
            Err(kind) => assert_refused(read, kind),
        }
    }

    fn kernel_write(&mut self, space: usize, at: At, size: usize, byte: u8) {
        let written = self.space(space).write_page(at.address(), &vec![byte; size]);
        match self.flat.touch(space, at.page(), FaultAccess::Write) {
            Ok(()) => {
                let length = size.min(PAGE_SIZE as usize - at.offset);
                assert_eq!(written, Ok(length));
                self.flat.change(space, at.page(), |contents| {
                    (0..length).for_each(|index| contents.set_byte(at.offset + index, byte));
                });
            }
            Err(kind) => assert_refused(written, kind),
        }
    }
}

fn assert_refused(result: Result<usize, AccessRefusal>, kind: ExitKind) {
    assert_eq!(result, Err(AccessRefusal::Fault(kind)));
}
