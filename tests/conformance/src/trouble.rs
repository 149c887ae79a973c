//! A runtime that does badly: the node lives on, does not spin, and is as before when it is over.

use std::io::ErrorKind;
use std::net::{SocketAddrV4, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dht_core::driver::*;
use dht_core::*;

use crate::faulty::{Alarm, Faults, Faulty, Helper, until};
use crate::{Adapter, LOCALHOST, builder, free_port, local, port, server, up, wait};

const SECOND: Duration = Duration::from_secs(1);
/// Calls of sockets in a second. Without a pause in between they would be a hundred thousand or more.
const CALLS_MAX: u64 = 2000;

/// A node whose runtime is as bad as we like, but good so far.
async fn shaky<A: Adapter>() -> (Dht, Faulty<A::Runtime>) {
    let runtime = Faulty::new(A::runtime());
    let (node, driver) = Builder::new(runtime.clone()).host(LOCALHOST).build().unwrap();
    A::spawn(driver);
    node.listening().await.unwrap();
    (node, runtime)
}

/// Waits for an event.
async fn hear(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

const fn is_trouble(event: &Event) -> bool {
    matches!(event, Event::SocketTrouble(_))
}

/// All of it is well: it is asked, and asks.
async fn assert_well(node: &Dht, other: &Dht) {
    other.ping(server(node)).await.unwrap();
    node.ping(server(other)).await.unwrap();
}

/// The driver leaves them alone for longer and longer, tells of it, and goes on when that is over.
pub fn sockets_that_receive_nothing_but_errors<A: Adapter>() {
    A::block_on(async {
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::Other, ErrorKind::WouldBlock] {
            let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
            let mut events = node.events();
            runtime.set(Faults { receive: (kind, |_| true), ..Faults::default() });
            other.request(Request::ping(server(&node)).retries(0)).await.unwrap_err();
            let calls = runtime.faults().calls;
            assert!(calls < CALLS_MAX, "{kind}: {calls} calls");
            assert!(node.status().drops.receives >= 16);
            hear(&mut events, is_trouble).await;

            runtime.set(Faults::default());
            let mut tries = 0;
            while other.ping(server(&node)).await.is_err() {
                tries += 1;
                assert!(tries < 5, "the longest pause is one of five seconds");
            }
            assert_well(&node, &other).await;
        }
    });
}

/// Whether they say so, or take nothing: the same.
pub fn sockets_that_send_nothing<A: Adapter>() {
    A::block_on(async {
        let faults: [fn() -> Faults; 3] = [
            || Faults { send: (ErrorKind::HostUnreachable, |_| true), ..Faults::default() },
            || Faults { send: (ErrorKind::WouldBlock, |_| true), ..Faults::default() },
            || Faults {
                send: (ErrorKind::WouldBlock, |_| true),
                ready: Some(ErrorKind::Other),
                ..Faults::default()
            },
        ];
        for fault in faults {
            let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
            let mut events = node.events();
            runtime.set(fault());
            for at in 0..20 {
                node.send_datagram(Via::Client, server(&other), vec![at], None).unwrap();
            }
            assert_eq!(hear(&mut events, is_trouble).await, Event::SocketTrouble(Via::Client));
            wait::<A>(SECOND).await;
            let calls = runtime.faults().calls;
            assert!(calls < CALLS_MAX, "{:?}: {calls} calls", fault());
            let lost = matches!(fault().send.0, ErrorKind::HostUnreachable);
            assert_eq!(node.status().drops.sends >= 20, lost);

            runtime.set(Faults::default());
            assert_well(&node, &other).await;
        }
    });
}

/// All are sent, once, and in order.
pub fn datagrams_that_are_not_taken_at_first<A: Adapter>() {
    A::block_on(async {
        let patterns: [fn(u64) -> bool; 3] =
            [|call| call % 2 == 0, |call| call < 64, |call| call % 8 < 7];
        for fails in patterns {
            let (node, runtime) = shaky::<A>().await;
            let peer = UdpSocket::bind((LOCALHOST, 0)).unwrap();
            peer.set_nonblocking(true).unwrap();
            runtime.set(Faults { send: (ErrorKind::WouldBlock, fails), ..Faults::default() });
            for at in 0..200 {
                node.send_datagram(Via::Client, local(port(&peer)), vec![at], None).unwrap();
            }
            let (mut got, mut buf) = (Vec::new(), [0; 16]);
            for _ in 0..200 {
                wait::<A>(SECOND / 50).await;
                while let Ok((len, _)) = peer.recv_from(&mut buf) {
                    assert_eq!(len, 1);
                    got.push(buf[0]);
                }
                // What is there twice comes right after the first.
                if got.len() >= 200 {
                    break;
                }
            }
            let calls = runtime.faults().calls;
            assert!(calls < 10 * CALLS_MAX, "{calls} calls");
            assert_eq!(got, Vec::from_iter(0..200));
        }
    });
}

/// It costs another look.
pub fn receiving_that_is_said_to_be_ready_and_is_not<A: Adapter>() {
    A::block_on(async {
        let patterns: [fn(u64) -> bool; 2] = [|call| call % 2 == 0, |call| call % 16 < 15];
        for fails in patterns {
            let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
            runtime.set(Faults { receive: (ErrorKind::WouldBlock, fails), ..Faults::default() });
            for _ in 0..100 {
                assert_well(&node, &other).await;
            }
        }
    });
}

/// Early: it is woken for nothing. Late: it is late. Nothing is given up too early for that.
pub fn a_timer_that_rings_early_or_late<A: Adapter>() {
    A::block_on(async {
        let silent = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        for alarm in [Alarm::Early, Alarm::Late] {
            let (node, runtime) = shaky::<A>().await;
            let mut events = node.events();
            runtime.set(Faults { alarm, ..Faults::default() });
            let asked = std::time::Instant::now();
            let ping = Request::ping(local(port(&silent))).retries(1);
            node.request(ping).await.unwrap_err();
            let took = asked.elapsed();
            assert!(took >= Duration::from_millis(1990), "{alarm:?}: {took:?}");
            wait::<A>(SECOND).await;
            let alarms = runtime.faults().alarms;
            assert!(alarms < 500, "{alarm:?}: {alarms} alarms");
            drop(node.close());
            while let Some(event) = events.next().await {
                assert_ne!(event, Event::WakeUp, "{alarm:?}");
            }
        }
    });
}

/// Datagrams and calls still wake the node, and with these it lives; what only waits for time to pass
/// waits for one of them.
pub fn a_timer_that_never_rings<A: Adapter>() {
    A::block_on(async {
        let silent = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
        runtime.set(Faults { alarm: Alarm::Dead, ..Faults::default() });
        let asked = node.request(Request::ping(local(port(&silent))).retries(0));
        for _ in 0..10 {
            assert_well(&node, &other).await;
            wait::<A>(SECOND / 5).await;
        }
        // Its time is over by now, and somebody came by since.
        assert_well(&node, &other).await;
        asked.await.unwrap_err();
        node.close().await.unwrap();
    });
}

/// As the last one, until it is woken by something else once; then all is well.
pub fn a_timer_that_was_not_set_once<A: Adapter>() {
    A::block_on(async {
        let silent = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
        runtime.set(Faults { alarm: Alarm::DeafOnce, ..Faults::default() });
        let ping = || node.request(Request::ping(local(port(&silent))).retries(0));
        let asked = ping();
        wait::<A>(SECOND * 3 / 2).await;
        assert_eq!(runtime.faults().alarm, Alarm::Right, "it was not needed");
        other.ping(server(&node)).await.unwrap();
        asked.await.unwrap_err();
        ping().await.unwrap_err();
    });
}

/// The address that is bound comes and goes: each is a change, but the second waits for half a minute.
pub fn interfaces_that_vanish<A: Adapter>() {
    A::block_on(async {
        let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
        let mut events = node.events();
        let is_change = |event: &Event| *event == Event::NetworkChange;
        runtime.faults().interfaces = Some(Vec::new());
        hear(&mut events, is_change).await;
        assert_well(&node, &other).await;
        runtime.faults().interfaces = None;
        hear(&mut events, is_change).await;
        assert_well(&node, &other).await;
    });
}

/// As mobile systems do with those of an app that sleeps: `ss -K` can, for the superuser. It takes the port of
/// those that were bound to any.
pub fn sockets_that_the_system_takes<A: Adapter>() {
    A::block_on(async {
        let other = up::<A>().await;
        for via in [Via::Server, Via::Client] {
            let node = up::<A>().await;
            let at = || (node.status().client_address.unwrap(), server(&node));
            // What is gone at once waits for a second.
            wait::<A>(SECOND * 3 / 2).await;
            let (mut events, before) = (node.events(), at());
            if !destroys(if via == Via::Server { before.1 } else { before.0 }) {
                eprintln!(
                    "SKIPPED: `ss -K` destroyed no socket; it needs its rights and a kernel for it"
                );
                return;
            }
            let start = std::time::Instant::now();
            let lost = hear(&mut events, |event| matches!(event, Event::SocketLost(_))).await;
            assert_eq!(lost, Event::SocketLost(via));
            assert_well(&node, &other).await;
            println!("{via:?}: well again after {:?}", start.elapsed());
            assert_eq!(at(), before);
        }
    });
}

/// Whether the system has destroyed our socket at this address.
fn destroys(addr: SocketAddrV4) -> bool {
    let at = [addr.ip().to_string(), format!(":{}", addr.port())];
    let what = ["-K", "-u", "-a", "-n", "-H", "src", &at[0], "and", "sport", "=", &at[1]];
    let output = Command::new("ss").args(what).output();
    output.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(&at[1]))
}

/// As when the runtime is gone: who waits hears why, and so does who comes later.
pub fn sockets_that_can_not_be_bound<A: Adapter>() {
    A::block_on(async {
        let runtime = Faulty::new(A::runtime());
        runtime.faults().bind = Some(ErrorKind::PermissionDenied);
        let (node, driver) = Builder::new(runtime).host(LOCALHOST).build().unwrap();
        let early = node.ping(local(9));
        A::spawn(driver);
        let mut errors = [node.listening().await.unwrap_err(), early.await.unwrap_err()].to_vec();
        errors.push(node.ping(local(9)).await.unwrap_err());
        for error in errors {
            let Error::Io(error) = error else { panic!("{error}") };
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
        assert!(node.closed());
        node.close().await.unwrap();
    });
}

/// Nobody waits for it, neither at the start nor later, where another bootstrap node answers.
pub fn a_resolver_that_is_silent<A: Adapter>() {
    A::block_on(async {
        let at = free_port();
        let first = Builder::bootstrapper(A::runtime(), at, "127.0.0.1").host(LOCALHOST);
        let first = first.spawn().unwrap();
        first.fully_bootstrapped().await.unwrap();
        let runtime = Faulty::new(A::runtime());
        runtime.faults().silent = |host| host == "silent.example";
        let names = [local(at).to_string(), "silent.example:1".to_owned()];
        let (node, driver) =
            Builder::new(runtime).host(LOCALHOST).bootstrap(names).build().unwrap();
        A::spawn(driver);
        // A wait for the name would take five seconds each time.
        let begun = std::time::Instant::now();
        node.fully_bootstrapped().await.unwrap();
        let found = node.find_node(Id([3; 32])).nodes().await.unwrap();
        let took = begun.elapsed();
        assert_eq!(found.len(), 1);
        assert!(took < 4 * SECOND, "{took:?}");
        println!("ready, and found, after {took:?}");
    });
}

/// As when the address is away, or no descriptor is free: it hears why, and has them when that is over.
pub fn sockets_that_can_not_be_bound_again<A: Adapter>() {
    A::block_on(async {
        let ((node, runtime), other) = (shaky::<A>().await, up::<A>().await);
        let mut events = node.events();
        node.suspend().await.unwrap();
        for kind in [ErrorKind::AddrNotAvailable, ErrorKind::Other] {
            runtime.faults().bind = Some(kind);
            let Err(Error::Io(error)) = node.resume().await else { panic!("not the bind") };
            assert_eq!(error.kind(), kind);
            hear(&mut events, |event| *event == Event::BindFailed).await;
        }
        assert!(node.status().suspended && !node.closed());
        let asked = node.ping(server(&other)).await;
        assert!(matches!(asked, Err(Error::Send(SendError::Suspended))));
        runtime.faults().bind = None;
        hear(&mut events, |event| *event == Event::Resumed).await;
        assert_well(&node, &other).await;
    });
}

/// As when no thread can be started for a look-up: it costs what it was for, no more.
pub fn helpers_that_panic<A: Adapter>() {
    A::block_on(async {
        let first = up::<A>().await;
        for helper in [Helper::Lookup, Helper::LookupLater, Helper::Interfaces, Helper::Bind] {
            let runtime = Faulty::new(A::runtime());
            let names = ["localhost:9".to_owned(), server(&first).to_string()];
            let builder = Builder::new(runtime.clone()).host(LOCALHOST).bootstrap(names);
            let (node, driver) = builder.build().unwrap();
            runtime.faults().panics = Some(helper);
            A::spawn(driver);
            if helper == Helper::Bind {
                assert!(matches!(node.listening().await, Err(Error::Io(_))));
                continue;
            }
            node.fully_bootstrapped().await.unwrap();
            let answered = node.stats().requests.responses;
            assert!(answered > 0, "{helper:?}: nobody was asked");
            assert_well(&node, &first).await;
        }
    });
}

/// A node filter that panics, in the middle of a walk as well, has said no: nobody waits for ever.
pub fn a_filter_that_panics<A: Adapter>() {
    A::block_on(async {
        let (first, second) = (up::<A>().await, up::<A>().await);
        first.add_node(server(&second)).unwrap();
        for nth in 0..4 {
            let calls = AtomicU64::new(0);
            let filter = move |_| {
                assert!(calls.fetch_add(1, Ordering::Relaxed) != nth, "a bug");
                true
            };
            let nodes = [server(&first), server(&second)];
            let filter = Some(NodeFilter::new(filter));
            let node = builder::<A>().configure(|config| config.filter = filter).bootstrap(nodes);
            let node = node.spawn().unwrap();
            let mut query = node.query(Query::find_node(Id([1; 32])));
            node.fully_bootstrapped().await.unwrap();
            assert!(query.finished().await.unwrap().answered > 0, "at call {nth}");
            assert_well(&node, &first).await;
            node.close().await.unwrap();
        }
    });
}

/// As when its task is aborted: nobody waits for ever.
pub fn a_driver_that_is_dropped<A: Adapter>() {
    ends::<A>(|gone, _| gone.store(true, Ordering::Relaxed));
}

/// Its task unwinds: nobody waits for ever, either.
pub fn a_socket_that_panics<A: Adapter>() {
    ends::<A>(|_, runtime| runtime.faults().panics = Some(Helper::Receive));
}

/// Whoever waits for a node whose driver is to end now gets to know.
fn ends<A: Adapter>(end: impl Fn(&AtomicBool, &Faulty<A::Runtime>)) {
    A::block_on(async {
        let runtime = Faulty::new(A::runtime());
        let (node, driver) = Builder::new(runtime.clone()).host(LOCALHOST).build().unwrap();
        let gone = Arc::new(AtomicBool::new(false));
        let is_gone = Arc::clone(&gone);
        A::spawn(until(move || is_gone.load(Ordering::Relaxed), driver));
        node.listening().await.unwrap();
        let silent = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        let to = local(port(&silent));
        let (mut requests, mut events) = (node.requests(), node.events());
        let mut query = node.query(Query::find_node(Id([1; 32])).nodes([to]));
        let waiting = [node.ping(to), node.ping(to)];
        end(&gone, &runtime);
        // Wakes the driver.
        let last = node.ping(to);
        for ping in waiting.into_iter().chain([last]) {
            assert!(matches!(ping.await, Err(Error::Request(RequestError::Destroyed))));
        }
        assert!(query.next().await.is_none() && requests.next().await.is_none());
        assert_eq!(hear(&mut events, |_| true).await, Event::Closed);
        assert!(events.next().await.is_none());
        assert!(matches!(node.ping(to).await, Err(Error::Send(SendError::Closed))));
        node.close().await.unwrap();
        drop(UdpSocket::bind(server(&node)).unwrap());
    });
}
