//! Finds a service by its name, and asks it each second: `client [NAME [BOOTSTRAP]]`. If an instance falls silent, it goes on
//! with another.
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use dht_tokio::hyperdht::hash;
use dht_tokio::{Dht, Error, Request};

const GREET: u64 = 100;

/// Asks one instance after the other, as they are found, until one answers.
pub(crate) async fn greet(dht: &Dht, name: &str) -> Result<Option<String>, Error> {
    let (mut found, mut asked) = (dht.lookup(hash(name.as_bytes())), BTreeSet::new());
    while let Some((_, reply)) = found.next().await {
        for addr in reply.peers.into_iter().flat_map(|peer| peer.relay_addresses) {
            if asked.insert(addr) {
                let request = Request::new(addr, GREET).retries(0); // silent for a second: dead
                if let Some(value) = dht.request(request).await.ok().and_then(|it| it.value) {
                    return Ok(Some(String::from_utf8_lossy(&value).into()));
                }
            }
        }
    }
    found.finished().await.map(|_| None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arg = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let (name, bootstrap) = (arg(1, "chess"), arg(2, "127.0.0.1:49737"));
    let dht = dht_tokio::builder().host(Ipv4Addr::LOCALHOST).bootstrap([bootstrap]).spawn()?;
    loop {
        match greet(&dht, &name).await? {
            Some(greeting) => println!("{greeting}"),
            None => println!("no instance of {name} answers"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
