//! Values as hyperdht's nodes store them: `put` and `get` with `--immutable` or `--mutable`.

use std::path::Path;
use std::str;

use bytes::Bytes;
use dht_tokio::dht_core::hyperdht::error_code::{SEQ_REUSED, SEQ_TOO_LOW};
use dht_tokio::dht_core::hyperdht::{PublicKey, asking};
use dht_tokio::{Commit, Error, Id, QueryError, Stored};
use serde_json::json;

use crate::args::Join;
use crate::failure::{Failure, because, not_found};
use crate::output::Output;
use crate::{format, join, keyfile};

pub(crate) async fn put_immutable(
    value: Bytes,
    join: Join,
    output: &Output,
) -> Result<(), Failure> {
    let dht = join::client(join).await?;
    let (hash, commit) = dht.immutable_put(value).await?;
    let json = json!({ "event": "stored", "hash": hash.to_string(), "nodes": commit.succeeded });
    output.result(hash, &json)?;
    tell(&commit, output);
    Ok(())
}

/// Without a version, the one after the latest that is found.
pub(crate) async fn put_mutable(
    value: Bytes,
    key: &Path,
    seq: Option<u64>,
    join: Join,
    output: &Output,
) -> Result<(), Failure> {
    let pair = keyfile::read_or_make(key, output)?;
    let public_key = pair.public_key();
    let dht = join::client(join).await?;
    let seq = match seq {
        Some(seq) => seq,
        None => {
            dht.mutable_get(&public_key, 0).await?.map_or(0, |latest| latest.seq.saturating_add(1))
        }
    };
    let commit =
        dht.mutable_put(&pair, seq, value).await.map_err(|error| match refusal(&error) {
            Some(SEQ_REUSED) => because(format!("version {seq} is another value already")),
            Some(SEQ_TOO_LOW) => because(format!("there is a later version than {seq} already")),
            _ => error.into(),
        })?;
    let json = json!({
        "event": "stored",
        "public_key": public_key.to_string(),
        "seq": seq,
        "nodes": commit.succeeded,
    });
    output.result(public_key, &json)?;
    output.log(format_args!("version {seq}"));
    tell(&commit, output);
    Ok(())
}

/// The error code of the nodes that refused a commit.
const fn refusal(error: &Error) -> Option<u64> {
    match error {
        Error::Query(QueryError::Commit(commit)) => commit.refusal,
        _ => None,
    }
}

fn tell(commit: &Commit, output: &Output) {
    output.log(format_args!("stored with {}", format::count(commit.succeeded as usize, "node")));
}

pub(crate) async fn get_immutable(hash: Id, join: Join, output: &Output) -> Result<(), Failure> {
    let dht = join::client(join).await?;
    let mut replies = dht.query(asking::immutable_get(hash));
    let value = loop {
        match replies.next().await.map(|reply| asking::immutable(&reply, hash)) {
            Some(Some(value)) => break value,
            Some(None) => {}
            None => {
                let json = json!({ "event": "not-found", "hash": hash.to_string() });
                let why = format!("nobody has a value with the hash {hash}");
                return Err(not_found(&replies.finished().await?, &json, why, output));
            }
        }
    };
    let json = json!({
        "event": "found",
        "hash": hash.to_string(),
        "value": str::from_utf8(&value).ok(),
        "hex": format::hex(&value),
    });
    output.bytes(&value, &json)
}

pub(crate) async fn get_mutable(key: [u8; 32], join: Join, output: &Output) -> Result<(), Failure> {
    let public_key = PublicKey(key);
    let dht = join::client(join).await?;
    let (mut replies, mut latest) = (dht.mutables(&public_key, 0), None::<Stored>);
    while let Some((_, stored)) = replies.next().await {
        latest = latest.filter(|latest| latest.seq >= stored.seq).or(Some(stored));
    }
    let Some(found) = latest else {
        let json = json!({ "event": "not-found", "public_key": public_key.to_string() });
        let why = format!("nobody has a value of the key {public_key}");
        return Err(not_found(&replies.finished().await?, &json, why, output));
    };
    let json = json!({
        "event": "found",
        "public_key": public_key.to_string(),
        "seq": found.seq,
        "value": str::from_utf8(&found.value).ok(),
        "hex": format::hex(&found.value),
    });
    output.bytes(&found.value, &json)?;
    output.log(format_args!("version {}", found.seq));
    Ok(())
}
