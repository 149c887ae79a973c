//! Requests about values.

use dht_core::hyperdht::command::{IMMUTABLE_GET, IMMUTABLE_PUT, MUTABLE_GET, MUTABLE_PUT};
use dht_core::hyperdht::hash;
use dht_interop::json;
use dht_interop::kv::hex;

use crate::table::Outcome::{self, Empty, Error, Silence};
use crate::table::{LONG, Table, Token, of_key, seed, topic};

pub(crate) fn mutables(table: &mut Table<'_>) {
    let own = of_key(1);
    let made = |table: &Table<'_>, seq: u64, value: &[u8]| {
        table.made("mutable", json!({ "seed": seed(1), "seq": seq, "value": hex(value) }))
    };
    let first = made(table, 1, b"first");
    table.row("MUTABLE_GET of nothing known", MUTABLE_GET).target(own).value([0]).is(Empty);
    table.row("MUTABLE_GET without a value", MUTABLE_GET).target(own).is(Silence);
    table.row("MUTABLE_GET with an empty value", MUTABLE_GET).target(own).value("").is(Silence);
    table.row("MUTABLE_GET without a target", MUTABLE_GET).value([0]).is(Silence);
    table
        .row("MUTABLE_GET with a cut number", MUTABLE_GET)
        .target(own)
        .value([0xfd, 1])
        .is(Silence);
    table.row("MUTABLE_GET beyond 2^53", MUTABLE_GET).target(own).value([0xff; 9]).is(Silence);
    table
        .row("MUTABLE_PUT without a token", MUTABLE_PUT)
        .target(own)
        .value(first.clone())
        .is(Silence);
    table
        .row("MUTABLE_PUT without a value", MUTABLE_PUT)
        .target(own)
        .token(Token::Good)
        .is(Silence);
    let put = |table: &mut Table<'_>, name: &str, value: &[u8], outcome| {
        table
            .row(format!("MUTABLE_PUT {name}"), MUTABLE_PUT)
            .target(own)
            .token(Token::Good)
            .value(value)
            .is(outcome);
    };
    let get = |table: &mut Table<'_>, seq: u8, outcome| {
        table
            .row(format!("MUTABLE_GET from {seq} on"), MUTABLE_GET)
            .target(own)
            .value([seq])
            .is(outcome);
    };
    table
        .row("MUTABLE_PUT for another key", MUTABLE_PUT)
        .target([1; 32])
        .token(Token::Good)
        .value(first.clone())
        .is(Silence);
    for (name, at) in [("key", 3), ("seq", 32), ("value", 35), ("signature", 50)] {
        let mut changed = first.clone();
        changed[at] ^= 1;
        put(table, &format!("with a changed {name}"), &changed, Silence);
    }
    for len in 0..first.len() {
        put(table, &format!("cut at {len}"), &first[..len], Silence);
    }
    get(table, 0, Empty);
    put(table, "of the first version", &first, Empty);
    put(table, "of the same again", &first, Empty);
    put(table, "with bytes behind", &[&first[..], &[7]].concat(), Empty);
    put(table, "of the same version, another value", &made(table, 1, b"other"), Error(16));
    put(table, "of a lower version", &made(table, 0, b"zeroth"), Error(17));
    for (seq, outcome) in [(0, Outcome::Value), (1, Outcome::Value), (2, Empty)] {
        get(table, seq, outcome);
    }
    put(table, "of a later version", &made(table, 5, b"fifth"), Empty);
    get(table, 5, Outcome::Value);
    put(table, "of the first version again", &first, Error(17));
    put(table, "of an empty value", &made(table, 6, b""), Empty);
    get(table, 0, Outcome::Value);
    put(table, "of a value instead of an empty one", &made(table, 6, b"sixth"), Error(16));
    for (seq, len) in [(10, 500), (11, 1_000), (12, 1_200)] {
        put(table, &format!("of {len} bytes"), &made(table, seq, &vec![5; len]), Empty);
        get(table, 0, Outcome::Value);
    }
    put(table, "of 1,250 bytes", &made(table, 13, &[5; 1_250]), Empty);
    let longest = table.row("MUTABLE_GET of 1,250 bytes", MUTABLE_GET).target(own).value([0]);
    longest.is(Outcome::Value).differs(LONG);
    let longer = made(table, 14, &[5; 1_280]);
    let row = table.row("MUTABLE_PUT of 1,280 bytes", MUTABLE_PUT).target(own);
    row.token(Token::Good).value(longer).is(Empty).differs(LONG);
    put(table, "of the last version", &made(table, (1 << 53) - 1, b"last"), Empty);
    table
        .row("MUTABLE_GET of the last", MUTABLE_GET)
        .target(own)
        .value([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]);
    get(table, 0, Outcome::Value);
}

pub(crate) fn immutables(table: &mut Table<'_>) {
    let put = |table: &mut Table<'_>, name: String, value: &[u8], outcome| {
        let row = table.row(format!("IMMUTABLE_PUT {name}"), IMMUTABLE_PUT);
        row.target(hash(value).0).token(Token::Good).value(value).is(outcome);
        table.row(format!("IMMUTABLE_GET {name}"), IMMUTABLE_GET).target(hash(value).0);
    };
    let target = topic("value");
    table
        .row("IMMUTABLE_PUT without a token", IMMUTABLE_PUT)
        .target(target)
        .value("value")
        .is(Silence);
    table
        .row("IMMUTABLE_PUT without a value", IMMUTABLE_PUT)
        .target(target)
        .token(Token::Good)
        .is(Silence);
    table
        .row("IMMUTABLE_PUT without a target", IMMUTABLE_PUT)
        .token(Token::Good)
        .value("value")
        .is(Silence);
    table
        .row("IMMUTABLE_PUT under another hash", IMMUTABLE_PUT)
        .target([1; 32])
        .token(Token::Good)
        .value("value")
        .is(Silence);
    put(table, "of a value".into(), b"value", Empty);
    put(table, "of it again".into(), b"value", Empty);
    for len in [1, 500, 1_000, 1_200] {
        put(table, format!("of {len} bytes"), &vec![3; len], Empty);
    }
    let longer = vec![3; 1_324];
    let target = hash(&longer).0;
    let row = table.row("IMMUTABLE_PUT of 1,324 bytes", IMMUTABLE_PUT).target(target);
    row.token(Token::Good).value(longer).is(Empty).differs(LONG);
    let row = table.row("IMMUTABLE_GET of 1,324 bytes", IMMUTABLE_GET).target(target);
    row.is(Outcome::Value).differs(LONG);
    // To theirs an empty value is a value.
    put(table, "of nothing".into(), b"", Empty);
}
