//! The examples of a service and its client.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "it is called here, not run")]
#[path = "../examples/client.rs"]
mod client;
#[allow(dead_code, reason = "it is called here, not run")]
#[path = "../examples/service.rs"]
mod service;

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use dht_tokio::hyperdht::asking::Announcing;
use dht_tokio::hyperdht::{KeyPair, ServiceConfig, hash};

#[test]
fn a_client_goes_on_with_another_instance() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(story());
}

async fn story() {
    let host = Ipv4Addr::LOCALHOST;
    // Somebody who does not answer.
    let silent = UdpSocket::bind((host, 0)).unwrap();
    let dead = SocketAddrV4::new(host, silent.local_addr().unwrap().port());
    let port = UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap().port();
    let first = dht_tokio::bootstrapper(port, "127.0.0.1").host(host);
    let first = first.hyperdht(ServiceConfig::default()).spawn().unwrap();
    first.fully_bootstrapped().await.unwrap();
    let bootstrap = format!("127.0.0.1:{port}");
    let dht = dht_tokio::builder().host(host).bootstrap([&bootstrap]).spawn().unwrap();
    assert_eq!(client::greet(&dht, "greeter").await.unwrap(), None);

    let pair = KeyPair::from_seed([7; 32]);
    let gone =
        Announcing { relay_addresses: vec![dead], ..Announcing::new(hash(b"greeter"), &pair) };
    dht.announce(&gone).await.unwrap();
    assert_eq!(client::greet(&dht, "greeter").await.unwrap(), None);

    // Until it runs it can't be found.
    let serving = service::serve("greeter", &bootstrap, pending::<()>());
    let asking = async {
        loop {
            if let Some(greeting) = client::greet(&dht, "greeter").await.unwrap() {
                return greeting;
            }
        }
    };
    let greeting = tokio::select! {
        end = serving => panic!("{end:?}"),
        greeting = asking => greeting,
    };
    assert!(greeting.starts_with("hello from [127.0.0.1:"), "{greeting}");
}
