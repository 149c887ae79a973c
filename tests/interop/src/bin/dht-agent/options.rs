//! The options of `create`.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::driver::{Builder, Runtime};
use dht_core::{DATAGRAM_MAX, Exempt, NodeFilter};
use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{
    Fields, addresses, boolean, integer, ip, object, port, ports, text, texts, uint,
    written_addresses,
};

/// Requests under way, at most, so that a caller need not mind: transaction ids allow no more.
const REQUESTS_MAX: usize = 60_000;
/// The same for queries.
const QUERIES_MAX: usize = 4096;
/// Replies that wait to be sent.
const REPLIES_MAX: usize = 65_536;

/// A node as `create` describes it.
pub(crate) fn builder<R: Runtime>(runtime: R, op: Fields<'_>) -> Result<Builder<R>, Failure> {
    let empty = serde_json::Map::new();
    let given = op.maybe("options", object)?.unwrap_or(Fields(&empty));
    let mut builder = match op.maybe("bootstrapper", object)? {
        None => Builder::new(runtime),
        Some(own) => Builder::bootstrapper(runtime, own.get("port", port)?, own.get("host", text)?),
    };
    if let Some(nodes) = given.maybe("bootstrap", texts)? {
        builder = builder.bootstrap(nodes);
    }
    if let Some(nodes) = given.maybe("nodes", addresses)? {
        builder = builder.nodes(nodes);
    }
    if let Some(host) = given.maybe("host", ip)? {
        builder = builder.host(host);
    }
    builder = match given.maybe("port", ports)? {
        None => builder,
        Some(Ok(port)) => builder.port(port),
        Some(Err(range)) => builder.port(range),
    };
    if let Some(any) = given.maybe("anyPort", boolean)? {
        builder = builder.any_port(any);
    }
    if let Some(refused) = given.maybe("refuse", written_addresses)? {
        let refused: BTreeSet<_> = refused.into_iter().collect();
        let filter = NodeFilter::new(move |addr| !refused.contains(&addr));
        builder = builder.configure(|config| config.filter = Some(filter));
    }
    behaviour(limits(builder), given)
}

/// Whom limits per host and per /24 don't apply to.
fn exempt(value: &Value) -> Option<Exempt> {
    match value.as_str()? {
        "local" => Some(Exempt::Local),
        "none" => Some(Exempt::Nobody),
        _ => None,
    }
}

/// Options that say how a node behaves.
fn behaviour<R: Runtime>(
    mut builder: Builder<R>,
    given: Fields<'_>,
) -> Result<Builder<R>, Failure> {
    if let Some(ephemeral) = given.maybe("ephemeral", boolean)? {
        builder = builder.ephemeral(ephemeral);
    }
    if let Some(adaptive) = given.maybe("adaptive", boolean)? {
        builder = builder.configure(|config| config.adaptive = adaptive);
    }
    if let Some(firewalled) = given.maybe("firewalled", boolean)? {
        builder = builder.firewalled(firewalled);
    }
    if let Some(quick) = given.maybe("quickFirewall", boolean)? {
        builder = builder.configure(|config| config.quick_firewall = quick);
    }
    if let Some(exempt) = given.maybe("exempt", exempt)? {
        builder = builder.configure(|config| config.exempt = exempt);
    }
    // What is too large for the library's types is out of its ranges as well, which `build` tells.
    // Of these two the reference takes 0 for nothing said.
    if let Some(concurrency) = given.maybe("concurrency", uint)?.filter(|n| *n > 0) {
        let concurrency = u16::try_from(concurrency).unwrap_or(u16::MAX);
        builder = builder.configure(|config| config.concurrency = concurrency);
    }
    if let Some(window) = given.maybe("maxWindow", uint)? {
        let window = u32::try_from(window).unwrap_or(u32::MAX);
        builder = builder.configure(|config| config.max_window = window);
    }
    if let Some(delay) = given.maybe("maxPingDelay", uint)?.filter(|n| *n > 0) {
        let delay = Duration::from_millis(delay);
        builder = builder.configure(|config| config.max_ping_delay = delay);
    }
    if let Some(send) = given.maybe("sendDownHints", boolean)? {
        builder = builder.configure(|config| config.send_down_hints = send);
    }
    if let Some(limit) = given.maybe("downHintsRateLimit", integer)? {
        let limit = (limit != -1).then(|| u32::try_from(limit.max(0)).unwrap_or(u32::MAX));
        builder = builder.configure(|config| config.down_hints_rate_limit = limit);
    }
    Ok(builder)
}

/// Our own limits, out of the way of what the reference can do.
fn limits<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    builder.configure(|config| {
        config.max_datagram = DATAGRAM_MAX;
        config.max_requests = REQUESTS_MAX;
        config.max_queries = QUERIES_MAX;
        config.max_replies = REPLIES_MAX;
    })
}
