//! What hyperdht's users do works over nodes of ours, alone and among hyperdht's own: their servers are found and
//! connected to, they announce and store, and each side finds what the other has.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use dht_core::driver::{Dht, Error};

use dht_core::hyperdht::asking::Announcing;
use dht_core::hyperdht::{KeyPair, hash};
use dht_core::{Id, QueryError};
use dht_interop::kv::{bytes_of, hex};
use dht_interop::ours::{self, Network, address, wait};
use dht_interop::theirs::{Peer, Theirs};
use dht_interop::{Value, js, json};

/// Nodes of each side.
const NODES: usize = 16;
/// A time, in milliseconds since 1970.
const BUMP: u64 = 1_700_000_000_000;

/// A network, and who uses it.
struct Stage<'t> {
    ours: &'t Network,
    js: &'t Theirs,
    /// Nodes that store, of both sides.
    everyone: Vec<SocketAddrV4>,
    pairs: u32,
}

impl<'t> Stage<'t> {
    /// A node of theirs that uses the network; if it is `closed`, others can't reach it unless they punch.
    fn user(&self, name: &str, closed: bool) -> Peer<'t> {
        let bootstrap = [self.ours.bootstrap().to_string()];
        self.js.node(name, json!({ "bootstrap": bootstrap, "closed": closed }))
    }

    /// A node of ours that does.
    fn own_user(&self) -> Dht {
        let node = ours::node(self.ours.bootstrap(), false);
        wait(node.fully_bootstrapped()).unwrap();
        node
    }

    /// Another key pair, such that the nodes closest to the hash of the key, which alone get an announcement, are
    /// ours.
    fn pair(&mut self) -> KeyPair {
        let ours = self.ours.addresses();
        loop {
            self.pairs += 1;
            let pair = KeyPair::from_seed(hash(&self.pairs.to_le_bytes()).0);
            if self.closest(&of_key(&pair)).iter().all(|node| ours.contains(node)) {
                return pair;
            }
        }
    }

    /// The three nodes closest to a topic.
    fn closest(&self, topic: &Id) -> Vec<SocketAddrV4> {
        let mut nodes = self.everyone.clone();
        nodes.sort_by_cached_key(|node| Id::of(*node).distance(topic));
        nodes.truncate(3);
        nodes
    }
}

/// Where a peer is found.
fn of_key(pair: &KeyPair) -> Id {
    hash(&pair.public_key().0)
}

fn key(pair: &KeyPair) -> Value {
    json!(pair.public_key().to_string())
}

fn seed(pair: &KeyPair) -> Value {
    json!(hex(&pair.seed()))
}

fn topic(name: &str) -> (Id, String) {
    let topic = hash(name.as_bytes());
    (topic, hex(&topic.0))
}

/// How often each of these stands in the answers to a query.
fn times(found: &Value, publicly: &KeyPair) -> usize {
    let peers = found.as_array().unwrap().iter().flat_map(|it| it["peers"].as_array().unwrap());
    peers.filter(|peer| peer["publicKey"] == key(publicly)).count()
}

/// A server of theirs gets what their client says, by way of nodes of ours: with both open, and with both closed.
fn connect(stage: &mut Stage<'_>) {
    for closed in [false, true] {
        let name = if closed { "closed" } else { "open" };
        let [server, client] =
            ["server", "client"].map(|role| stage.user(&format!("{role} {name}"), closed));
        let pair = stage.pair();
        let listening = server.ok("listen", json!({ "seed": seed(&pair), "punched": closed }));
        assert_eq!(listening["publicKey"], key(&pair));
        if closed {
            // In the order of their answers.
            let relays = listening["relays"].as_array().unwrap().iter();
            let relays: BTreeSet<_> = relays.map(|relay| relay.as_str().unwrap().into()).collect();
            let closest = stage.closest(&of_key(&pair)).into_iter();
            assert_eq!(relays, closest.map(|relay| relay.to_string()).collect());
        }
        let handshakes = stage.ours.sum(|stats| stats.handshakes);
        let punches = stage.ours.sum(|stats| stats.holepunches);
        let fields = json!({ "publicKey": key(&pair), "say": name, "punched": closed });
        let connected = client.ok("connect", fields);
        assert_eq!(connected["echo"], name);
        assert!(stage.ours.sum(|stats| stats.handshakes) > handshakes, "{name}");
        // Open ones may punch as well, as long as they do not know that they are.
        if closed {
            assert!(stage.ours.sum(|stats| stats.holepunches) > punches);
            assert!(connected["punches"].as_u64() > Some(0), "{connected}");
        }

        let find = || client.ok("findPeer", json!({ "publicKey": key(&pair) }));
        let found = find();
        assert!(!found.as_array().unwrap().is_empty());
        assert!(found.as_array().unwrap().iter().all(|it| it["publicKey"] == key(&pair)));
        server.ok("unlisten", json!({ "seed": seed(&pair) }));
        assert_eq!(find(), json!([]), "{name}");
        let fields = json!({ "publicKey": key(&pair), "say": name });
        assert!(client.call("connect", fields).unwrap_err().contains("PEER_NOT_FOUND"));
        server.ok("close", json!({}));
        client.ok("close", json!({}));
    }
}

/// They announce topics, look them up and take announcements back.
fn announce(stage: &mut Stage<'_>) {
    let [one, other] = ["one", "other"].map(|name| stage.user(name, false));
    let (pair, second) = (stage.pair(), stage.pair());
    let (_, topic) = topic("announced");
    let lookup = || other.ok("lookup", json!({ "topic": topic }));
    assert_eq!(lookup(), json!([]));

    let said = |pair, relay: &str, more: Value| {
        let mut fields = json!({ "topic": topic, "seed": seed(pair), "relays": [relay] });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    one.ok("announce", said(&pair, "127.0.0.1:1", json!({})));
    one.ok("announce", said(&second, "127.0.0.1:2", json!({ "bump": BUMP })));
    let found = lookup();
    assert!(times(&found, &pair) >= 16, "{found}");
    assert!(times(&found, &second) >= 16, "{found}");
    let bumped = found.as_array().unwrap().iter().filter(|it| it["bump"] == BUMP);
    assert!(bumped.count() >= 16, "{found}");

    one.ok("announce", said(&pair, "127.0.0.1:3", json!({ "clear": true })));
    let found = lookup();
    for peer in found.as_array().unwrap().iter().flat_map(|it| it["peers"].as_array().unwrap()) {
        let relay = if peer["publicKey"] == key(&pair) { "127.0.0.1:3" } else { "127.0.0.1:2" };
        assert_eq!(peer["relays"], json!([relay]));
    }
    assert!(times(&found, &pair) >= 16, "{found}");

    one.ok("unannounce", json!({ "topic": topic, "seed": seed(&pair) }));
    let found = lookup();
    assert_eq!((times(&found, &pair), times(&found, &second) >= 16), (0, true), "{found}");
    one.ok("unannounce", json!({ "topic": topic, "seed": seed(&second) }));
    assert_eq!(lookup(), json!([]));
    assert_eq!(other.ok("findPeer", json!({ "publicKey": key(&pair) })), json!([]));
}

/// They store values of both kinds.
fn store(stage: &mut Stage<'_>) {
    let [one, other] = ["putting", "getting"].map(|name| stage.user(name, false));
    let value = hex(b"it stays as it is");
    let hash = one.ok("immutablePut", json!({ "value": value }));
    assert_eq!(other.ok("immutableGet", json!({ "hash": hash })), value);
    assert_eq!(other.ok("immutableGet", json!({ "hash": hex(&[7; 32]) })), Value::Null);

    let pair = stage.pair();
    let put = |seq: u64, value: &str| {
        let fields = json!({ "seed": seed(&pair), "seq": seq, "value": hex(value.as_bytes()) });
        one.ok("mutablePut", fields);
    };
    let get = |seq: u64| other.ok("mutableGet", json!({ "publicKey": key(&pair), "seq": seq }));
    assert_eq!(get(0), Value::Null);
    for (seq, value) in [(1, "first"), (1, "first"), (4, "fourth")] {
        put(seq, value);
        assert_eq!(
            (&get(0)["seq"], &get(0)["value"]),
            (&json!(seq), &json!(hex(value.as_bytes())))
        );
    }
    // All nodes refuse, which hyperdht's users are not told.
    put(4, "another fourth");
    put(3, "third");
    assert_eq!(get(4)["value"], hex(b"fourth"));
    assert_eq!(get(5), Value::Null);
}

/// What nodes of ours announce and store, they find, and take back; and the other way round.
fn find_each_others(stage: &mut Stage<'_>) {
    let (theirs, ours) = (stage.user("theirs", false), stage.own_user());
    let (pair, self_announced) = (stage.pair(), stage.pair());
    let (id, topic) = topic("announced by both");
    let relay: SocketAddrV4 = "127.0.0.1:7".parse().unwrap();
    let announcing = |topic, pair| Announcing {
        relay_addresses: vec![relay],
        bump: BUMP,
        ..Announcing::new(topic, pair)
    };
    let lookup = || theirs.ok("lookup", json!({ "topic": topic }));

    for anew in [false, true] {
        let what = announcing(id, &pair);
        let done = wait(async {
            if anew { ours.announce_anew(&what).await } else { ours.announce(&what).await }
        });
        assert!(done.unwrap().succeeded >= 16, "{anew}");
        let found = lookup();
        assert!(times(&found, &pair) >= 16, "{found}");
        assert_eq!(found[0]["peers"][0]["relays"], json!([relay.to_string()]));
        assert_eq!(found[0]["bump"], BUMP);
    }
    theirs.ok("unannounce", json!({ "topic": topic, "seed": seed(&pair) }));
    assert!(wait(ours.lookup(id).next()).is_none());

    theirs.ok(
        "announce",
        json!({ "topic": topic, "seed": seed(&pair), "relays": [relay.to_string()] }),
    );
    let (_, peers) = wait(ours.lookup(id).next()).expect("an announcement");
    assert_eq!(
        (peers.peers[0].public_key, &peers.peers[0].relay_addresses),
        (pair.public_key(), &vec![relay])
    );
    assert!(wait(ours.unannounce(id, &pair)).unwrap() >= 16);
    assert_eq!(lookup(), json!([]));

    let itself = announcing(of_key(&self_announced), &self_announced);
    wait(ours.announce(&itself)).unwrap();
    let found = theirs.ok("findPeer", json!({ "publicKey": key(&self_announced) }));
    assert_eq!(found[0]["publicKey"], key(&self_announced));
    wait(ours.unannounce(of_key(&self_announced), &self_announced)).unwrap();
    assert_eq!(theirs.ok("findPeer", json!({ "publicKey": key(&self_announced) })), json!([]));
    let nobody = self_announced.public_key();
    assert!(wait(ours.find_peer(&nobody).next()).is_none());
    theirs.ok("listen", json!({ "seed": seed(&self_announced) }));
    let (_, peer) = wait(ours.find_peer(&nobody).next()).expect("a server");
    assert_eq!(peer.public_key, nobody);
    theirs.ok("unlisten", json!({ "seed": seed(&self_announced) }));

    values_of_each_other(&theirs, &ours, &stage.pair());
}

fn values_of_each_other(theirs: &Peer<'_>, ours: &Dht, pair: &KeyPair) {
    let (target, _) = wait(ours.immutable_put("by ours")).unwrap();
    assert_eq!(theirs.ok("immutableGet", json!({ "hash": hex(&target.0) })), hex(b"by ours"));
    let hash = theirs.ok("immutablePut", json!({ "value": hex(b"by theirs") }));
    let target = Id(bytes_of(hash.as_str().unwrap()).try_into().unwrap());
    assert_eq!(wait(ours.immutable_get(target)).unwrap().unwrap(), "by theirs");

    wait(ours.mutable_put(pair, 1, "by ours")).unwrap();
    let found = theirs.ok("mutableGet", json!({ "publicKey": key(pair) }));
    assert_eq!((&found["seq"], &found["value"]), (&json!(1), &json!(hex(b"by ours"))));
    theirs.ok("mutablePut", json!({ "seed": seed(pair), "seq": 2, "value": hex(b"by theirs") }));
    let found = wait(ours.mutable_get(&pair.public_key(), 0)).unwrap().unwrap();
    assert_eq!((found.seq, &found.value[..]), (2, &b"by theirs"[..]));
    for (seq, code) in [(1, 17), (2, 16)] {
        let refused = wait(ours.mutable_put(pair, seq, "something else")).unwrap_err();
        let Error::Query(QueryError::Commit(commit)) = refused else { panic!("{refused}") };
        assert_eq!(commit.refusal, Some(code));
    }
}

/// A chain of tokens keeps an announcement alive at one node, without signatures.
fn refresh(stage: &mut Stage<'_>, at: SocketAddrV4) {
    let (node, pair) = (stage.user(&format!("refreshing at {at}"), false), stage.pair());
    let (_, topic) = topic(&format!("refreshed at {at}"));
    let request = |command: u64, token: &Value, value: Option<String>, once| {
        let fields = json!({
            "to": at.to_string(), "command": command, "target": topic, "value": value, "token": token, "once": once,
        });
        node.ok("request", fields)
    };
    let told = request(3, &Value::Null, None, false);
    assert_eq!(told["value"], Value::Null);
    let chain = stage.js.ok("refreshChain", json!({ "length": 4 }));
    let token = || request(3, &Value::Null, None, false)["token"].clone();
    let sign = |withdraw: bool, token: &Value| {
        let mut fields =
            json!({ "seed": seed(&pair), "target": topic, "id": told["id"], "token": token });
        if withdraw {
            fields["withdraw"] = json!(true);
        } else {
            fields["refresh"] = chain[0].clone();
        }
        Some(stage.js.text("announcement", fields))
    };
    let refresh = |with: &Value, once| {
        request(4, &token(), Some(stage.js.text("refreshment", json!({ "refresh": with }))), once)
    };
    let is_there = || request(3, &Value::Null, None, false)["value"].is_string();

    let fresh = token();
    assert_eq!(request(4, &fresh, sign(false, &fresh), false)["error"], 0);
    assert!(is_there());
    for number in 1..4 {
        let fresh = token();
        assert_eq!(request(5, &fresh, sign(true, &fresh), false)["error"], 0);
        assert!(!is_there());
        let done = refresh(&chain[number], false);
        assert_eq!((&done["error"], &done["token"]), (&json!(0), &Value::Null));
        assert!(is_there(), "back by refresh {number}");
    }
    assert_eq!(refresh(&json!(hex(&[9; 32])), true), Value::Null, "a wrong token");
    assert_eq!(refresh(&chain[2], true), Value::Null, "a token that was used");
    assert!(is_there());
}

fn tell(ours: &Network, js: &Theirs, theirs: &[Peer<'_>]) {
    let theirs: Vec<SocketAddrV4> = theirs.iter().map(|it| it.address.parse().unwrap()).collect();
    let everyone = [ours.addresses(), theirs.clone()].concat();
    let stage = &mut Stage { ours, js, everyone, pairs: 0 };
    connect(stage);
    announce(stage);
    store(stage);
    find_each_others(stage);
    refresh(stage, address(&ours.nodes()[1]));
    if let Some(node) = theirs.first() {
        refresh(stage, *node);
    }
}

#[test]
fn over_nodes_of_ours_alone() {
    if js::available() {
        tell(&Network::form(NODES + 4), &Theirs::new(), &[]);
    }
}

#[test]
fn over_nodes_of_both_kinds() {
    if !js::available() {
        return;
    }
    let (ours, js) = (Network::form(NODES), Theirs::new());
    let options = json!({ "bootstrap": [ours.bootstrap().to_string()], "persistent": true });
    let theirs: Vec<_> =
        (0..NODES).map(|n| js.node(&format!("storing {n}"), options.clone())).collect();
    tell(&ours, &js, &theirs);
}
