//! The few things that only real sockets and a real runtime can show. All on loopback.

#![allow(clippy::unwrap_used)] // Outside of test functions, too.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use dht_tokio::{
    Builder, Dht, Error, Event, Id, Query, Request, RequestError, SendError, Tokio, Via,
};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn builder() -> Builder<Tokio> {
    dht_tokio::builder().host(Ipv4Addr::LOCALHOST)
}

async fn up() -> Dht {
    let dht = builder().spawn().unwrap();
    dht.listening().await.unwrap();
    dht
}

fn server(dht: &Dht) -> SocketAddrV4 {
    dht.server_address().unwrap()
}

#[test]
fn values_of_all_sizes_travel() {
    runtime().block_on(async {
        let (a, b) = (up().await, up().await);
        let mut requests = b.requests();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let value = request.value().cloned().unwrap_or_default();
                request.reply_value(value).unwrap();
            }
        });
        for size in [0, 1, 1000, 1200] {
            let value = vec![7; size];
            let reply = a.request(Request::new(server(&b), 16).value(value.clone())).await.unwrap();
            assert_eq!(reply.value.as_deref(), Some(&value[..]));
        }
        assert!(a.ping_with(server(&b), 0, 1).await.is_ok(), "a time to live of one hop");
        assert!(a.ping(server(&b)).await.is_ok());
    });
}

#[test]
fn nodes_find_each_other_by_name() {
    runtime().block_on(async {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let first = dht_tokio::bootstrapper(port, "127.0.0.1").host(Ipv4Addr::LOCALHOST);
        let first = first.spawn().unwrap();
        first.fully_bootstrapped().await.unwrap();
        let node = builder().bootstrap([format!("localhost:{port}")]).spawn().unwrap();
        let mut events = node.events();
        node.fully_bootstrapped().await.unwrap();
        assert_eq!(events.next().await, Some(Event::Listening));
        assert_eq!(node.nodes(10), [server(&first)]);
        let found = node.find_node(Id([3; 32])).nodes().await.unwrap();
        assert_eq!(found.len(), 1);
    });
}

#[test]
fn a_taken_port_is_an_error_that_says_so() {
    runtime().block_on(async {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let node = builder().port(port).any_port(false).spawn().unwrap();
        match node.fully_bootstrapped().await {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            other => panic!("{other:?}"),
        }
        let node = builder().port(port..port + 1).spawn().unwrap();
        node.listening().await.unwrap();
        assert_ne!(server(&node).port(), port);
    });
}

#[test]
fn suspended_it_holds_no_socket_and_resumed_the_same() {
    runtime().block_on(async {
        let (a, b) = (up().await, up().await);
        let (client, server) = (b.client_address().unwrap(), server(&b));
        b.suspend().await.unwrap();
        drop((UdpSocket::bind(client).unwrap(), UdpSocket::bind(server).unwrap()));
        b.resume().await.unwrap();
        assert_eq!((b.client_address(), b.server_address()), (Some(client), Some(server)));
        a.ping(server).await.unwrap();
        b.close().await.unwrap();
        drop(UdpSocket::bind(server).unwrap());
        a.request(Request::ping(server).retries(0)).await.unwrap_err();
    });
}

#[test]
fn datagrams_that_are_not_ours() {
    runtime().block_on(async {
        let node = up().await;
        let mut datagrams = node.datagrams();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // Too long, of another protocol: the core hears that it was longer than 2,048 bytes.
        for size in [2048, 2049, 5000] {
            peer.send_to(&vec![0xff; size], server(&node)).unwrap();
            let datagram = datagrams.next().await.unwrap();
            assert_eq!((datagram.via, datagram.data.len()), (Via::Server, size.min(2049)));
        }
        let to = format!("127.0.0.1:{}", peer.local_addr().unwrap().port()).parse().unwrap();
        node.send_datagram(Via::Client, to, "hello", None).unwrap();
        tokio::task::yield_now().await;
        let mut buf = [0; 16];
        let (len, from) = peer.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from), (&b"hello"[..], node.client_address().unwrap().into()));
    });
}

#[test]
fn without_a_runtime_there_are_errors_and_no_panics() {
    assert!(matches!(builder().spawn(), Err(Error::Io(_))));

    let first = runtime();
    let (node, ping, mut query, mut requests) = first.block_on(async {
        let node = up().await;
        let ping = node.ping(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
        let nowhere = [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9)];
        let query = node.query(Query::find_node(Id([1; 32])).nodes(nowhere));
        let requests = node.requests();
        (node, ping, query, requests)
    });
    drop(first);
    // No runtime at all by now.
    assert!(node.closed());
    let late = node.ping(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
    runtime().block_on(async {
        assert!(matches!(ping.await, Err(Error::Request(RequestError::Destroyed))));
        assert!(matches!(late.await, Err(Error::Send(SendError::Closed))));
        assert!(query.next().await.is_none());
        assert!(requests.next().await.is_none());
        node.close().await.unwrap();
    });

    // A driver that is polled without one closes the node.
    let (node, driver) = builder().build().unwrap();
    let mut driver = std::pin::pin!(driver);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(driver.as_mut().poll(&mut cx).is_ready());
    assert!(matches!(node.failure(), Some(Error::Io(_))));
}

#[test]
fn the_clock_goes_on() {
    use dht_tokio::Host;
    let before = Tokio.now();
    std::thread::sleep(Duration::from_millis(5));
    let passed = Tokio.now().saturating_since(before);
    assert!(passed >= Duration::from_millis(5), "{passed:?}");
    assert!(Tokio.interfaces().unwrap().contains(&Ipv4Addr::LOCALHOST));
    let mut bytes = [0; 32];
    Tokio.fill_random(&mut bytes).unwrap();
    assert_ne!(bytes, [0; 32]);
}
