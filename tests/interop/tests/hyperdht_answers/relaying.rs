//! Requests to pass something on, to plugins, and to nodes that do not store.

use dht_core::hyperdht::command::{ANNOUNCE, LOOKUP, PEER_HANDSHAKE, PEER_HOLEPUNCH, PLUGIN};
use dht_interop::json;

use crate::table::Outcome::{Empty, Error, PassedOn, Silence, ToOther};
use crate::table::{Table, Token, of_key, seed};

/// Handshakes and hole punches: each mode, for a server that is known or not, with each address or none.
pub(crate) fn relaying(table: &mut Table<'_>) {
    let (known, server, client) = (of_key(2), table.probe.address(1), table.probe.address(0));
    let again = json!({ "seed": seed(2) });
    table.row("ANNOUNCE of the server", ANNOUNCE).by_server().target(known).signed(again).is(Empty);
    let targets = [("a known server", Some(known)), ("nobody", Some([1; 32])), ("no target", None)];
    let addresses = [
        None,
        Some(client.as_str()),
        Some(server.as_str()),
        Some("127.0.0.1:0"),
        Some("0.0.0.0:9"),
    ];
    for (whom, target) in targets {
        for mode in 0..=6 {
            for peer in addresses {
                for relay in addresses {
                    let value = table.made(
                        "handshake",
                        json!({ "mode": mode, "noise": "aabb", "peer": peer, "relay": relay }),
                    );
                    table
                        .row(
                            format!("handshake {mode} to {whom}, {peer:?}, {relay:?}"),
                            PEER_HANDSHAKE,
                        )
                        .value(value)
                        .target = target;
                }
                let value = table.made(
                    "holepunch",
                    json!({ "mode": mode, "id": 300, "payload": "aabb", "peer": peer }),
                );
                table
                    .row(format!("punch {mode} to {whom}, {peer:?}"), PEER_HOLEPUNCH)
                    .value(value)
                    .target = target;
            }
            for (name, op, command) in
                [("handshake", "handshake", PEER_HANDSHAKE), ("punch", "holepunch", PEER_HOLEPUNCH)]
            {
                let value = table.made(
                    op,
                    json!({ "mode": mode, "id": 1, "noise": "", "payload": "", "peer": server }),
                );
                table.row(format!("empty {name} {mode} to {whom}"), command).value(value).target =
                    target;
            }
        }
    }
    let full = json!({ "mode": 0, "id": 300, "noise": "aabb", "payload": "aabb", "peer": client, "relay": server });
    for (op, command) in [("handshake", PEER_HANDSHAKE), ("holepunch", PEER_HOLEPUNCH)] {
        let value = table.made(op, full.clone());
        table.row(format!("{op} in full"), command).target(known).value(value.clone()).is(PassedOn);
        for len in 0..value.len() {
            table
                .row(format!("{op} cut at {len}"), command)
                .target(known)
                .value(&value[..len])
                .is(Silence);
        }
        table
            .row(format!("{op} with a token"), command)
            .target(known)
            .token(Token::Good)
            .value(value.clone())
            .is(PassedOn);
        table
            .row(format!("{op} with unknown flags"), command)
            .target(known)
            .value(value.clone())
            .edit(|it| it[0] |= 0x70);
        table
            .row(format!("{op} with bytes behind"), command)
            .target(known)
            .value(value)
            .edit(|it| it.push(7));
        table.row(format!("{op} without a value"), command).target(known).is(Silence);
    }
    let answer = table.made("handshake", json!({ "mode": 1, "noise": "aabb", "peer": server }));
    table.row("a server's answer", PEER_HANDSHAKE).target(known).value(answer).is(ToOther);
}

pub(crate) fn plugins(table: &mut Table<'_>) {
    let value = table
        .made("plugin", json!({ "plugin": "none", "version": 1, "command": 3, "value": "aabb" }));
    table.row("PLUGIN that nobody knows", PLUGIN).target([1; 32]).value(value.clone()).is(Silence);
    for len in 0..value.len() {
        table.row(format!("PLUGIN cut at {len}"), PLUGIN).value(&value[..len]).is(Silence);
    }
    table
        .row("PLUGIN with a name that is no text", PLUGIN)
        .value([2, 0xff, 0xfe, 1, 1, 0])
        .is(Silence);
}

/// What an ephemeral node is asked.
pub(crate) fn to_ephemeral(table: &mut Table<'_>) {
    for command in 0..=12 {
        table.row(format!("command {command}, nothing with it"), command);
        table.row(format!("command {command}, a target"), command).target([1; 32]);
        let (value, row) = ([0, 0, 0], table.row(format!("command {command}, all"), command));
        row.target([1; 32]).token(Token::Good).value(value);
    }
    table.row("LOOKUP", LOOKUP).target([1; 32]).is(Error(1));
}
