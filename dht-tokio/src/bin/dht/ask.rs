//! Commands about nodes: `ping`, `find-node`.

use dht_tokio::{BootstrapNode, Error, Id, Query, RequestError};
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::{Join, Target};
use crate::failure::{Failure, because};
use crate::format;
use crate::join;
use crate::output::Output;

pub(crate) async fn ping(to: &BootstrapNode, output: &Output) -> Result<(), Failure> {
    let addrs = join::resolve(to).await?;
    let dht = dht_tokio::builder().ephemeral(true).spawn()?;
    // A name may have several, of which any will do.
    let mut pings = JoinSet::new();
    for addr in addrs {
        let ping = dht.ping(addr);
        pings.spawn(async move { (addr, ping.await) });
    }
    let mut answer = Err(because("nobody was asked"));
    while let (Err(_), Some(Ok((addr, result)))) = (&answer, pings.join_next().await) {
        answer = result.map(|reply| (addr, reply)).map_err(|error| match error {
            Error::Request(RequestError::Timeout) => because(format!("no answer from {addr}")),
            Error::Request(RequestError::Elsewhere(from)) => {
                because(format!("no answer from {addr}, but one from {from}: ask there"))
            }
            Error::Request(RequestError::Unsent(_)) => {
                because(format!("could not ask {addr}: {}", join::said(&dht)))
            }
            error => because(format!("{addr}: {error}")),
        });
    }
    let (addr, reply) = answer?;
    let id = reply.from.id.map(|id| id.to_string());
    let text = format!(
        "{addr} answered within {}; its id is {}; it sees us as {}",
        format::time(reply.rtt),
        id.as_deref().unwrap_or("not known"),
        reply.seen_as
    );
    let json = json!({ "event": "pong", "from": addr, "id": id, "to": reply.seen_as, "ms": format::millis(reply.rtt) });
    output.result(text, &json)
}

pub(crate) async fn find_node(target: Target, join: Join, output: &Output) -> Result<(), Failure> {
    let target = match target {
        Target::Id(id) => id,
        Target::Address(node) => Id::of(join::resolve(&node).await?[0]),
    };
    let dht = join::client(join).await?;
    let outcome = dht.query(Query::find_node(target)).finished().await?;
    for reply in &outcome.closest {
        let Some(id) = reply.from.id else { continue };
        let addr = reply.from.addr;
        let shared = id.distance(&target).shared_bits();
        let json = json!({
            "event": "node",
            "address": addr,
            "id": id.to_string(),
            "shared_bits": shared,
            "ms": format::millis(reply.rtt),
        });
        output.result(format_args!("{id}  {addr}"), &json)?;
    }
    output.log(format_args!(
        "{} closest to {}, of {} asked",
        format::count(outcome.closest.len(), "node"),
        format::id(&target),
        outcome.asked
    ));
    match outcome.closest.is_empty() {
        true => Err(because("nobody was found")),
        false => Ok(()),
    }
}
