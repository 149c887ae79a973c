//! To whom a node passes on what it relays, and what of this a node sends.

use std::net::SocketAddrV4;

use dht_core::hyperdht::{Action, Handshake, Holepunch, Mode, command, hash};
use dht_core::{Answer, Handled, Id, Incoming, Via, error_code};

use super::serving_rig::{Rig, Said, done, host, pair, topic_of};
use crate::support::lab::{Ask, Lab, Sent, addr};

fn handshake(
    mode: Mode,
    peer_address: Option<SocketAddrV4>,
    relay_address: Option<SocketAddrV4>,
) -> Vec<u8> {
    Handshake { mode, noise: b"noise", peer_address, relay_address }.encode().to_vec()
}

fn holepunch(mode: Mode, peer_address: Option<SocketAddrV4>) -> Vec<u8> {
    Holepunch { mode, id: 7, payload: b"payload", peer_address }.encode().to_vec()
}

/// Where something goes that `from` wants to have sent to `to`, in each of the ways in which this can be asked for.
fn goes_to(from: SocketAddrV4, to: SocketAddrV4) -> [Option<SocketAddrV4>; 4] {
    let messages = [
        (command::PEER_HANDSHAKE, handshake(Mode::FromClient, None, Some(to))),
        (command::PEER_HANDSHAKE, handshake(Mode::FromServer, Some(to), None)),
        (command::PEER_HOLEPUNCH, holepunch(Mode::FromClient, Some(to))),
        (command::PEER_HOLEPUNCH, holepunch(Mode::FromServer, Some(to))),
    ];
    messages.map(|(command, value)| {
        match Rig::new().ask(from, command, Some(hash(b"")), None, Some(&value)) {
            Action::Relay { to, .. } => Some(to),
            // The address is in it, and else it is as an answer to the sender.
            Action::Reply(answer) => {
                let peer_address = Some(from);
                let value = match command {
                    command::PEER_HANDSHAKE => handshake(Mode::Reply, peer_address, None),
                    _ => holepunch(Mode::Reply, peer_address),
                };
                let expected = Answer::value(value).token(false).closer_nodes(false).to(to);
                assert_eq!(answer, expected);
                Some(to)
            }
            Action::Silent => None,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn nothing_is_sent_to_where_the_sender_could_not_send_it() {
    let parse = |text: &str| text.parse::<SocketAddrV4>().unwrap();
    let [public, private, loopback] = ["45.0.0.1:1", "10.0.0.1:1", "127.0.0.1:1"].map(parse);
    for (to, by_public, by_private, by_loopback) in [
        ("46.0.0.1:1", true, true, true),
        ("46.0.0.1:0", false, false, false),
        ("10.0.0.2:1", false, true, true),
        ("192.168.0.2:65535", false, true, true),
        ("10.0.0.2:0", false, false, false),
        ("169.254.0.2:1", false, true, true),
        ("100.64.0.2:1", false, true, true),
        ("127.0.0.1:1", false, false, true),
        ("0.0.0.0:1", false, false, false),
        ("224.0.0.1:1", false, false, false),
        ("255.255.255.255:1", false, false, false),
    ] {
        let to = parse(to);
        for (from, goes) in [(public, by_public), (private, by_private), (loopback, by_loopback)] {
            assert_eq!(goes_to(from, to), [goes.then_some(to); 4], "{to} for {from}");
        }
    }
}

/// A server that has announced itself from a private address is reached by its neighbours only.
#[test]
fn a_server_at_home_is_not_told_of_strangers() {
    let (own, home) = (topic_of(&pair(1)), "10.0.0.1:1".parse().unwrap());
    let mut rig = Rig::new();
    assert_eq!(rig.announce(home, &pair(1), own, &Said::default()), done());
    let mut asked = |from: &str, command, value: &[u8]| {
        let action = rig.ask(from.parse().unwrap(), command, Some(own), None, Some(value));
        match action {
            Action::Relay { to, .. } => Some(to),
            other => {
                assert_eq!(other, Action::Silent);
                None
            }
        }
    };
    for (command, value) in [
        (command::PEER_HANDSHAKE, handshake(Mode::FromClient, None, None)),
        (command::PEER_HANDSHAKE, handshake(Mode::FromRelay, Some(host(1, 1)), None)),
        (command::PEER_HOLEPUNCH, holepunch(Mode::FromClient, None)),
    ] {
        assert_eq!(asked("45.0.0.1:1", command, &value), None);
        assert_eq!(asked("10.0.0.2:1", command, &value), Some(home));
    }
}

/// A node with a service beside it.
struct Served {
    lab: Lab,
    rig: Rig,
}

impl Served {
    fn new() -> Self {
        Self { lab: Lab::persistent(), rig: Rig::new() }
    }

    /// Hands a request in, does what the service says, and returns what leaves.
    fn ask(&mut self, from: SocketAddrV4, ask: &Ask) -> Vec<Sent> {
        let bytes = ask.bytes();
        self.lab.sent.clear();
        let handled = self.lab.hand_in(Via::Server, from, &bytes);
        let Handled::Request(incoming) = handled else { return self.lab.take_sent() };
        let Incoming { reply_to, .. } = incoming;
        let id = self.lab.node.id();
        let action = self.rig.service.handle_request(self.lab.now, id, &incoming);
        self.lab
            .call(|node, now| match action {
                Action::Reply(answer) => node.reply(now, reply_to, answer),
                Action::Relay { to, value } => node.relay(now, reply_to, to, Some(value)),
                Action::Silent => Ok(()),
                other => panic!("{other:?}"),
            })
            .unwrap();
        self.lab.take_sent()
    }
}

#[test]
fn a_handshake_goes_on_under_its_transaction_id() {
    let mut served = Served::new();
    let (client, server) = (addr(1), addr(2));
    let target = hash(b"server");
    let ask = Ask::user(command::PEER_HANDSHAKE).target(target);
    let to_server =
        ask.clone().value(&handshake(Mode::FromClient, None, Some(server))).token([1; 32]);
    // A false token is the node's concern.
    let refused = served.ask(client, &to_server);
    assert_eq!(refused[0].response().error, error_code::INVALID_TOKEN);

    let relayed = served.ask(client, &Ask { token: None, ..to_server });
    assert_eq!((relayed.len(), relayed[0].to), (1, server));
    let request = relayed[0].request();
    assert_eq!((request.tid, request.internal, request.command), (0x1234, false, 0));
    assert_eq!((request.target, request.token), (Some(target.as_bytes()), None));
    let expected = handshake(Mode::FromRelay, Some(client), None);
    assert_eq!(request.value, Some(&expected[..]));

    let back =
        served.ask(server, &ask.clone().value(&handshake(Mode::FromServer, Some(client), None)));
    assert_eq!((back.len(), back[0].to), (1, client));
    let response = back[0].response();
    let expected = handshake(Mode::Reply, Some(server), None);
    assert_eq!((response.tid, response.value), (0x1234, Some(&expected[..])));
    assert_eq!((response.token, response.error), (None, 0));

    // Who knows no server helps to find who does.
    served.lab.add_node(addr(3));
    let help = served.ask(client, &ask.value(&handshake(Mode::FromClient, None, None)));
    assert_eq!(help[0].response().token, None);
    assert_eq!(help[0].nodes(), [addr(3)]);
}

#[test]
fn what_a_token_proves_is_stored() {
    let mut served = Served::new();
    let value = b"a value";
    let ask = Ask::user(command::IMMUTABLE_GET).target(hash(value));
    let empty = served.ask(addr(1), &ask);
    assert_eq!(empty[0].response().value, None);
    let put = Ask { command: command::IMMUTABLE_PUT, ..ask.clone() }.value(value);
    assert_eq!(served.ask(addr(1), &put), [], "no token");
    let others = served.ask(addr(2), &put.clone().token(empty[0].token()));
    assert_eq!(others[0].response().error, error_code::INVALID_TOKEN);
    let stored = served.ask(addr(1), &put.token(empty[0].token()));
    assert_eq!((stored.len(), stored[0].response().error), (1, 0));
    assert_eq!(served.ask(addr(2), &ask)[0].response().value, Some(&value[..]));
}

#[test]
fn a_node_without_an_id_relays_only() {
    let mut rig = Rig::new();
    rig.announce(host(1, 1), &pair(1), topic_of(&pair(1)), &Said::default());
    rig.own = None;
    let target: Option<Id> = Some(topic_of(&pair(1)));
    for command in 0..20 {
        let value = holepunch(Mode::FromClient, None);
        let action = rig.ask(host(2, 1), command, target, Some([7; 32]), Some(&value));
        match action {
            Action::Relay { to, .. } => assert_eq!((to, command < 2), (host(1, 1), true)),
            other => assert_eq!((other, command < 2), (Action::NotMine, false), "{command}"),
        }
    }
    rig.own = target;
    for command in [11, 12, 1 << 40, u64::MAX] {
        assert_eq!(rig.ask(host(2, 1), command, target, None, None), Action::NotMine);
    }
}
