//! `demo`: a network on this machine, a value put into it, and found again.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use dht_tokio::{Dht, Id, Query, Reply};
use serde_json::json;

use crate::failure::{Failure, because};
use crate::format;
use crate::memory;
use crate::network::Network;
use crate::output::Output;
use crate::serve::Serve;
use crate::store::{self, key_of};
use crate::values::{self, Stored};

/// How many look-ups the averages are of.
const LOOKUPS: usize = 100;

pub(crate) async fn run(value: String, nodes: u16, output: &Output) -> Result<(), Failure> {
    let value = values::check(value.into_bytes())?;
    let key = key_of(&value);
    let network = form(nodes.into(), output).await?;

    // The last to come knows nothing special.
    let (writer, others) =
        network.nodes().split_last().ok_or_else(|| because("nobody is there"))?;
    let stored = values::put(writer, key, &value).await?;
    tell_stored(&network, writer, &key, &value, &stored, output)?;

    // A node that does not keep the value itself, unless all nodes do.
    let holds = |dht: &Dht| {
        let own = dht.status().remote_address;
        stored.outcome.closest.iter().any(|reply| Some(reply.from.addr) == own)
    };
    let reader = others.iter().rev().find(|dht| !holds(dht)).or(others.get(1)).unwrap_or(writer);
    find(reader, &key, output).await?;

    look_up(&network, output).await?;
    network.close().await;
    if cfg!(debug_assertions) {
        output.log("\nThis build is not optimised. Several times as fast: `cargo install --path dht-tokio --features cli`, then `dht demo`.");
    }
    Ok(())
}

/// Step 1: the network.
async fn form(nodes: usize, output: &Output) -> Result<Network, Failure> {
    let before = memory::resident();
    let start = Instant::now();
    let progress = output.progress("forming a network", nodes + 1);
    let network =
        Network::form(nodes, None, Serve::Values(store::VALUES_MAX), |grown| progress.at(grown))
            .await?;
    drop(progress);
    let took = start.elapsed();
    let size = network.nodes().len();
    let memory = memory::resident()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before) / u64::try_from(size).unwrap_or(u64::MAX));

    // In a small network it would be the memory of all the rest.
    let memory_text = memory
        .filter(|_| size >= 20)
        .map(|bytes| format!(", in {} of memory", format::memory(bytes)));
    let text = format!(
        "1. Form a network\n   \
         {} joined in {} through the bootstrap node {}.\n   \
         Each knows {} on average{}.\n",
        format::count(size, "node"),
        format::time(took),
        network.bootstrap(),
        format::count(network.mean_table(), "other"),
        memory_text.unwrap_or_default(),
    );
    let json = json!({
        "event": "formed",
        "nodes": size,
        "bootstrap": network.bootstrap(),
        "ms": format::millis(took),
        "known_mean": network.mean_table(),
        "memory_per_node": memory,
    });
    output.result(text, &json)?;
    Ok(network)
}

/// Step 2: the value in it.
fn tell_stored(
    network: &Network,
    writer: &Dht,
    key: &Id,
    value: &[u8],
    stored: &Stored,
    output: &Output,
) -> Result<(), Failure> {
    let by = address(writer);
    let closest = &stored.outcome.closest;
    let truth = network.closest(key, writer);
    let hits = hits(closest, &truth);
    let mut text = format!(
        "2. Store {} under its SHA-256, {key}\n   \
         {by} asked {} for those closest to the key,\n   \
         and stored it with {} of them: {} in {}.\n   {}\n\n   \
         node             id         distance from the key\n",
        format::value(value),
        format::count(count(stored.outcome.asked), "node"),
        stored.at(),
        format::count(count(stored.outcome.asked) + closest.len(), "request"),
        format::time(stored.took),
        match hits == truth.len() {
            true => "Nobody else in the network is closer.".to_owned(),
            false => format!("{hits} of the true {} closest are among them.", truth.len()),
        },
    );
    let mut at = Vec::new();
    for reply in closest {
        let Some(id) = reply.from.id else { continue };
        let distance = id.distance(key);
        at.push(json!({
            "address": reply.from.addr,
            "id": id.to_string(),
            "shared_bits": distance.shared_bits(),
        }));
        let (id, distance) = (format::id(&id), format::distance(&distance));
        text += &format!("   {:<16} {id}  {distance}\n", reply.from.addr.to_string());
    }
    let json = json!({
        "event": "stored",
        "key": key.to_string(),
        "by": by,
        "asked": stored.outcome.asked,
        "requests": count(stored.outcome.asked) + closest.len(),
        "ms": format::millis(stored.took),
        "nodes": stored.at(),
        "true_closest": hits,
        "at": at,
    });
    output.result(text, &json)
}

/// Step 3: the value, found by another node.
async fn find(reader: &Dht, key: &Id, output: &Output) -> Result<(), Failure> {
    let by = address(reader);
    let found = values::get(reader, *key).await?;
    let found = found.map_err(|_| because(format!("{by} did not find the value")))?;
    let text = format!(
        "3. Find it again\n   \
         {by} asked {} and got {} from {}, in {}. The hash fits.\n",
        format::count(count(found.asked), "node"),
        format::value(&found.value),
        found.by.addr,
        format::time(found.took),
    );
    let json = json!({
        "event": "found",
        "by": by,
        "from": found.by.addr,
        "value": String::from_utf8_lossy(&found.value),
        "asked": found.asked,
        "ms": format::millis(found.took),
    });
    output.result(text, &json)
}

/// Step 4: how well that works in general.
async fn look_up(network: &Network, output: &Output) -> Result<(), Failure> {
    let progress = output.progress("looking up keys", LOOKUPS);
    let (mut asked, mut found, mut exist) = (0, 0, 0);
    let mut longest = Duration::ZERO;
    let mut took = Duration::ZERO;
    for (n, dht) in network.nodes().iter().cycle().step_by(7).take(LOOKUPS).enumerate() {
        let key = key_of(format!("key {n}").as_bytes());
        let start = Instant::now();
        let outcome = dht.query(Query::find_node(key)).finished().await?;
        let lasted = start.elapsed();
        took += lasted;
        longest = longest.max(lasted);
        let truth = network.closest(&key, dht);
        asked += count(outcome.asked);
        found += hits(&outcome.closest, &truth);
        exist += truth.len();
        progress.at(n + 1);
    }
    drop(progress);
    let mean = took / u32::try_from(LOOKUPS).unwrap_or(u32::MAX);
    let requests = asked as f64 / LOOKUPS as f64;
    let recall = found as f64 / exist.max(1) as f64;
    let text = format!(
        "4. Look up {LOOKUPS} more keys, from everywhere\n   \
         {requests:.1} requests and {} each on average, {} at most; {:.2} % of the true 20 closest were found.",
        format::time(mean),
        format::time(longest),
        recall * 100.0,
    );
    let json = json!({
        "event": "looked-up",
        "keys": LOOKUPS,
        "requests_mean": requests,
        "ms_mean": format::millis(mean),
        "ms_max": format::millis(longest),
        "recall": recall,
    });
    output.result(text, &json)
}

/// How many of the replies are from nodes that are closest indeed.
fn hits(replies: &[Reply], truth: &[SocketAddrV4]) -> usize {
    replies.iter().filter(|reply| truth.contains(&reply.from.addr)).count()
}

fn address(dht: &Dht) -> String {
    dht.status().remote_address.map(|addr| addr.to_string()).unwrap_or_default()
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
