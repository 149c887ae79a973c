//! Requests about what is announced.

use dht_core::hyperdht::command::{ANNOUNCE, FIND_PEER, IMMUTABLE_GET, LOOKUP, UNANNOUNCE};
use dht_interop::{Value, json};

use crate::table::Outcome::{self, Empty, Error, Silence};
use crate::table::{LATEST, Table, Token, now, of_key, seed, topic};

/// FIND_PEER and LOOKUP of what is not there.
pub(crate) fn looking(table: &mut Table<'_>) {
    for (name, command) in
        [("FIND_PEER", FIND_PEER), ("LOOKUP", LOOKUP), ("IMMUTABLE_GET", IMMUTABLE_GET)]
    {
        table.row(format!("{name} of nothing known"), command).target([1; 32]).is(Empty);
        table.row(format!("{name} without a target"), command).is(Silence);
        table.row(format!("{name} with a value"), command).target([1; 32]).value("?").is(Empty);
        table
            .row(format!("{name} with a token"), command)
            .target([1; 32])
            .token(Token::Good)
            .is(Empty);
        table
            .row(format!("{name} with an empty value"), command)
            .target([1; 32])
            .value("")
            .is(Empty);
    }
}

/// All commands, with and without what belongs to them.
pub(crate) fn commands(table: &mut Table<'_>) {
    for command in 0..=12 {
        let name = format!("command {command}");
        table
            .row(format!("{name}, a wrong token"), command)
            .target([1; 32])
            .token(Token::Wrong)
            .is(Error(2));
        table.row(format!("{name}, nothing with it"), command);
        table.row(format!("{name}, a target"), command).target([1; 32]);
        table.row(format!("{name}, a value"), command).value([0; 40]);
        table.row(format!("{name}, a target, a token"), command).target([1; 32]).token(Token::Good);
        let all = table.row(format!("{name}, a target, a token, a value"), command);
        all.target([1; 32]).token(Token::Good).value([0; 40]);
        table.row(format!("internal {name}, no value"), command).target([1; 32]).internal = true;
        // DELAYED_PING would be answered later.
        if command != 4 {
            table.row(format!("internal {name}, no target"), command).value([0; 40]).internal =
                true;
        }
    }
    for command in [11, 12, 255, 1 << 40] {
        table.row(format!("unknown command {command}"), command).target([1; 32]).is(Error(1));
    }
}

/// ANNOUNCE of a topic, by what is wrong with it.
pub(crate) fn announcing_badly(table: &mut Table<'_>) {
    let one = topic("one");
    let by = |n| json!({ "seed": seed(n) });
    let other = |name: &str, value: Value| {
        let mut fields = by(1);
        fields[name] = value;
        fields
    };
    let bad: [(&str, &str, Value); 3] = [
        ("another node", "id", seed(3)),
        ("another token", "token", seed(3)),
        ("another topic", "target", seed(3)),
    ];
    for (name, field, value) in bad {
        table
            .row(format!("ANNOUNCE signed for {name}"), ANNOUNCE)
            .target(one)
            .signed(other(field, value))
            .is(Silence);
    }
    table
        .row("ANNOUNCE signed as UNANNOUNCE", ANNOUNCE)
        .target(one)
        .signed(other("withdraw", json!(true)))
        .is(Silence);
    table
        .row("ANNOUNCE without a token", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .token(Token::None)
        .is(Silence);
    table
        .row("ANNOUNCE with a wrong token", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .token(Token::Wrong)
        .is(Error(2));
    table.row("ANNOUNCE without a value", ANNOUNCE).target(one).token(Token::Good).is(Silence);
    table
        .row("ANNOUNCE of an empty value", ANNOUNCE)
        .target(one)
        .token(Token::Good)
        .value("")
        .is(Silence);
    table.row("ANNOUNCE of nobody", ANNOUNCE).target(one).token(Token::Good).value([0]).is(Silence);
    table
        .row("ANNOUNCE with a changed key", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(|it| it[1] ^= 1)
        .is(Silence);
    table
        .row("ANNOUNCE with a changed signature", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(|it| it[40] ^= 1)
        .is(Silence);
    let unsigned = |it: &mut Vec<u8>| it[0] &= !4;
    table
        .row("ANNOUNCE without a signature", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(unsigned)
        .is(Silence);
    let full = json!({
        "seed": seed(1), "relays": ["127.0.0.1:9"], "refresh": seed(4), "bump": 1_700_000_000_000_u64,
    });
    for len in 0..1 + 32 + 1 + 6 + 32 + 64 + 9 {
        table
            .row(format!("ANNOUNCE cut at {len}"), ANNOUNCE)
            .target(one)
            .signed(full.clone())
            .cut(len)
            .is(Silence);
    }
    table.row("LOOKUP: none of them counted", LOOKUP).target(one).is(Empty);
}

/// ANNOUNCE of a topic that counts.
pub(crate) fn announcing(table: &mut Table<'_>) {
    let one = topic("one");
    let by = |n| json!({ "seed": seed(n) });
    let other = |name: &str, value: Value| {
        let mut fields = by(1);
        fields[name] = value;
        fields
    };
    let lookup = |table: &mut Table<'_>, name: &str| {
        table.row(format!("LOOKUP {name}"), LOOKUP).target(one).is(Outcome::Value);
    };
    table.row("ANNOUNCE", ANNOUNCE).target(one).signed(by(1)).is(Empty);
    lookup(table, "of one peer");
    table
        .row("ANNOUNCE again, bytes behind it", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(|it| it.push(7))
        .is(Empty);
    table
        .row("ANNOUNCE with unknown flags", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(|it| it[0] |= 0x70)
        .is(Empty);
    let long = |it: &mut Vec<u8>| drop(it.splice(..1, [0xfd, it[0], 0]));
    table.row("ANNOUNCE with long flags", ANNOUNCE).target(one).signed(by(1)).edit(long).is(Empty);
    let many: Vec<_> = (1..=9).map(|n| format!("127.0.0.1:{n}")).collect();
    table
        .row("ANNOUNCE with nine relays", ANNOUNCE)
        .target(one)
        .signed(other("relays", json!(many)))
        .is(Empty);
    table.row("LOOKUP of three relays", LOOKUP).target(one).differs(LATEST);
    let odd = json!(["0.0.0.0:0", "255.255.255.255:65535"]);
    table
        .row("ANNOUNCE with odd relays", ANNOUNCE)
        .target(one)
        .signed(other("relays", odd))
        .is(Empty);
    table.row("LOOKUP of odd relays", LOOKUP).target(one).differs(LATEST);
    let start = now();
    let bumps = [start - 10_000, start - 20_000, start + 30_000, start + 600_000, (1 << 53) - 1, 0];
    for bump in bumps {
        table
            .row(format!("ANNOUNCE with bump {bump}"), ANNOUNCE)
            .target(one)
            .signed(other("bump", json!(bump)))
            .is(Empty);
        lookup(table, &format!("bumped by {bump}"));
    }
    let beyond = |it: &mut Vec<u8>| {
        it[0] |= 8;
        it.extend([0xff, 0, 0, 0, 0, 0, 0, 0x20, 0]);
    };
    table
        .row("ANNOUNCE with bump 2^53", ANNOUNCE)
        .target(one)
        .signed(by(1))
        .edit(beyond)
        .is(Silence);
}

/// Peers that announce themselves, and UNANNOUNCE.
pub(crate) fn coming_and_going(table: &mut Table<'_>) {
    let (own, one) = (of_key(2), topic("one"));
    table
        .row("ANNOUNCE of itself", ANNOUNCE)
        .by_server()
        .target(own)
        .signed(json!({ "seed": seed(2) }))
        .is(Empty);
    table.row("FIND_PEER", FIND_PEER).target(own).is(Outcome::Value);
    table.row("LOOKUP of a peer", LOOKUP).target(own).is(Outcome::Value);

    let going = |more: Value| {
        let mut fields = json!({ "seed": seed(1), "withdraw": true });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    table
        .row("UNANNOUNCE signed as ANNOUNCE", UNANNOUNCE)
        .target(one)
        .signed(json!({ "seed": seed(1) }))
        .is(Silence);
    table
        .row("UNANNOUNCE for another node", UNANNOUNCE)
        .target(one)
        .signed(going(json!({ "id": seed(3) })))
        .is(Silence);
    table
        .row("UNANNOUNCE without a token", UNANNOUNCE)
        .target(one)
        .signed(going(json!({})))
        .token(Token::None)
        .is(Silence);
    table
        .row("UNANNOUNCE without a peer", UNANNOUNCE)
        .target(one)
        .token(Token::Good)
        .value([0])
        .is(Silence);
    table
        .row("UNANNOUNCE without a signature", UNANNOUNCE)
        .target(one)
        .signed(going(json!({})))
        .edit(|it| it[0] &= !4)
        .is(Silence);
    table
        .row("UNANNOUNCE of somebody else", UNANNOUNCE)
        .target(one)
        .signed(going(json!({ "seed": seed(5) })))
        .is(Empty);
    table.row("LOOKUP: still there", LOOKUP).target(one).is(Outcome::Value);
    let changed = json!({ "relays": ["127.0.0.1:9"], "refresh": seed(4), "bump": 5 });
    table
        .row("UNANNOUNCE with all fields", UNANNOUNCE)
        .target(one)
        .signed(going(changed))
        .is(Empty);
    table.row("LOOKUP: gone", LOOKUP).target(one).is(Empty);
    table.row("UNANNOUNCE again", UNANNOUNCE).target(one).signed(going(json!({}))).is(Empty);
}

/// ANNOUNCE by a token instead of a signature. That it counts shows after the record was taken back.
pub(crate) fn refreshing(table: &mut Table<'_>) {
    let one = topic("one");
    let chain = table.js.ok("refreshChain", json!({ "length": 5 }));
    let token =
        |table: &Table<'_>, n: usize| table.made("refreshment", json!({ "refresh": chain[n] }));
    for (name, topic, n) in [("a topic", one, 1), ("itself", of_key(6), 6)] {
        let fields = json!({ "seed": seed(n), "refresh": chain[0] });
        table
            .row(format!("ANNOUNCE of {name}, with refresh"), ANNOUNCE)
            .by_server()
            .target(topic)
            .signed(fields)
            .is(Empty);
        table
            .row("UNANNOUNCE", UNANNOUNCE)
            .target(topic)
            .signed(json!({ "seed": seed(n), "withdraw": true }))
            .is(Empty);
        table.row("LOOKUP: not there", LOOKUP).target(topic).is(Empty);
        for (name, n, outcome) in [
            ("too early", 2, Silence),
            ("first", 1, Empty),
            ("used", 1, Silence),
            ("second", 2, Empty),
            ("the hash itself", 1, Silence),
            ("third", 3, Empty),
        ] {
            let value = token(table, n);
            table
                .row(format!("refresh: {name}"), ANNOUNCE)
                .by_server()
                .target(topic)
                .token(Token::Good)
                .value(value)
                .is(outcome);
        }
        let value = token(table, 4);
        table
            .row("refresh without a token", ANNOUNCE)
            .target(topic)
            .value(value.clone())
            .is(Silence);
        table
            .row("refresh without a target", ANNOUNCE)
            .token(Token::Good)
            .value(value.clone())
            .is(Silence);
        for len in 0..33 {
            table
                .row(format!("refresh cut at {len}"), ANNOUNCE)
                .target(topic)
                .token(Token::Good)
                .value(value.clone())
                .cut(len)
                .is(Silence);
        }
        table
            .row("refresh with another target", ANNOUNCE)
            .by_server()
            .target([3; 32])
            .token(Token::Good)
            .value(value)
            .is(Empty);
        table.row("LOOKUP: back", LOOKUP).target(topic).is(Outcome::Value);
        table.row("LOOKUP: not there", LOOKUP).target([3; 32]).is(Empty);
    }
}
