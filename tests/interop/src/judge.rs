//! The reference's own reading of datagrams: golden vectors, and a process that can be asked.

use std::fs;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::js::Asked;
use crate::kv::{bytes_of, hex};

/// Asks the reference's decoder.
#[derive(Debug)]
pub struct Judge(Asked);

impl Judge {
    /// Starts one.
    #[must_use]
    pub fn new() -> Judge {
        Judge(Asked::new("judge.mjs"))
    }

    /// What the reference makes of a datagram: `null` if it drops it, else `kind` and fields.
    pub fn read(&mut self, from: SocketAddrV4, datagram: &[u8]) -> Value {
        let from = json!({ "host": from.ip().to_string(), "port": from.port() });
        self.0.ask(&json!({ "from": from, "hex": hex(datagram) }))
    }
}

impl Default for Judge {
    fn default() -> Judge {
        Judge::new()
    }
}

/// A golden vector of messages.
#[derive(Debug)]
pub struct Vector {
    /// What it is about.
    pub name: String,
    /// Where it is read as coming from.
    pub from: SocketAddrV4,
    /// The datagram.
    pub bytes: Vec<u8>,
    /// What the reference makes of it, as [`Judge::read`] tells it.
    pub read: Value,
}

/// The vectors of a file in `vectors/`: `requests`, `responses` or `odd`.
#[must_use]
pub fn vectors(name: &str) -> Vec<Vector> {
    let file = load(name);
    let vector = |entry: &Value| Vector {
        name: text(&entry["name"]).to_owned(),
        from: address(entry.get("from").unwrap_or(&file["made"]["from"])),
        bytes: bytes_of(&unfold(text(&entry["hex"]))),
        read: unfold_value(&entry["read"]),
    };
    entries(&file).iter().map(vector).collect()
}

/// The ids of addresses: address and id in hex.
#[must_use]
pub fn ids() -> Vec<(SocketAddrV4, String)> {
    let id = |entry: &Value| (address(entry), text(&entry["id"]).to_owned());
    entries(&load("ids")).iter().map(id).collect()
}

fn load(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).expect("vectors");
    serde_json::from_str(&text).expect("JSON")
}

fn entries(file: &Value) -> &Vec<Value> {
    file["vectors"].as_array().expect("a list of vectors")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn address(value: &Value) -> SocketAddrV4 {
    let port = value["port"].as_u64().and_then(|port| port.try_into().ok());
    let host = text(&value["host"]).parse().expect("an IPv4 address");
    SocketAddrV4::new(host, port.expect("a port"))
}

fn unfold_value(read: &Value) -> Value {
    let mut read = read.clone();
    if let Some(value) = read.get_mut("value").filter(|value| value.is_string()) {
        *value = json!(unfold(text(value)));
    }
    read
}

/// Runs of one byte are written `(5a*65536)`.
fn unfold(folded: &str) -> String {
    let mut hex = String::new();
    for part in folded.split(')') {
        let (plain, run) = part.split_once('(').unwrap_or((part, "*0"));
        let (byte, count) = run.split_once('*').expect("a run");
        hex.push_str(plain);
        hex.push_str(&byte.repeat(count.parse().expect("a count")));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::js;

    #[test]
    fn the_judge_reads_every_vector_as_it_says() {
        if !js::available() {
            return;
        }
        let mut judge = Judge::new();
        for vector in ["requests", "responses", "odd"].into_iter().flat_map(vectors) {
            let Vector { name, from, bytes, read } = vector;
            assert_eq!(judge.read(from, &bytes), read, "{name}");
        }
    }

    #[test]
    fn runs_unfold() {
        assert_eq!(unfold("03(5a*3)04(00*0)(ff*1)"), "035a5a5a04ff");
        assert_eq!(unfold("0304"), "0304");
        assert_eq!(unfold(""), "");
    }

    #[test]
    fn there_are_ids() {
        assert!(ids().iter().any(|(address, _)| address.port() == u16::MAX));
    }
}
