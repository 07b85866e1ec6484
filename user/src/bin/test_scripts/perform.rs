//! Each operation of a script by real calls and real accesses, compared with the flat model.

use crate::agent::{Agent, Held, Request};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use vellum_script::flat::{End, Expected, Flat, FlatMap};
use vellum_script::op::Op;
use vellum_script::word::{Address, Content, Count, Kind, SLOTS, SPACES};
use vellum_user::abi::{
    Advice, Call, Error, Handle, MapOptions, MappingInfo, PAGE_SIZE, Protection, Rights, Stat,
};
use vellum_user::{MemoryObject, calls, system, testing};

/// Above everything that scripts map: what is there is the agent's own.
const END_OF_SCRIPTS: u64 = 0x101_0000_0000;

/// What is wrong.
pub(crate) type Wrong = String;

/// The kernel and the flat model side by side.
pub(crate) struct Both {
    pub(crate) flat: Flat,
    agents: [Option<Agent>; SPACES],
    slots: [Option<Held>; SLOTS],
    /// Frames that were free beside those that the flat model counts.
    free: u64,
}

fn wrong(name: &str, got: impl core::fmt::Debug, want: impl core::fmt::Debug) -> Wrong {
    format!("{name}: got {got:x?}, want {want:x?}")
}

fn same<T: PartialEq + core::fmt::Debug>(name: &str, got: T, want: T) -> Result<(), Wrong> {
    if got == want { Ok(()) } else { Err(wrong(name, got, want)) }
}

fn broken(error: Error) -> Wrong {
    format!("refused: {error:?}")
}

impl Both {
    /// Starts an agent for each address space.
    pub(crate) fn new() -> Result<Both, Wrong> {
        let mut flat = Flat::new(system::tags_supported());
        // The agent's program, stack and mailbox lie in the first 64 GiB and at the very top.
        for space in &mut flat.spaces {
            space.resident.insert((1, 0));
        }
        let agents = [Some(Agent::new().map_err(broken)?), Some(Agent::new().map_err(broken)?)];
        let mut both = Both { flat, agents, slots: [const { None }; SLOTS], free: 0 };
        both.rebase(&[0, 1])?;
        Ok(both)
    }

    fn agent(&self, space: usize) -> &Agent {
        self.agents[space].as_ref().expect("every space has an agent")
    }

    /// Counts what the script has to do with from here on, for agents that are new.
    fn rebase(&mut self, spaces: &[usize]) -> Result<(), Wrong> {
        for space in spaces {
            let wanted = self.flat.spaces[*space].counters(&self.flat);
            let agent = self.agents[*space].as_mut().expect("every space has an agent");
            agent.rebase(&wanted).map_err(broken)?;
        }
        self.free = unused() + self.flat.frames();
        Ok(())
    }

    /// Does an operation on both sides and compares everything.
    pub(crate) fn run(&mut self, op: &Op) -> Result<(), Wrong> {
        if matches!(op, Op::Create { kind: Kind::Fixed(_), .. }) {
            return Ok(());
        }
        if matches!(op, Op::Execute { .. }) && !self.flat.would_die(op) {
            return Ok(());
        }
        let expected = self.flat.apply(op);
        self.perform(op, expected)?;
        self.check()
    }

    fn perform(&mut self, op: &Op, expected: Expected) -> Result<(), Wrong> {
        match (op, expected) {
            (_, Expected::Nothing) => Ok(()),
            (Op::Create { slot, kind }, Expected::Object(wanted)) => {
                self.close(slot.0)?;
                let made = create(*kind);
                same("created", made.as_ref().err(), wanted.as_ref().err())?;
                self.slots[slot.0] = made.ok().map(Held::Here);
                Ok(())
            }
            (Op::Snapshot { space, slot, content }, Expected::Object(wanted)) => {
                self.close(slot.0)?;
                let made = self.content(Call::RefpageCreate, space.0, *content);
                same("snapshot", made.as_ref().err(), wanted.as_ref().err())?;
                self.slots[slot.0] = made.ok().map(|handle| Held::There(space.0, handle));
                Ok(())
            }
            (Op::Frameless { space, slot, content }, Expected::Object(wanted)) => {
                self.close(slot.0)?;
                let made = self.content(Call::RefpageCreateFrameless, space.0, *content);
                same("frameless", made.as_ref().err(), wanted.as_ref().err())?;
                self.slots[slot.0] = made.ok().map(|handle| Held::There(space.0, handle));
                Ok(())
            }
            (Op::Close { slot }, _) => self.close(slot.0),
            (Op::Map { space, slot, .. }, Expected::Map(request, wanted)) => {
                same("map", self.map(space.0, slot.0, &request), wanted)
            }
            (Op::Unmap { space, span }, Expected::Call(wanted)) => {
                let done = self.agent(space.0).process.unmap(span.address(), span.length());
                same("unmap", done.map(|()| 0), wanted)
            }
            (Op::Protect { space, span, protection }, Expected::Call(wanted)) => {
                let process = &self.agent(space.0).process;
                let done = process.protect(span.address(), span.length(), protection.0);
                same("protect", done.map(|()| 0), wanted)
            }
            (Op::Decommit { space, span }, Expected::Call(wanted)) => {
                let done = self.agent(space.0).process.decommit(span.address(), span.length());
                same("decommit", done.map(|()| 0), wanted)
            }
            (Op::Remap { space, old, new, moving }, Expected::Call(wanted)) => {
                let process = &self.agent(space.0).process;
                let range = (old.address(), old.length());
                let done = process.remap(range, new.length(), moving.0, new.address());
                same("remap", done, wanted)
            }
            (
                Op::PopulateRead { space, span }
                | Op::PopulateWrite { space, span }
                | Op::Promote { space, span },
                Expected::Call(wanted),
            ) => {
                let advice = match op {
                    Op::PopulateRead { .. } => Advice::PopulateRead,
                    Op::PopulateWrite { .. } => Advice::PopulateWrite,
                    _ => Advice::Promote,
                };
                let process = self.agent(space.0).process.handle();
                // SAFETY: the range belongs to another process.
                let done = unsafe { calls::advise(process, span.address(), span.length(), advice) };
                same("advice", done.map(|()| 0), wanted)
            }
            (Op::KernelRead { space, address, count }, Expected::Bytes(wanted)) => {
                let mut bytes = vec![0; part(*address, *count)];
                let (length, done) = self.agent(space.0).process.read(address.0, &mut bytes);
                bytes.truncate(length);
                same("kernel read", done.map(|()| bytes), wanted)
            }
            (Op::KernelWrite { space, address, count, byte }, Expected::Call(wanted)) => {
                let bytes = vec![byte.0; part(*address, *count)];
                let (length, done) = self.agent(space.0).process.write(address.0, &bytes);
                same("kernel write", done.map(|()| length as u64), wanted)
            }
            (Op::Query { space, address }, Expected::Mapping(wanted)) => {
                self.query(space.0, address.0, wanted)
            }
            (Op::Switch { .. }, _) => Ok(()),
            (Op::Clone { space, target }, _) => self.clone_space(space.0, target.0),
            (Op::Renew { space }, _) => {
                let old = self.agents[space.0].take().expect("every space has an agent");
                old.end().map_err(broken)?;
                self.replace(space.0)
            }
            (op, Expected::Access(pointer, end)) => self.access(op, pointer, end),
            (op, expected) => Err(format!("{op} cannot end with {expected:?}")),
        }
    }

    fn close(&mut self, slot: usize) -> Result<(), Wrong> {
        if let Some(Held::There(space, handle)) = self.slots[slot].take() {
            let closed = self.agent(space).call(Call::HandleClose as u64, &[handle.to_word()]);
            closed.map_err(broken)?;
        }
        Ok(())
    }

    /// Puts an agent into the place of one whose process is no more, and its handles with it.
    fn replace(&mut self, space: usize) -> Result<(), Wrong> {
        for slot in &mut self.slots {
            if matches!(slot, Some(Held::There(home, _)) if *home == space) {
                *slot = None;
            }
        }
        self.agents[space] = Some(Agent::new().map_err(broken)?);
        self.rebase(&[space])
    }

    fn clone_space(&mut self, from: usize, to: usize) -> Result<(), Wrong> {
        let old = self.agents[to].take().expect("every space has an agent");
        old.end().map_err(broken)?;
        for slot in &mut self.slots {
            if matches!(slot, Some(Held::There(home, _)) if *home == to) {
                *slot = None;
            }
        }
        self.agents[to] = Some(self.agent(from).cloned().map_err(broken)?);
        self.rebase(&[from, to])
    }

    fn content(&self, call: Call, space: usize, content: Content) -> Result<Handle, Error> {
        // Whatever tag the pointer carries, the content is the address's.
        let arguments = [content.address.0 | 7 << 56, content.size, 0];
        let word = self.agent(space).call(call as u64, &arguments)?;
        Ok(Handle::from_word(word).expect("the kernel gives out handles"))
    }

    fn map(&self, space: usize, slot: usize, request: &FlatMap) -> Result<u64, Error> {
        let agent = self.agent(space);
        let FlatMap { address, length, offset, protection, flags, .. } = *request;
        let options = MapOptions { protection, flags, ..MapOptions::default() };
        let options = request.style.apply(options);
        let map_fn = |object| agent.process.map(object, address, length, options, offset);
        match &self.slots[slot] {
            None => map_fn(Handle::ANONYMOUS),
            Some(Held::Here(object)) => {
                let allows = |bit| request.rights.contains(bit);
                let mut rights = Rights::READ | Rights::MAP;
                for (bit, right) in
                    [(Protection::WRITE, Rights::WRITE), (Protection::EXECUTE, Rights::EXECUTE)]
                {
                    rights = if allows(bit) { rights | right } else { rights };
                }
                let lesser = calls::handle_copy(Handle::SELF, object.handle(), rights)?;
                map_fn(MemoryObject::from_handle(lesser).handle())
            }
            Some(Held::There(_, handle)) => {
                let own = Handle::SELF.to_word();
                let words = [own, handle.to_word(), address, length, options.to_word(), offset];
                agent.call(Call::Map as u64, &words)
            }
        }
    }

    fn query(&self, space: usize, address: u64, wanted: Option<MappingInfo>) -> Result<(), Wrong> {
        let found = self.agent(space).process.query(address);
        let found = found.ok().filter(|mapping| mapping.start < END_OF_SCRIPTS);
        same("query", found, wanted)
    }

    fn access(&mut self, op: &Op, pointer: u64, end: End) -> Result<(), Wrong> {
        let (cpu, request, argument) = match op {
            Op::Load { cpu, .. } => (cpu, Request::Load, 0),
            Op::Store { cpu, byte, .. } => (cpu, Request::Store, u64::from(byte.0)),
            Op::Execute { cpu, .. } => (cpu, Request::Execute, 0),
            Op::LoadTag { cpu, .. } => (cpu, Request::LoadTag, 0),
            Op::StoreTag { cpu, .. } => (cpu, Request::StoreTag, 0),
            _ => return Err(format!("{op} is no access")),
        };
        let pointer = match op {
            Op::StoreTag { tag, .. } => pointer & !(0xf << 56) | u64::from(tag.0) << 56,
            _ => pointer,
        };
        let space = self.flat.running[cpu.0];
        match end {
            End::Value(value) => {
                let (_, got) = self.agent(space).ask(request, &[pointer, argument]);
                same("value", got, u64::from(value))
            }
            End::Death(kind) => {
                let agent = self.agents[space].take().expect("every space has an agent");
                agent.begin(request, &[pointer, argument]);
                let report = agent.process.wait().map_err(broken)?;
                drop(agent);
                let untagged = pointer & !(0xff << 56);
                let got = (report.kind, report.address);
                same("death", got, (kind as u64, untagged))?;
                self.replace(space)
            }
        }
    }

    /// Compares all that can be counted.
    fn check(&self) -> Result<(), Wrong> {
        for space in 0..SPACES {
            let got = counts(&self.agent(space).counted().map_err(broken)?);
            let wanted = counts(&self.flat.spaces[space].counters(&self.flat));
            for ((name, got), (_, wanted)) in got.into_iter().zip(wanted) {
                same(&format!("{name} of space {space}"), got, wanted)?;
            }
        }
        same("free frames", unused() + self.flat.frames(), self.free)
    }

    /// Ends everything.
    pub(crate) fn finish(mut self) -> Result<(), Wrong> {
        for slot in 0..SLOTS {
            self.close(slot)?;
        }
        self.agents.into_iter().flatten().try_for_each(|agent| agent.end().map_err(broken))
    }
}

/// Returns the free frames and those that this program took for itself since.
fn unused() -> u64 {
    let stat = testing::stat();
    stat.free_frames + stat.private_frames + stat.pt_frames
}

fn create(kind: Kind) -> Result<MemoryObject, Error> {
    match kind {
        Kind::Pattern(byte) => MemoryObject::pattern(byte),
        Kind::Tagged(tag) => MemoryObject::tagged(tag),
        Kind::Memory(pages) => MemoryObject::new(pages * PAGE_SIZE),
        Kind::Wrap(pages) => MemoryObject::wrap(pages * PAGE_SIZE),
        Kind::Fixed(_) => Err(Error::InvalidState),
    }
}

/// Returns how many bytes the kernel moves: those up to the end of the page.
fn part(address: Address, count: Count) -> usize {
    (count.0 as usize).min(PAGE_SIZE as usize - address.offset())
}

/// Returns the counters that scripts determine.
fn counts(stat: &Stat) -> [(&'static str, u64); 19] {
    [
        ("private frames", stat.private_frames),
        ("table frames", stat.pt_frames),
        ("mappings", stat.mappings),
        ("read faults", stat.faults_read_map),
        ("fresh writes", stat.faults_write_fresh),
        ("write copies", stat.faults_write_cow),
        ("upgrades", stat.faults_write_upgrade),
        ("object faults", stat.faults_object),
        ("spurious faults", stat.faults_spurious),
        ("denied", stat.faults_denied),
        ("pages around", stat.pages_around),
        ("pages populated", stat.pages_populated),
        ("bytes filled", stat.bytes_filled),
        ("bytes copied", stat.bytes_copied),
        ("tag bytes", stat.tag_bytes_written),
        ("TLB maintenance", stat.tlbi_count),
        ("bytes of objects", stat.create_bytes_written),
        ("tag bytes of objects", stat.create_tag_bytes_written),
        ("leaves moved", stat.leaves_moved),
    ]
}
