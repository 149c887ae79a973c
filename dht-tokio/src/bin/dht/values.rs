//! Storing a value and finding it: as commands, and as functions for a node that runs.

use std::io::{self, Read};
use std::path::PathBuf;
use std::str;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dht_tokio::{Dht, Error, Id, Outcome, Peer, Query};
use serde_json::json;

use crate::args::{Join, Key, Kind};
use crate::failure::{Failure, because, not_found};
use crate::format;
use crate::join;
use crate::output::Output;
use crate::records;
use crate::store::{COMMAND, VALUE_MAX, key_of};

/// How storing went.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl Stored {
    /// How many nodes took it.
    pub(crate) fn at(&self) -> usize {
        let taken = self.outcome.commit.map_or(0, |commit| commit.succeeded);
        usize::try_from(taken).unwrap_or(usize::MAX)
    }
}

/// A value that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) value: Bytes,
    pub(crate) by: Peer,
    /// How many nodes had been asked by then.
    pub(crate) asked: u32,
    pub(crate) took: Duration,
}

/// Stores a value with the nodes closest to its key.
pub(crate) async fn put(dht: &Dht, key: Id, value: &Bytes) -> Result<Stored, Error> {
    let start = Instant::now();
    let query = Query::new(key, COMMAND).value(value.clone()).commit();
    let outcome = dht.query(query).finished().await?;
    Ok(Stored { outcome, took: start.elapsed() })
}

/// Asks ever closer nodes until one has a value that fits the key: anything else that they
/// may send is not it. If none has, how the search went.
pub(crate) async fn get(dht: &Dht, key: Id) -> Result<Result<Found, Outcome>, Error> {
    let start = Instant::now();
    let mut query = dht.query(Query::new(key, COMMAND));
    while let Some(reply) = query.next().await {
        if let Some(value) = reply.value.filter(|value| key_of(value) == key) {
            let took = start.elapsed();
            query.stop();
            let asked = query.finished().await?.asked;
            return Ok(Ok(Found { value, by: reply.from, asked, took }));
        }
    }
    query.finished().await.map(Err)
}

/// A value that is not too long to be stored.
pub(crate) fn check(value: Vec<u8>) -> Result<Bytes, Failure> {
    match value.len() {
        ..=VALUE_MAX => Ok(value.into()),
        _ => Err(because(format!(
            "the value is too large: at most {} bytes can be stored",
            format::thousands(VALUE_MAX)
        ))),
    }
}

pub(crate) async fn put_command(
    value: String,
    kind: Kind,
    (pair, seq): (Option<PathBuf>, Option<u64>),
    join: Join,
    output: &Output,
) -> Result<(), Failure> {
    let value = match &*value {
        // On a thread of its own, so that a signal can end the wait.
        "-" => check(tokio::task::spawn_blocking(read).await.map_err(io::Error::from)??)?,
        _ => check(value.into_bytes())?,
    };
    if let Some(pair) = pair {
        return records::put_mutable(value, &pair, seq, join, output).await;
    }
    if kind.immutable {
        return records::put_immutable(value, join, output).await;
    }
    let key = key_of(&value);
    let dht = join::client(join).await?;
    let stored = put(&dht, key, &value).await?;
    let at = stored.at();
    let json = json!({
        "event": "stored",
        "key": key.to_string(),
        "nodes": at,
        "asked": stored.outcome.asked,
        "ms": format::millis(stored.took),
    });
    output.result(key, &json)?;
    output.log(format_args!(
        "stored with {}, after asking {}, in {} (after joining)",
        format::count(at, "node"),
        stored.outcome.asked,
        format::time(stored.took)
    ));
    Ok(())
}

/// Standard input, as far as it could be a value: one byte more tells that it is not.
fn read() -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    let limit = u64::try_from(VALUE_MAX).unwrap_or(u64::MAX) + 1;
    io::stdin().lock().take(limit).read_to_end(&mut value)?;
    Ok(value)
}

pub(crate) async fn get_command(
    key: Key,
    kind: Kind,
    join: Join,
    output: &Output,
) -> Result<(), Failure> {
    let Key(key) = key;
    if kind.immutable {
        return records::get_immutable(key, join, output).await;
    }
    if kind.mutable {
        return records::get_mutable(key.0, join, output).await;
    }
    let dht = join::client(join).await?;
    let found = get(&dht, key).await?.map_err(|outcome| {
        let json = json!({ "event": "not-found", "key": key.to_string() });
        not_found(&outcome, &json, format!("nobody has a value for {key}"), output)
    })?;
    let json = json!({
        "event": "found",
        "key": key.to_string(),
        "value": str::from_utf8(&found.value).ok(),
        "hex": format::hex(&found.value),
        "by": found.by.addr,
        "asked": found.asked,
        "ms": format::millis(found.took),
    });
    output.bytes(&found.value, &json)?;
    output.log(format_args!(
        "found with {}, after asking {}, in {} (after joining)",
        found.by.addr,
        found.asked,
        format::time(found.took)
    ));
    Ok(())
}
