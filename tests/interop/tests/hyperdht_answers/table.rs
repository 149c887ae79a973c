//! A table of requests, and what comes of each.

use std::net::SocketAddrV4;

use dht_core::hyperdht::{KeyPair, hash};
use dht_interop::kv::{bytes_of, hex};
use dht_interop::probe::{Heard, Probe, Sent};
use dht_interop::theirs::Theirs;
use dht_interop::{Value, json};

use Outcome::{Empty, Error, PassedOn, Silence, ToOther};

pub(crate) type Key = [u8; 32];

/// Why answers differ on purpose.
pub(crate) const LATEST: &str =
    "ours has the latest record of a peer, theirs the first one, for up to 13 minutes";
pub(crate) const LONG: &str = "a datagram of ours has at most 1,400 bytes: closer nodes stay behind, and what has no room is not stored";

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Silence,
    /// An answer without a value.
    Empty,
    /// An answer with one.
    Value,
    Error(u64),
    /// A request to the server.
    PassedOn,
    /// An answer to the server, which has not asked.
    ToOther,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token {
    None,
    Good,
    Wrong,
}

#[derive(Clone, Debug)]
pub(crate) enum Given {
    Nothing,
    Bytes(Vec<u8>),
    /// What the op `announcement` of `js/peers.mjs` makes of these fields, and of the node's id and token.
    Signed(Value),
}

/// A request of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) by_server: bool,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) target: Option<Key>,
    pub(crate) token: Token,
    pub(crate) value: Given,
    /// Changes the value.
    pub(crate) edit: fn(&mut Vec<u8>),
    /// How much of the value is sent.
    pub(crate) cut: usize,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) differs: Option<&'static str>,
}

impl Row {
    pub(crate) fn target(&mut self, target: Key) -> &mut Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn token(&mut self, token: Token) -> &mut Self {
        self.token = token;
        self
    }

    pub(crate) fn value(&mut self, value: impl Into<Vec<u8>>) -> &mut Self {
        self.value = Given::Bytes(value.into());
        self
    }

    pub(crate) fn signed(&mut self, fields: Value) -> &mut Self {
        self.value = Given::Signed(fields);
        self.token(Token::Good)
    }

    pub(crate) fn edit(&mut self, edit: fn(&mut Vec<u8>)) -> &mut Self {
        self.edit = edit;
        self
    }

    pub(crate) fn cut(&mut self, len: usize) -> &mut Self {
        self.cut = len;
        self
    }

    pub(crate) fn by_server(&mut self) -> &mut Self {
        self.by_server = true;
        self
    }

    /// What comes of it, at theirs.
    pub(crate) fn is(&mut self, outcome: Outcome) -> &mut Self {
        self.outcome = Some(outcome);
        self
    }

    /// Ours answers another way, for this reason.
    pub(crate) fn differs(&mut self, reason: &'static str) {
        self.differs = Some(reason);
    }
}

/// All requests, in order: each finds what those before it have left.
pub(crate) struct Table<'t> {
    pub(crate) js: &'t Theirs,
    pub(crate) probe: &'t Probe,
    pub(crate) rows: Vec<Row>,
}

impl Table<'_> {
    pub(crate) fn row(&mut self, name: impl Into<String>, command: u64) -> &mut Row {
        self.rows.push(Row {
            name: name.into(),
            by_server: false,
            internal: false,
            command,
            target: None,
            token: Token::None,
            value: Given::Nothing,
            edit: |_| {},
            cut: usize::MAX,
            outcome: None,
            differs: None,
        });
        self.rows.last_mut().unwrap()
    }

    pub(crate) fn made(&self, op: &str, fields: Value) -> Vec<u8> {
        bytes_of(&self.js.text(op, fields))
    }

    /// Sends a row to a node.
    pub(crate) fn send(&self, row: &Row, node: SocketAddrV4) -> Heard {
        let plain = Sent {
            by_server: row.by_server,
            internal: row.internal,
            command: row.command,
            target: row.target.as_ref(),
            token: None,
            value: None,
        };
        let (id, good) = self.probe.greet(node);
        let value = match &row.value {
            Given::Nothing => None,
            Given::Bytes(bytes) => Some(bytes.clone()),
            Given::Signed(fields) => {
                let mut fields = fields.clone();
                let target = row.target.as_ref().map(|target| json!(hex(target)));
                let own = [("id", json!(hex(&id))), ("token", json!(hex(&good)))];
                for (name, value) in own.into_iter().chain(target.map(|target| ("target", target)))
                {
                    fields.as_object_mut().unwrap().entry(name).or_insert(value);
                }
                Some(self.made("announcement", fields))
            }
        };
        let value = value.map(|mut value| {
            (row.edit)(&mut value);
            value.truncate(row.cut);
            value
        });
        let token = match row.token {
            Token::None => None,
            Token::Good => Some(good),
            Token::Wrong => Some([9; 32]),
        };
        self.probe.send(node, &Sent { token: token.as_ref(), value: value.as_deref(), ..plain })
    }
}

/// What has come of a request, in a word.
pub(crate) fn outcome(heard: &Heard) -> Outcome {
    match (&heard.here[..], &heard.there[..]) {
        ([], []) => Silence,
        ([], [there]) if there.get("request").is_some() => PassedOn,
        ([], [_]) => ToOther,
        ([here], []) if here.get("request").is_some() => PassedOn,
        ([here], []) => match (&here["error"], &here["value"]) {
            (error, _) if *error != 0 => Error(error.as_u64().unwrap()),
            (_, Value::Null) => Empty,
            _ => Outcome::Value,
        },
        _ => unreachable!("too much: {heard:?}"),
    }
}

/// 32 times this byte.
pub(crate) fn seed(n: u8) -> Value {
    json!(hex(&[n; 32]))
}

/// Where the peer with this seed is found.
pub(crate) fn of_key(n: u8) -> Key {
    hash(&KeyPair::from_seed([n; 32]).public_key().0).0
}

pub(crate) fn topic(name: &str) -> Key {
    hash(name.as_bytes()).0
}

pub(crate) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis() as u64
}
