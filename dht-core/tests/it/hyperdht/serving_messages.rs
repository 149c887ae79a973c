//! Messages, as hyperdht's own encoders and decoders have them, and what its keys sign. `messages.txt` is made by
//! `tests/interop/js/hyperdht-messages.mjs`.

use std::net::SocketAddrV4;

use bytes::Bytes;
use dht_core::hyperdht::asking::Announcing;
use dht_core::hyperdht::{
    Announcement, Handshake, Holepunch, KeyPair, Mode, Mutable, PeerRecord, Peers, PluginRequest,
    PublicKey, Signature, command,
};
use dht_core::{Id, Reply, Request};

use super::serving_rig::{Fields, Rig, address, addresses, array, done, fields, hex, stored};
use crate::support::lab::{BEGIN, Lab};

const FILE: &str = include_str!("messages.txt");

/// What a line is, the kind of the message, its bytes, its fields.
fn lines() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>, Fields<'static>)> {
    FILE.lines().skip(2).map(|line| {
        let mut words = line.split(' ');
        let [how, kind, bytes] = [(); 3].map(|()| words.next().unwrap());
        (how, kind, hex(bytes).unwrap(), fields(words))
    })
}

/// How a message is read, and written from its fields.
type Read = fn(&[u8]) -> Option<Bytes>;
type Write = fn(&Fields<'_>) -> Bytes;

/// Of each kind: whether and as what bytes it is read, and how it is written.
fn kind(name: &str) -> (Read, Write) {
    match name {
        "handshake" => (|b| Some(Handshake::decode(b).ok()?.encode()), handshake),
        "holepunch" => (|b| Some(Holepunch::decode(b).ok()?.encode()), holepunch),
        "peer" => (|b| Some(PeerRecord::decode(b).ok()?.encode()), |f| peer(f).encode()),
        "announcement" => (|b| Some(Announcement::decode(b).ok()?.encode()), announcement),
        "peers" => (|b| Some(Peers::decode(b).ok()?.encode()), peers),
        "mutable" => {
            (|b| Some(Mutable::decode(b).ok()?.encode()), |f| mutable(f, |it| it.encode()))
        }
        "put" => (
            |b| Mutable::decode_put(b).ok().map(|(key, it)| it.encode_put(&key)),
            |f| mutable(f, |it| it.encode_put(&key(f).unwrap())),
        ),
        "plugin" => (|b| Some(PluginRequest::decode(b).ok()?.encode()), plugin),
        other => panic!("{other}"),
    }
}

fn number(fields: &Fields<'_>, name: &str) -> u64 {
    fields[name].parse().unwrap()
}

fn mode(fields: &Fields<'_>) -> Mode {
    use Mode::{FromClient, FromRelay, FromSecondRelay, FromServer, Reply};
    [FromClient, FromServer, FromRelay, FromSecondRelay, Reply][number(fields, "mode") as usize]
}

fn handshake(fields: &Fields<'_>) -> Bytes {
    let noise = &hex(fields["noise"]).unwrap();
    let [peer_address, relay_address] = ["peer", "relay"].map(|name| address(fields[name]));
    Handshake { mode: mode(fields), noise, peer_address, relay_address }.encode()
}

fn holepunch(fields: &Fields<'_>) -> Bytes {
    let payload = &hex(fields["payload"]).unwrap();
    let (id, peer_address) = (number(fields, "id"), address(fields["peer"]));
    Holepunch { mode: mode(fields), id, payload, peer_address }.encode()
}

fn key(fields: &Fields<'_>) -> Option<PublicKey> {
    array(fields["key"]).map(PublicKey)
}

fn peer(fields: &Fields<'_>) -> PeerRecord {
    let relay_addresses = addresses(fields["relays"]);
    PeerRecord { public_key: key(fields).unwrap(), relay_addresses }
}

fn announcement(fields: &Fields<'_>) -> Bytes {
    Announcement {
        peer: key(fields).map(|_| peer(fields)),
        refresh: array(fields["refresh"]),
        signature: array(fields["signature"]).map(Signature),
        bump: number(fields, "bump"),
    }
    .encode()
}

fn peers(fields: &Fields<'_>) -> Bytes {
    let all = fields["peers"].split(';').filter(|all| *all != "none");
    let peers = all.map(|peer| {
        let (key, relays) = peer.split_once('/').unwrap();
        PeerRecord {
            public_key: PublicKey(array(key).unwrap()),
            relay_addresses: addresses(relays),
        }
    });
    Peers { peers: peers.collect(), bump: number(fields, "bump") }.encode()
}

fn mutable(fields: &Fields<'_>, write: impl Fn(Mutable<'_>) -> Bytes) -> Bytes {
    let (value, signature) = (hex(fields["value"]).unwrap(), array(fields["signature"]));
    let (seq, signature) = (number(fields, "seq"), Signature(signature.unwrap()));
    write(Mutable { seq, value: &value, signature })
}

fn plugin(fields: &Fields<'_>) -> Bytes {
    let (plugin, value) = (hex(fields["plugin"]).unwrap(), hex(fields["value"]));
    let plugin = core::str::from_utf8(&plugin).unwrap();
    let [version, command] = ["version", "command"].map(|name| number(fields, name));
    PluginRequest { plugin, version, command, value: value.as_deref() }.encode()
}

#[test]
fn messages_are_read_and_written_as_by_the_reference() {
    let mut counts = [0; 3];
    for (how, name, bytes, fields) in lines().filter(|(how, ..)| *how != "signed") {
        let (read, write) = kind(name);
        let again = read(&bytes);
        let shown = format!("{how} {name} {bytes:x?}");
        if how == "refused" {
            assert_eq!(again, None, "{shown}");
            counts[2] += 1;
            continue;
        }
        // What was read is written to the bytes that its fields are written to.
        let written = write(&fields);
        assert_eq!(again.as_ref(), Some(&written), "{shown}");
        assert_eq!(how == "both", written == bytes, "{shown}");
        counts[usize::from(how == "read")] += 1;

        let cuts = (0..bytes.len()).filter(|length| read(&bytes[..*length]).is_some());
        let expected = fields["cuts"].split(',').filter_map(|length| length.parse().ok());
        assert!(cuts.eq(expected), "{shown}");
    }
    assert_eq!(counts, [141, 14, 14]);
}

/// What is asked for is written shortest, and never more than the protocol's numbers reach.
#[test]
fn a_version_is_asked_for_as_a_number() {
    let mut lab = Lab::among(3);
    for (seq, bytes) in [
        (0, &[0][..]),
        (300, &[0xfd, 44, 1]),
        (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]),
    ] {
        lab.sent.clear();
        lab.query(dht_core::hyperdht::asking::mutable_get(&PublicKey([1; 32]), seq));
        assert_eq!(lab.sent[0].request().value, Some(bytes));
    }
}

/// Where, by which token of whom it is signed for: the second line.
fn bound() -> Fields<'static> {
    fields(FILE.lines().nth(1).unwrap().split(' ').skip(1))
}

fn signed_lines() -> impl Iterator<Item = (&'static str, Vec<u8>, Fields<'static>)> {
    let lines = lines().filter(|(how, ..)| *how == "signed");
    lines.map(|(_, kind, bytes, fields)| (kind, bytes, fields))
}

#[test]
fn the_service_takes_what_the_reference_has_signed() {
    let bound = bound();
    let [target, token, own] =
        ["target", "token", "node"].map(|name| array::<32>(bound[name]).unwrap());
    let from = SocketAddrV4::new([45, 2, 0, 1].into(), 4000);
    let mut taken = 0;
    for (kind, bytes, fields) in signed_lines() {
        let mut rig = Rig::new();
        rig.own = Some(Id(own));
        let pair = KeyPair::from_seed(array(fields["seed"]).unwrap());
        let (command, topic, expected) = match kind {
            "announce" => (command::ANNOUNCE, Id(target), done()),
            "unannounce" => (command::UNANNOUNCE, Id(target), done()),
            _ => (command::MUTABLE_PUT, super::serving_rig::topic_of(&pair), stored()),
        };
        let action = rig.ask(from, command, Some(topic), Some(token), Some(&bytes));
        assert_eq!(action, expected, "{kind} {fields:?}");
        // Any bit of it is signed, but for the bump and the version, which may be read otherwise.
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        let action = rig.ask(from, command, Some(topic), Some(token), Some(&changed));
        assert_eq!(action, dht_core::hyperdht::Action::Silent, "{kind} {fields:?}");
        taken += 1;
    }
    assert_eq!(taken, 87);
}

#[test]
fn what_is_signed_is_what_the_reference_signs() {
    let bound = bound();
    let token = array(bound["token"]);
    let node = SocketAddrV4::new([45, 0, 1, 1].into(), 49737);
    let mut lab = Lab::persistent();
    lab.now = BEGIN;
    lab.add_peer(node).token = token;
    // Such a reply brings what is signed: the id and the token.
    let asked = lab.request(Request::ping(node));
    let reply: Reply = lab.result(asked).unwrap();
    let mut same = 0;
    for (kind, bytes, fields) in signed_lines() {
        let pair = KeyPair::from_seed(array(fields["seed"]).unwrap());
        if kind == "put" {
            let value = hex(fields["value"]).unwrap();
            let signed = Mutable::sign(&pair, number(&fields, "seq"), &value).unwrap();
            assert_eq!(signed.encode_put(&pair.public_key()), bytes, "{fields:?}");
            same += 1;
            continue;
        }
        let relay_addresses = addresses(fields["relays"]);
        let plain = relay_addresses.is_empty() && fields["refresh"] == "-";
        let announcing = Announcing {
            topic: Id(array(bound["target"]).unwrap()),
            signer: &pair,
            relay_addresses,
            refresh: array(fields["refresh"]),
            bump: number(&fields, "bump"),
        };
        let request = match kind {
            "announce" => announcing.announce(&reply),
            // Of what it takes back, a peer tells its key only.
            _ if !plain => continue,
            _ => announcing.unannounce(&reply),
        };
        lab.sent.clear();
        lab.request(request.unwrap().unwrap());
        assert_eq!(lab.sent[0].request().value, Some(&bytes[..]), "{fields:?}");
        assert_eq!(lab.sent[0].request().token, token.as_ref());
        same += 1;
    }
    assert_eq!(same, 66);
}
