//! What hyperdht's own nodes answer, request by request. `served.txt` is made by `tests/interop/js/hyperdht-served.mjs`.
//!
//! Not in it is what depends on time, chance, limits or local addresses: that is in the other files.

use std::time::Duration;

use bytes::Bytes;
use dht_core::hyperdht::{Action, PeerRecord, Peers, command};
use dht_core::{Answer, Id};

use super::serving_rig::{Rig, address, array, fields, hex, value_of};

const FILE: &str = include_str!("served.txt");
/// The time of the reference, in milliseconds since 1970.
const TIME: u64 = 1_700_000_000_000;

/// A node of the vectors.
fn rig() -> Rig {
    let mut rig = Rig::new();
    let messages = include_str!("messages.txt").lines().nth(1).unwrap();
    rig.own = array(fields(messages.split(' ').skip(1))["node"]).map(Id);
    rig.service.register("chat", 3);
    rig
}

/// What the line says becomes of the request.
fn expected(outcome: &str) -> Action<'static> {
    let (what, rest) = outcome.split_once(' ').unwrap_or((outcome, ""));
    match what {
        "silent" => Action::Silent,
        "not" => Action::NotMine,
        "relay" => {
            let fields = fields(rest.split(' '));
            let value = hex(fields["value"]).unwrap().into();
            Action::Relay { to: address(fields["to"]).unwrap(), value }
        }
        "reply" => {
            let fields = fields(rest.split(' '));
            let answer = match (fields["error"], hex(fields["value"])) {
                ("0", None) => Answer::empty(),
                ("0", Some(value)) => Answer::value(value),
                (code, None) => Answer::error(code.parse().unwrap()),
                (_, Some(_)) => panic!("an error with a value"),
            };
            let answer = answer.token(fields["token"] == "true");
            let answer = answer.closer_nodes(fields["closer"] == "true");
            Action::Reply(address(fields["to"]).into_iter().fold(answer, Answer::to))
        }
        other => panic!("{other}"),
    }
}

/// The peers of a lookup come in any order.
fn sorted(answer: Answer) -> Answer {
    let Some(value) = value_of(&answer) else { return answer };
    let Peers { mut peers, bump } = Peers::decode(&value).unwrap();
    peers.sort_by_key(PeerRecord::encode);
    Answer::value(Peers { peers, bump }.encode())
}

#[test]
fn requests_are_answered_as_by_the_reference() {
    let mut rig = rig();
    let (mut requests, mut about) = (0, "");
    for line in FILE.lines() {
        match line {
            "new" => rig = self::rig(),
            "no id" => rig.own = None,
            _ if line.starts_with('#') => about = line,
            _ => {
                let (request, outcome) = line.split_once(" : ").unwrap();
                let mut words = request.split(' ');
                let [from, command, target, token, value] = [(); 5].map(|()| words.next().unwrap());
                let (command, value) = (command.parse().unwrap(), hex(value).map(Bytes::from));
                let (from, target) = (address(from).unwrap(), array(target).map(Id));
                // Else there would be too many signatures to check in a second.
                rig.wait(Duration::from_millis(100));
                rig.service.handle_wall_clock(rig.now, Duration::from_millis(TIME));
                let action = rig.ask(from, command, target, array(token), value.as_deref());
                let shown = format!("{about}\n{request}");
                match action {
                    Action::Plugin(plugin) => {
                        assert_eq!(outcome, "plugin", "{shown}");
                        assert_eq!((plugin.plugin, plugin.version, plugin.command), ("chat", 3, 9));
                    }
                    Action::Reply(answer) if command == command::LOOKUP => {
                        assert_eq!(Action::Reply(sorted(answer)), expected(outcome), "{shown}");
                    }
                    action => assert_eq!(action, expected(outcome), "{shown}"),
                }
                rig.service.check_invariants();
                requests += 1;
            }
        }
    }
    assert_eq!(requests, 973);
}
