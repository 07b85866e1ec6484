//! Call numbers.
//!
//! A call that waits takes a timeout, see [`crate::FOR_EVER`]: it answers `TimedOut` when that is over, never
//! before, and `Interrupted` if `thread_interrupt` ends its wait. Then what it waited for did not happen.

/// Defines [`Call`] from one table of number, variant, name and argument count.
macro_rules! calls {
    ($($(#[$meta:meta])* $number:literal $variant:ident $name:literal $arguments:literal;)*) => {
        /// A system call. The number goes in x8.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Call { $($(#[$meta])* $variant = $number,)* }

        impl Call {
            /// Every call, in the order of the numbers, which have no holes.
            pub const ALL: &'static [Call] = &[$(Call::$variant),*];

            /// Returns the call with this number.
            #[must_use]
            #[inline]
            pub const fn from_number(number: u64) -> Option<Call> {
                match number { $($number => Some(Call::$variant),)* _ => None }
            }

            /// Returns the call's name as documents and traces spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Call::$variant => $name),* }
            }

            /// Returns how many argument registers the call reads.
            #[must_use]
            pub const fn arguments(self) -> usize {
                match self { $(Call::$variant => $arguments),* }
            }
        }
    };
}

calls! {
    /// Does nothing: the cost of entering and leaving the kernel.
    0 Null "null" 0;
    /// `(buffer, length)`: writes bytes to the console. x1 = bytes written, also on error.
    1 ConsoleWrite "console_write" 2;
    /// `(status)`: ends the calling process. Does not return.
    2 Exit "exit" 1;
    /// Lets another runnable thread go first.
    3 Yield "yield" 0;
    /// `(endpoint, handle, w0, w1, w2, w3)`: sends a message to whoever receives at an endpoint, and waits
    /// for the answer. `handle` is one of the caller's with the rights above it (bits 63:32) that go
    /// along, or 0. x1 = handle of the answer, or 0; x2 to x5 = its words. x6 is the timeout, of the call
    /// and its answer together; with 0 nothing is sent. After `TimedOut` and `Interrupted` the call may have
    /// been received; an answer to it is refused. Needs WRITE, and TRANSFER of the handle.
    4 EndpointCall "endpoint_call" 6;
    /// `(endpoint, handle, w0, w1, w2, w3)`: `endpoint_reply`, then `endpoint_receive`. If the answer
    /// fails, nothing is received; after `TimedOut`, `Interrupted` and `PartnerGone` it is given. x6 is the
    /// timeout.
    5 EndpointReplyReceive "endpoint_reply_receive" 6;
    /// `(handle)`: gives a handle back.
    6 HandleClose "handle_close" 1;
    /// `(process, handle, rights)`: puts a copy of the caller's handle, with these of its rights,
    /// into the process's table. x1 = the handle there. Needs TRANSFER, and MANAGE of the process;
    /// `MissingRight` where more is asked for than held. Handles to processes and threads go only
    /// to a process that was started.
    7 HandleCopy "handle_copy" 3;
    /// `(handle, out: ObjectInfo)`: what a memory object is. Needs INSPECT.
    8 ObjectQuery "object_query" 2;
    /// `(content, size, flags)`: makes a reference object whose page repeats `size` bytes.
    /// x1 = handle with MAP, READ, TRANSFER and INSPECT.
    9 RefpageCreate "refpage_create" 3;
    /// `(byte, flags)`: makes a reference object of one repeated byte.
    10 RefpageCreatePattern "refpage_create_pattern" 2;
    /// `(tag, flags)`: makes a reference object of zeros under one allocation tag.
    11 RefpageCreateTag "refpage_create_tag" 2;
    /// `(length, flags)`: makes a memory object of `length` zero bytes that can be shared. `flags`
    /// are [`crate::MemoryFlags`].
    12 MemoryCreate "memory_create" 2;
    /// `(process, object, address, length, options, offset)`: maps an object. x1 = address.
    /// `options` is a [`crate::MapOptions`] word. Needs MANAGE of the process, MAP and READ of the
    /// object, WRITE for a shared writable and EXECUTE for an executable mapping.
    13 Map "map" 6;
    /// `(process, address, length)`: removes every mapping, or part of one, in the range.
    14 Unmap "unmap" 3;
    /// `(process, address, length, protection)`: changes the protection of mapped pages.
    15 Protect "protect" 4;
    /// `(process, address, length, advice)`: see [`crate::Advice`].
    16 Advise "advise" 4;
    /// `(process, address, out: MappingInfo)`: the mapping at `address`, or the next above it. Waits
    /// while a long operation changes anything from the address to that mapping's end.
    17 Query "query" 3;
    /// `(process, address, buffer, length)`: copies memory of a process into the caller's.
    /// x1 = bytes copied, also on error. Needs INSPECT.
    18 MemoryRead "memory_read" 4;
    /// `(process, address, buffer, length)`: copies the caller's memory into a process's.
    /// x1 = bytes copied, also on error. Needs MANAGE.
    19 MemoryWrite "memory_write" 4;
    /// `(account)`: makes an empty process, the caller's child, that an account pays for: the one of
    /// a handle with MANAGE, or SELF for the caller's own. x1 = handle with every right.
    20 ProcessCreate "process_create" 1;
    /// `(process, out: ExitReport, timeout)`: waits for the end of a process, any number of times. A process
    /// that never starts ends by `process_kill` or when its last handle goes. Needs INSPECT.
    21 ProcessWait "process_wait" 3;
    /// `(process)`: ends a process with the reason [`crate::ExitKind::Killed`]. Needs MANAGE.
    22 ProcessKill "process_kill" 1;
    /// `(process, word)`: makes a stopped thread of the caller's priority. When it has ended, the 4 bytes
    /// at `word` in its process become 0 and who waits there is woken, unless `word` is 0. x1 = handle
    /// with every right. Needs MANAGE.
    23 ThreadCreate "thread_create" 2;
    /// `(thread, out, set)`: reads registers of a stopped thread, or of one whose report the caller has to
    /// answer: the record of a [`crate::RegisterSet`]. Needs INSPECT.
    24 ThreadReadRegisters "thread_read_registers" 3;
    /// `(thread, in, set)`: writes such registers. Needs MANAGE.
    25 ThreadWriteRegisters "thread_write_registers" 3;
    /// `(thread)`: lets a stopped thread run. Needs MANAGE.
    26 ThreadStart "thread_start" 1;
    /// `(out: SystemInfo)`: what this machine is and what the kernel uses of it.
    27 SystemQuery "system_query" 1;
    /// `(process)`: makes a process with the same mappings and memory contents, and no handle and
    /// no thread. Private frames are shared until either side stores. x1 = handle with every right.
    /// Needs INSPECT and MANAGE.
    28 ProcessClone "process_clone" 1;
    /// `(thread, mode, exclude)`: sets how tag checks of a stopped thread, or of the caller by SELF,
    /// fault ([`crate::TagMode`]), and which tags IRG never gives it, a bit for each (GCR_EL1).
    /// Needs MANAGE.
    29 ThreadSetTagMode "thread_set_tag_mode" 3;
    /// `(thread)`: x1 = the [`crate::TagControl`] word of a thread, or of the caller by SELF. Needs
    /// INSPECT.
    30 ThreadTagMode "thread_tag_mode" 1;
    /// `(process, address, buffer, count)`: copies the tags of `count` tag granules from `address`
    /// on into the caller's buffer, a byte each. x1 = granules, also on error. Needs INSPECT.
    31 TagsRead "tags_read" 4;
    /// `(process, address, buffer, count)`: sets the tags of `count` tag granules from `address` on
    /// to the bytes of the caller's buffer; a clean page becomes private first. x1 = granules, also
    /// on error. Needs MANAGE.
    32 TagsWrite "tags_write" 4;
    /// `(content, size, flags)`: as `refpage_create`, but the object has no frame: it keeps the `size`
    /// bytes and their tags in kernel memory. Only policies under which no frame is shared can map it.
    33 RefpageCreateFrameless "refpage_create_frameless" 3;
    /// `(process, address, buffer, length)`: writes a [`crate::PageState`] number, one byte a page, of
    /// each page of a wholly mapped range of at most [`crate::MAX_QUERY_PAGES`] pages. x1 = pages.
    /// Needs INSPECT.
    34 QueryPages "query_pages" 4;
    /// `(parent, in: Limits)`: makes an account with limits that are taken out of its parent's: of a
    /// handle with MANAGE, or SELF for the caller's own. They go back when nothing is charged to the
    /// account any more and no handle names it. x1 = handle with every right.
    35 AccountCreate "account_create" 2;
    /// `(account, out: AccountInfo)`: limits and use of an account. Needs INSPECT.
    36 AccountQuery "account_query" 2;
    /// `(operation, argument)`: for tests of checked kernels, see [`crate::TestOperation`].
    /// `UnknownCall` where the kernel is not a checked one.
    37 Test "test" 2;
    /// `(process, old, old_length, new_length, flags, new)`: makes a mapping, or part of one, larger
    /// or smaller and moves it where that is asked for; see [`crate::RemapFlags`]. x1 = address.
    /// `new` is looked at with FIXED alone. Needs MANAGE of the process.
    38 Remap "remap" 6;
    /// Ends the calling thread, and with the last one its process, with status 0. Does not return.
    39 ThreadExit "thread_exit" 0;
    /// `(thread)`: ends a thread that was started, as if it had called `thread_exit`. Needs MANAGE.
    40 ThreadKill "thread_kill" 1;
    /// `(thread, priority)`: sets how urgent a thread is, from 0 to [`crate::PRIORITIES`] - 1; the most
    /// urgent ones run, in turns. SELF is the caller. `NotPermitted` above what the caller had when it
    /// began. Needs MANAGE.
    41 ThreadSetPriority "thread_set_priority" 2;
    /// `(address, value, flags, timeout)`: waits until `address_wake` names the address, unless the 4 bytes
    /// there are not `value`. May also return for no reason. `flags` are [`crate::WaitFlags`].
    42 AddressWait "address_wait" 4;
    /// `(address, count, flags)`: wakes up to `count` threads that wait at an address, the longest
    /// first, and at most [`crate::MAX_WAKE`]. x1 = how many.
    43 AddressWake "address_wake" 3;
    /// Makes an endpoint. x1 = handle with every right but MAP and EXECUTE: WRITE to call, READ to receive.
    44 EndpointCreate "endpoint_create" 0;
    /// `(endpoint, badge)`: makes a handle to call by, under a badge that whoever receives is told. Needs
    /// MANAGE. x1 = handle with WRITE, TRANSFER and INSPECT.
    45 EndpointBadge "endpoint_badge" 2;
    /// `(endpoint)`: waits for a message. x1 = its handle, or 0; x2 to x5 = its words; x6 = the badge of the
    /// handle that was called by. A call that was received before and not answered fails. x6 is the timeout.
    /// Needs READ.
    46 EndpointReceive "endpoint_receive" 1;
    /// `(flags, handle, w0, w1, w2, w3)`: answers the call that the thread received last. `flags` are 0.
    47 EndpointReply "endpoint_reply" 6;
    /// x1 = nanoseconds since boot.
    48 Clock "clock" 0;
    /// `(process, out: Stat)`: exact counters of a process and of the system. Needs INSPECT.
    49 Stat "stat" 2;
    /// Makes a notification. x1 = handle with every right but MAP and EXECUTE.
    50 NotificationCreate "notification_create" 0;
    /// `(notification, bits)`: raises bits. Needs WRITE.
    51 NotificationRaise "notification_raise" 2;
    /// `(notification, timeout)`: waits until bits are raised, and takes all that are. x1 = the bits. Needs
    /// READ.
    52 NotificationWait "notification_wait" 2;
    /// `(process, endpoint, flags)`: from now on what the threads of a process would end it with is
    /// reported at an endpoint, under the badge of this handle ([`crate::FaultReport`]); 0 for nobody. A
    /// thread that was reported waits for the answer, an [`crate::Action`]. If there will be none, or the
    /// endpoint closes, the process ends with what was reported. `flags` are [`crate::HandlerFlags`]. Needs MANAGE of the
    /// process, WRITE of the endpoint.
    53 ProcessSetHandler "process_set_handler" 3;
    /// `(interrupt, notification, bits)`: lets a device's line through, and raises these bits when it fires.
    /// What it was bound to before is told no more. Ends with the last handle of the notification. Needs
    /// MANAGE of the interrupt, and WRITE of the notification.
    54 InterruptBind "interrupt_bind" 3;
    /// `(interrupt)`: lets a line through again, which stays masked once it has fired. `InvalidState` if it
    /// is not bound. Needs WRITE.
    55 InterruptAcknowledge "interrupt_acknowledge" 1;
    /// `(thread)`: ends the wait of a thread that waits in `address_wait`, `notification_wait`,
    /// `endpoint_call`, `endpoint_receive`, `endpoint_reply_receive` or `process_wait`. x1 = 1 if it did, 0
    /// if the thread does not wait so, and is left alone. Needs MANAGE.
    56 ThreadInterrupt "thread_interrupt" 1;
    /// `(endpoint, length, flags)`: makes a memory object of `length` bytes whose pages are asked for at an
    /// endpoint when they are touched, under the badge of this handle ([`crate::PageWish`]). `flags` are
    /// [`crate::PagerFlags`]. `InvalidState` where somebody received at the endpoint before it had its
    /// first such object. x1 = handle with every right; MANAGE is the one to supply. Needs WRITE.
    57 PagerCreate "pager_create" 3;
    /// `(object, offset, length, source, how)`: supplies pages of an object, whether or not they were asked
    /// for ([`crate::SupplyOptions`]). x1 = bytes supplied, also on error. Needs MANAGE, and READ and
    /// MAP of a reference object.
    58 PagerSupply "pager_supply" 5;
    /// `(process, list, count, flags)`: copies pieces of a process's memory into the caller's, or the other
    /// way with [`crate::TransferFlags::WRITE`]; `list` has 1 to [`crate::MAX_PIECES`] records
    /// ([`crate::Piece`]), each of which is read when its turn comes. x1 = how far that came
    /// ([`crate::Transferred`]), also on error. Needs INSPECT, with WRITE it needs MANAGE.
    59 MemoryTransfer "memory_transfer" 4;
}

#[cfg(test)]
mod tests {
    use super::Call;

    #[test]
    fn numbers_have_no_holes_and_convert_back() {
        for (index, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as u64, index as u64);
            assert_eq!(Call::from_number(index as u64), Some(*call));
        }
        assert_eq!(Call::from_number(Call::ALL.len() as u64), None);
        assert_eq!(Call::from_number(u64::MAX), None);
    }
}
