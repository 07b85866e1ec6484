//! Messages: words, handles and badges arrive as they were sent, whoever goes leaves nobody waiting, and
//! nothing is left behind.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Error, Handle, PAGE_SIZE, Rights};
use vellum_user::calls::{self, Received};
use vellum_user::loader::Child;
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::{Arguments, Endpoint, MemoryObject, Notification, check, testing};

vellum_user::test!(main);

/// Tells a server to stop.
const STOP: u64 = u64::MAX;
/// The rights of a handle to call by.
const CALL: Rights = Rights::WRITE;
const CALLS: u64 = 500;

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match (arguments.at(0), arguments.at(1).and_then(|word| word.parse().ok())) {
        (Some("serve"), Some(word)) => return serve_parent(word),
        (Some("die"), Some(word)) => return receive_and_die(word),
        (Some("call"), Some(word)) => return call_parent(word),
        (Some(_), None) => return Ok(1),
        _ => {}
    }
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?));
    check!(
        "a child that is told nothing",
        testing::exited_with(&testing::run_self(&["nothing"]), 1)
    );
    let before = testing::at_rest();
    words_go_both_ways()?;
    many_clients_and_servers()?;
    badges_tell_clients_apart()?;
    handles_go_along()?;
    bad_handles_reach_nobody()?;
    servers_that_go_are_told_of()?;
    endpoints_close_with_their_last_receiver()?;
    callers_that_go_are_forgotten()?;
    an_endpoint_sent_by_itself_goes()?;
    notifications_wake()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    processes_serve_each_other()?;
    check!("free frames and kernel memory after processes", testing::at_rest(), before);
    Ok(0)
}

/// Answers each call with its words, one added to each, until told to stop. Returns how many.
fn serve(endpoint: &Endpoint) -> Result<u64, Error> {
    let mut received = endpoint.receive()?;
    let mut count = 0;
    while received.words[0] != STOP {
        count += 1;
        received = endpoint.reply_receive(received.words.map(|word| word.wrapping_add(1)))?;
    }
    calls::endpoint_reply(None, [0; 4])?;
    Ok(count)
}

fn stop(endpoint: &Endpoint) {
    check!("stop", endpoint.call([STOP, 0, 0, 0]).is_ok());
}

fn words_go_both_ways() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(|| serve(&endpoint)) }?;
    for round in 0..CALLS {
        let words = [round, u64::MAX, round << 32, 7];
        let expected = Received { handle: None, words: words.map(|w| w.wrapping_add(1)), badge: 0 };
        check!("an answer", endpoint.call(words), Ok(expected));
    }
    stop(&endpoint);
    check!("calls served", server.join(), Some(Ok(CALLS)));
    Ok(())
}

fn many_clients_and_servers() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let wrong = AtomicU64::new(0);
    let client = |number: u64| {
        let (endpoint, wrong) = (&endpoint, &wrong);
        move || {
            for round in 0..CALLS {
                let answer = endpoint.call([number, round, 0, 0]).map(|answer| answer.words);
                wrong.fetch_add(
                    u64::from(answer != Ok([number + 1, round + 1, 1, 1])),
                    Ordering::Relaxed,
                );
            }
        }
    };
    let mut servers: Vec<Joined<'_, Result<u64, Error>>> = Vec::new();
    let mut clients: Vec<Joined<'_, ()>> = Vec::new();
    for number in 0..4 {
        if number % 2 == 0 {
            // SAFETY: joined before the endpoint goes.
            servers.push(unsafe { scoped(|| serve(&endpoint)) }?);
        }
        // SAFETY: likewise.
        clients.push(unsafe { scoped(client(number)) }?);
    }
    drop(clients);
    servers.iter().for_each(|_| stop(&endpoint));
    let served: u64 =
        servers.into_iter().map(|server| server.join().map_or(0, |n| n.unwrap_or(0))).sum();
    check!("calls served", served, 4 * CALLS);
    check!("wrong answers", wrong.load(Ordering::Relaxed), 0);
    Ok(())
}

fn badges_tell_clients_apart() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let badged = [endpoint.with_badge(5)?, endpoint.with_badge(u64::MAX)?];
    // SAFETY: joined before the endpoints go.
    let client = unsafe {
        scoped(|| {
            for caller in &badged {
                let answer = caller.call([0; 4]).map(|answer| answer.badge);
                check!("an answer has no badge", answer, Ok(0));
            }
            check!("no right to receive", badged[0].receive(), Err(Error::MissingRight));
            check!(
                "no badge upon a badge",
                badged[0].with_badge(1).err(),
                Some(Error::MissingRight)
            );
        })
    }?;
    check!("the first badge", endpoint.receive().map(|call| call.badge), Ok(5));
    check!("the second", endpoint.reply_receive([0; 4]).map(|call| call.badge), Ok(u64::MAX));
    calls::endpoint_reply(None, [0; 4])?;
    drop(client);
    Ok(())
}

/// A memory object goes to the server with fewer rights, and another comes back.
fn handles_go_along() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let there = MemoryObject::new(PAGE_SIZE)?;
    // SAFETY: joined before the endpoint goes.
    let client = unsafe {
        scoped(|| endpoint.call_with(there.handle(), Rights::MAP | Rights::READ, [1, 2, 3, 4]))
    }?;
    let call = endpoint.receive()?;
    check!("words beside a handle", call.words, [1, 2, 3, 4]);
    let came = MemoryObject::from_handle(call.handle.expect("a handle came"));
    check!("another handle", came.handle() != there.handle());
    let refused = calls::handle_copy(Handle::SELF, came.handle(), Rights::NONE);
    check!("without TRANSFER it goes no further", refused, Err(Error::MissingRight));
    let back = MemoryObject::pattern(9)?;
    check!(
        "an answer",
        calls::endpoint_reply(Some((back.handle(), Rights::INSPECT)), [5; 4]),
        Ok(())
    );
    let answer = client.join().expect("the client ends")?;
    let returned = MemoryObject::from_handle(answer.handle.expect("a handle came back"));
    check!(
        "what came back",
        returned.query().map(|info| info.detail),
        back.query().map(|info| info.detail)
    );
    Ok(())
}

fn bad_handles_reach_nobody() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let object = MemoryObject::new(PAGE_SIZE)?;
    let bare = calls::handle_copy(Handle::SELF, object.handle(), Rights::READ)?;
    let send =
        |handle, rights| calls::endpoint_call(endpoint.handle(), Some((handle, rights)), [0; 4]);
    check!("no TRANSFER", send(bare, Rights::READ), Err(Error::MissingRight));
    check!("more than held", send(object.handle(), Rights::MANAGE), Err(Error::MissingRight));
    calls::handle_close(bare)?;
    check!("closed", send(bare, Rights::NONE), Err(Error::BadHandle));
    let reply = calls::endpoint_reply(None, [0; 4]);
    check!("nobody to answer", reply, Err(Error::InvalidState));
    let reply = calls::endpoint_reply_receive(endpoint.handle(), None, [0; 4]);
    check!("nobody to answer before receiving", reply, Err(Error::InvalidState));
    Ok(())
}

/// A server that ends, or takes the next call instead of answering.
fn servers_that_go_are_told_of() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    for _ in 0..20 {
        // SAFETY: joined before the endpoint goes.
        let server = unsafe { scoped(|| endpoint.receive().map(|_| calls::thread_exit())) }?;
        check!("the server exits", endpoint.call([0; 4]), Err(Error::PartnerGone));
        drop(server);
        // SAFETY: likewise.
        let server = unsafe {
            scoped(|| {
                let received = endpoint.receive().and_then(|_| endpoint.receive());
                calls::endpoint_reply(None, received.map_or([0; 4], |call| call.words))
            })
        }?;
        check!("the server forgets", endpoint.call([1; 4]), Err(Error::PartnerGone));
        check!("the next call", endpoint.call([2; 4]).map(|answer| answer.words), Ok([2; 4]));
        drop(server);
    }
    Ok(())
}

fn endpoints_close_with_their_last_receiver() -> Result<(), Error> {
    for _ in 0..20 {
        let endpoint = Endpoint::new()?;
        let caller = endpoint.with_badge(1)?;
        let crowd: Result<Vec<_>, Error> = (0..5)
            // SAFETY: joined before the caller's handle goes.
            .map(|_| unsafe { scoped(|| caller.call([0; 4])) })
            .collect();
        calls::yield_now();
        drop(endpoint);
        for client in crowd? {
            check!("a call that waits", client.join(), Some(Err(Error::PartnerGone)));
        }
        check!("a call afterwards", caller.call([0; 4]), Err(Error::PartnerGone));
        // Who waits to receive is no handle to receive by.
        let endpoint = Endpoint::new()?;
        let handle = endpoint.handle();
        let server = spawn(move || calls::endpoint_receive(handle))?;
        calls::yield_now();
        drop(endpoint);
        let seen = server.join();
        let gone = [Some(Err(Error::PartnerGone)), Some(Err(Error::BadHandle))];
        check!("a server that waits", gone.contains(&seen));
    }
    Ok(())
}

/// Callers that are ended before their call was received, and after it.
fn callers_that_go_are_forgotten() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    for round in 0..20 {
        // SAFETY: joined before the endpoint goes.
        let caller = unsafe { scoped(|| endpoint.call([7; 4])) }?;
        if round % 2 == 0 {
            check!("a call", endpoint.receive().map(|call| call.words), Ok([7; 4]));
        } else {
            (0..round % 3).for_each(|_| calls::yield_now());
        }
        // One that has not begun yet may hold the lock of the heap; a call that waits does not.
        if round % 2 == 0 {
            check!("kill", calls::thread_kill(caller.handle()), Ok(()));
            check!("no answer", caller.join(), None);
            check!("too late", calls::endpoint_reply(None, [0; 4]), Err(Error::InvalidState));
        } else {
            check!("a call", endpoint.receive().map(|call| call.words), Ok([7; 4]));
            check!("an answer", calls::endpoint_reply(None, [8; 4]), Ok(()));
            check!(
                "it arrives",
                caller.join().and_then(Result::ok).map(|it| it.words),
                Some([8; 4])
            );
        }
    }
    Ok(())
}

/// The only handle to receive by is on its way through the endpoint itself when its owner goes.
fn an_endpoint_sent_by_itself_goes() -> Result<(), Error> {
    for _ in 0..20 {
        let endpoint = Endpoint::new()?;
        let caller = endpoint.with_badge(1)?;
        let handle = endpoint.handle();
        // SAFETY: joined before the handles go.
        let client = unsafe {
            scoped(|| calls::endpoint_call(caller.handle(), Some((handle, Rights::READ)), [0; 4]))
        }?;
        calls::yield_now();
        drop(endpoint);
        let seen = client.join();
        let gone = [Some(Err(Error::PartnerGone)), Some(Err(Error::BadHandle))];
        check!("the caller is told", gone.contains(&seen));
    }
    Ok(())
}

fn notifications_wake() -> Result<(), Error> {
    let notification = Notification::new()?;
    notification.raise(1)?;
    notification.raise(4)?;
    check!("what was raised before", notification.wait(), Ok(5));
    let there = Notification::new()?;
    // SAFETY: joined before the notifications go.
    let echo = unsafe {
        scoped(|| {
            for _ in 0..CALLS {
                let bits = notification.wait().unwrap_or(0);
                check!("raise", there.raise(bits << 1), Ok(()));
            }
        })
    }?;
    for round in 0..CALLS {
        notification.raise(1 << (round % 60))?;
        check!("an echo", there.wait(), Ok(2 << (round % 60)));
    }
    drop(echo);
    // SAFETY: joined before the notification goes.
    let waiter = unsafe { scoped(|| notification.wait()) }?;
    (0..3).for_each(|_| calls::yield_now());
    notification.raise(8)?;
    check!("the waiter", waiter.join(), Some(Ok(8)));
    Ok(())
}

/// Loads this program again, with a handle to the endpoint in its table.
fn start_with(endpoint: &Endpoint, rights: Rights, word: &str) -> Result<Child, Error> {
    // The first handle that a child gets beyond those of every program.
    let probe = testing::load_self(&["serve", "0"]);
    let value = endpoint.copy_to(&probe.process, rights)?.to_word();
    drop(probe);
    let child = testing::load_self(&[word, &alloc::format!("{value}")]);
    check!("the same handle", endpoint.copy_to(&child.process, rights)?.to_word(), value);
    child.start()?;
    Ok(child)
}

fn serve_parent(word: u64) -> Result<u64, Error> {
    let endpoint = Endpoint::from_handle(Handle::from_word(word).ok_or(Error::BadHandle)?);
    serve(&endpoint)
}

fn receive_and_die(word: u64) -> Result<u64, Error> {
    let endpoint = Endpoint::from_handle(Handle::from_word(word).ok_or(Error::BadHandle)?);
    endpoint.receive()?;
    calls::exit(3)
}

fn call_parent(word: u64) -> Result<u64, Error> {
    let endpoint = Endpoint::from_handle(Handle::from_word(word).ok_or(Error::BadHandle)?);
    let answer = endpoint.call([word; 4])?;
    Ok(answer.words[0])
}

fn processes_serve_each_other() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let server = start_with(&endpoint, Rights::READ | CALL, "serve")?;
    for round in 0..CALLS {
        check!("an answer", endpoint.call([round; 4]).map(|it| it.words), Ok([round + 1; 4]));
    }
    stop(&endpoint);
    check!("calls served", testing::exited_with(&server.wait()?, CALLS));
    let client = start_with(&endpoint, CALL, "call")?;
    let call = endpoint.receive()?;
    calls::endpoint_reply(None, [33; 4])?;
    check!("the call was made by its handle", call.words[1] != 0);
    check!("the answer came", testing::exited_with(&client.wait()?, 33));
    for _ in 0..10 {
        let mortal = start_with(&endpoint, Rights::READ, "die")?;
        check!("a process that dies", endpoint.call([0; 4]), Err(Error::PartnerGone));
        check!("its status", testing::exited_with(&mortal.wait()?, 3));
        let client = start_with(&endpoint, CALL, "call")?;
        endpoint.receive()?;
        check!("kill the caller", client.process.kill(), Ok(()));
        client.wait()?;
        check!("too late", calls::endpoint_reply(None, [0; 4]), Err(Error::InvalidState));
    }
    Ok(())
}
