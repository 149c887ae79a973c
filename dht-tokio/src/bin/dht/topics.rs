//! Topics of hyperdht: `announce`, `lookup`.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::Path;

use dht_tokio::Id;
use dht_tokio::dht_core::hyperdht::hash;
use serde_json::json;

use crate::args::Join;
use crate::failure::{Failure, not_found};
use crate::output::Output;
use crate::stop::Stop;
use crate::{format, join, keyfile};

/// As in hyperdht: `DHT.hash`.
fn topic_of(name: &str) -> Id {
    hash(name.as_bytes())
}

pub(crate) async fn announce(
    name: String,
    key: &Path,
    relays: &[SocketAddrV4],
    join: Join,
    output: &Output,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let pair = keyfile::read_or_make(key, output)?;
    let (topic, public_key) = (topic_of(&name), pair.public_key().to_string());
    let dht = stop.or(join::client(join)).await?;
    let announcer = dht.announcer(topic, pair, relays);
    let announced = async { Ok(announcer.announced().await?) };
    if let Err(failure) = stop.or(announced).await {
        announcer.close().await;
        return Err(failure);
    }
    let nodes = announcer.kept_by().len();
    let json = json!({
        "event": "announced",
        "topic": topic.to_string(),
        "public_key": public_key,
        "nodes": nodes,
    });
    output.result(&public_key, &json)?;
    let nodes = format::count(nodes, "node");
    output.log(format_args!("announced {name} at {nodes}, until this is stopped"));
    stop.wait().await;
    output.log("taking it back");
    announcer.close().await;
    Ok(())
}

pub(crate) async fn lookup(name: String, join: Join, output: &Output) -> Result<(), Failure> {
    let topic = topic_of(&name);
    let dht = join::client(join).await?;
    let (mut found, mut seen) = (dht.lookup(topic), BTreeSet::new());
    while let Some((_, reply)) = found.next().await {
        for peer in reply.peers {
            if !seen.insert(peer.public_key) {
                continue;
            }
            let relays: Vec<_> = peer.relay_addresses.iter().map(ToString::to_string).collect();
            let json = json!({
                "event": "peer",
                "public_key": peer.public_key.to_string(),
                "relay_addresses": relays,
            });
            let text = format!("{}  {}", peer.public_key, relays.join(" "));
            output.result(text.trim_end(), &json)?;
        }
    }
    let outcome = found.finished().await?;
    if seen.is_empty() {
        let json = json!({ "event": "not-found", "topic": topic.to_string() });
        return Err(not_found(&outcome, &json, format!("nobody has announced {name}"), output));
    }
    let peers = format::count(seen.len(), "peer");
    output.log(format_args!("{peers}, of {} asked", format::count(outcome.asked as usize, "node")));
    Ok(())
}
