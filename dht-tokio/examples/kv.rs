//! A key-value store: ten nodes keep what is put under its hash, an eleventh puts and gets.
//! All on loopback; it ends by itself.
use std::collections::HashMap;
use std::net::Ipv4Addr;

use blake2::{Blake2b256, Digest};
use dht_tokio::{Answer, Builder, Error, Id, Query, Requests, Tokio};

const VALUES: u64 = 0;

fn hash(value: &[u8]) -> Id {
    Id(Blake2b256::digest(value).into())
}

/// Keeps what comes with a valid token (so the sender's address is no lie), and gives it out.
async fn store(mut requests: Requests) {
    let mut values = HashMap::new();
    while let Some(request) = requests.next().await {
        let answer = match (request.command, request.token, &request.value) {
            (VALUES, Some(_), Some(value)) => {
                values.insert(hash(value), value.clone());
                Answer::empty()
            }
            (VALUES, _, _) => match request.target.and_then(|target| values.get(&target)) {
                Some(value) => Answer::value(value.clone()),
                None => Answer::empty(),
            },
            _ => continue, // answers "unknown command"
        };
        request.reply(answer).ok();
    }
}

fn local(builder: Builder<Tokio>) -> Builder<Tokio> {
    builder.host(Ipv4Addr::LOCALHOST)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let bootstrap = local(dht_tokio::bootstrapper(10001, "127.0.0.1")).spawn()?;
    bootstrap.fully_bootstrapped().await?;

    let mut nodes = Vec::new();
    for _ in 0..10 {
        let node = local(dht_tokio::builder()).bootstrap(["localhost:10001"]);
        let node = node.ephemeral(false).firewalled(false).spawn()?;
        tokio::spawn(store(node.requests()));
        node.fully_bootstrapped().await?;
        nodes.push(node);
    }

    let node = local(dht_tokio::builder()).bootstrap(["localhost:10001"]).spawn()?;
    let key = hash(b"hello world");
    let put = Query::new(key, VALUES).value("hello world").commit();
    let outcome = node.query(put).finished().await?;
    println!("put {key}: {}", outcome.commit.unwrap_or_default());

    let mut get = node.query(Query::new(key, VALUES));
    while let Some(reply) = get.next().await {
        if let Some(value) = reply.value.filter(|value| hash(value) == key) {
            println!("got it from {}: {}", reply.from.addr, String::from_utf8_lossy(&value));
            break; // dropping the query ends it
        }
    }
    Ok(())
}
