//! The life of a node: how it learns who it is, whom it keeps, and how it feels.

use dht_interop::stage::{
    Silence, bootstrapper, both_ways, each, ephemeral, id_at, persistent, target,
};
use dht_interop::{Agent, Node, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// The keep-alive pings are due every so many ticks.
const TICKS: usize = 8;

/// An adaptive node trusts its place after so many ticks.
const STABLE_TICKS: usize = 240;

/// A bootstrapper with some persistent company: enough to vouch for a newcomer.
fn company(agent: &Agent) -> Vec<Node<'_>> {
    let first = bootstrapper(agent);
    let mut nodes = vec![first];
    nodes.extend((0..5).map(|_| persistent(agent, &first.bootstrap())));
    nodes
}

#[test]
fn events_come_in_order() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let node = Node::create(here, json!({ "bootstrap": [first.bootstrap()] })).unwrap();
        node.ok("start", json!({}));
        let op = node.send("bootstrapped", json!({}));
        let (listening, _) = node.event(0, "listening");
        let (ready, _) = node.event(0, "ready");
        assert!(listening < ready);
        assert!(ready < here.place_of_answer(op));
        assert_eq!(node.ok("bootstrapped", json!({})), Value::Null, "once more");
        assert_eq!(node.events("ready").len(), 1);
    });
}

#[test]
fn a_reachable_node_finds_out_and_takes_its_id() {
    both_ways(RUST, |here, there| {
        let others = company(there);
        let node =
            Node::up(here, json!({ "bootstrap": [others[0].bootstrap()], "ephemeral": false }));

        let info = node.info();
        assert_eq!(info["firewalled"], false);
        assert_eq!(info["ephemeral"], false);
        assert_eq!(info["id"], id_at(&info["serverPort"]));
        assert_eq!(info["tableId"], info["id"]);
        assert_eq!(node.ok("table", json!({}))["id"], info["id"]);
        assert_eq!(info["host"], "127.0.0.1");
        assert_eq!(info["port"], info["serverPort"]);
        assert!(info["stats"]["commands"]["pingNat"]["rx"].as_u64() >= Some(3));

        // While it might have been firewalled, others saw its client socket.
        let (persistent, _) = node.event(0, "persistent");
        let (ready, _) = node.event(0, "ready");
        assert!(persistent < ready);
        let seen: Vec<_> = node.events("nat-update").iter().map(|e| e["port"].clone()).collect();
        assert_eq!(seen, [info["clientPort"].clone(), info["serverPort"].clone()]);

        // From now on others keep it, under that id.
        node.ok("ping", json!({ "to": others[1].address() }));
        others[1].until_knows(&node.address());
    });
}

#[test]
fn an_open_node_need_not_ask_whether_it_is_reachable() {
    both_ways(RUST, |here, there| {
        let node = persistent(here, &bootstrapper(there).bootstrap());
        let info = node.info();
        assert_eq!(info["id"], id_at(&info["serverPort"]));
        assert_eq!(info["stats"]["commands"]["pingNat"]["tx"], 0);
        let seen: Vec<_> = node.events("nat-update").iter().map(|e| e["port"].clone()).collect();
        assert_eq!(seen, [info["serverPort"].clone()]);
    });
}

#[test]
fn an_adaptive_node_stays_ephemeral_at_first() {
    both_ways(RUST, |here, there| {
        let others = company(there);
        let node = Node::up(here, json!({ "bootstrap": [others[0].bootstrap()] }));
        assert_eq!(node.info()["id"], Value::Null);
        assert_eq!(node.info()["host"], "127.0.0.1");
        for _ in 0..TICKS {
            node.ok("tick", json!({}));
        }
        assert_eq!(node.info()["ephemeral"], true);
        assert!(node.events("persistent").is_empty());
        for other in others {
            assert!(!other.knows(&node.address()));
        }
    });
}

#[test]
fn a_node_without_a_network_can_not_know_its_address() {
    each(RUST, |agent| {
        let info = Node::up(agent, json!({ "ephemeral": false, "firewalled": false })).info();
        assert_eq!(info["bootstrapped"], true);
        for field in ["id", "host", "remoteAddress"] {
            assert_eq!(info[field], Value::Null, "{field}");
        }
        assert_eq!(info["ephemeral"], true);
        assert_eq!(info["port"], 0);
    });
}

#[test]
fn newcomers_are_announced() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        first.ok("listen", json!({ "event": "add-node", "on": true }));
        let node = persistent(here, &first.bootstrap());
        let info = node.info();
        let (_, added) = first.event(0, "add-node");
        assert_eq!(added["id"], info["id"]);
        assert_eq!(added["host"], "127.0.0.1");
        assert_eq!(added["port"], info["serverPort"]);

        first.ok("listen", json!({ "event": "add-node", "on": false }));
        let late = persistent(here, &first.bootstrap());
        first.until_knows(&late.address());
        assert_eq!(first.events("add-node").len(), 1);
    });
}

#[test]
fn nodes_are_listed_latest_first() {
    each(RUST, |agent| {
        let silent: Vec<_> = (0..4).map(|_| Silence::new()).collect();
        let at: Vec<_> = silent.iter().map(Silence::address).collect();
        let node = Node::up(agent, json!({ "nodes": [], "bootstrap": [] }));
        for address in &at {
            node.ok("addNode", address.clone());
        }
        assert_eq!(node.ok("nodes", json!({})), json!([at[3], at[2], at[1], at[0]]));
        assert_eq!(node.ok("nodes", json!({ "limit": 2 })), json!([at[3], at[2]]));
        assert_eq!(node.ok("nodes", json!({ "limit": 0 })), json!([]));
        assert_eq!(node.info()["size"], 4);

        let table = node.ok("table", json!({}));
        assert_eq!(table["k"], 20);
        assert_eq!(table["id"], node.info()["tableId"]);
        let listed = table["nodes"].as_array().unwrap();
        assert_eq!(listed.len(), 4);
        assert!(listed.iter().all(|peer| peer["id"] == id_at(&peer["port"])));
    });
}

#[test]
fn given_nodes_keep_their_order_and_need_no_bootstrapper() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let second = persistent(there, &first.bootstrap());
        let given = json!([second.address(), first.address()]);
        let node = Node::create(here, json!({ "nodes": given })).unwrap();
        let ops = [("start", node.fields(json!({}))), ("nodes", node.fields(json!({})))];
        let ops = here.send_at_once(&ops);
        assert_eq!(here.answer(ops[1]), Ok(given));
        node.ok("bootstrapped", json!({}));
        assert_eq!(node.info()["host"], "127.0.0.1");
    });
}

#[test]
fn refused_nodes_are_neither_kept_nor_visited() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let good = persistent(there, &first.bootstrap());
        let bad = persistent(here, &first.bootstrap());
        for node in [good, bad] {
            first.until_knows(&node.address());
        }
        let options = json!({ "bootstrap": [first.bootstrap()], "refuse": [bad.bootstrap()] });
        let picky = Node::up(here, options);
        assert!(picky.knows(&good.address()));
        assert!(!picky.knows(&bad.address()));

        let result = picky.ok("findNode", json!({ "target": bad.info()["id"] }));
        assert_eq!(result["successes"], 2);
        assert!(picky.call("ping", json!({ "to": bad.address() })).is_ok(), "asked by name");
        assert!(!picky.knows(&bad.address()));
    });
}

#[test]
fn keep_alive_evicts_the_dead() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(here);
        let lasting = persistent(there, &first.bootstrap());
        let dying = persistent(there, &first.bootstrap());
        for node in [lasting, dying] {
            first.until_knows(&node.address());
        }
        let (at, id) = (dying.address(), dying.info()["id"].clone());
        first.ok("listen", json!({ "event": "remove-node", "on": true }));
        dying.ok("destroy", json!({}));

        for _ in 0..TICKS {
            first.ok("tick", json!({}));
        }
        let (_, removed) = first.event(0, "remove-node");
        assert_eq!(removed["id"], id);
        assert_eq!(removed["port"], at["port"]);
        assert!(!first.knows(&at));
        assert!(first.knows(&lasting.address()));
    });
}

#[test]
fn a_down_hint_makes_the_other_side_look() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        // It joins before the node that will die, and so does not know it.
        let asks = ephemeral(here, &[&first.bootstrap()]);
        let dying = persistent(here, &first.bootstrap());
        let (at, id) = (dying.address(), dying.info()["id"].clone());
        first.until_knows(&at);
        dying.ok("destroy", json!({}));
        assert!(first.knows(&at));

        let query = json!({ "target": id, "retries": 0, "thorough": true });
        let result = asks.ok("findNode", query);
        assert_eq!(result["successes"], 1);
        assert_eq!(result["errors"], 1);
        first.until_forgets(&at);
        assert_eq!(asks.info()["stats"]["commands"]["downHint"]["tx"], 1);
    });
}

#[test]
fn down_hints_can_be_switched_off() {
    both_ways(RUST, |here, there| {
        for options in [json!({ "sendDownHints": false }), json!({ "downHintsRateLimit": 0 })] {
            let first = bootstrapper(there);
            let mut options = options;
            options["bootstrap"] = json!([first.bootstrap()]);
            let asks = Node::up(here, options);
            let dead = Silence::new();
            first.ok("addNode", dead.address());

            let id = id_at(&json!(dead.port()));
            let query = json!({ "target": id, "retries": 0, "thorough": true });
            assert_eq!(asks.ok("findNode", query)["errors"], 1);
            assert_eq!(asks.info()["stats"]["commands"]["downHint"]["tx"], 0);
        }
    });
}

#[test]
fn an_unanswered_query_costs_a_node_its_place() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        node.ok("listen", json!({ "event": "remove-node", "on": true }));
        node.ok("addNode", silence.address());
        let query = json!({ "target": target(1), "retries": 0, "thorough": true });
        assert_eq!(node.ok("findNode", query)["errors"], 1);
        let (_, removed) = node.event(0, "remove-node");
        assert_eq!(removed["port"], silence.port());
        assert_eq!(node.info()["size"], 0);
    });
}

#[test]
fn health_warms_up_by_samples() {
    each(RUST, |agent| {
        let node = bootstrapper(agent);
        assert_eq!(node.info()["health"]["online"], true);
        for _ in 0..4 {
            node.ok("tick", json!({ "quiet": true }));
        }
        let health = &node.info()["health"];
        assert_eq!(health["cold"], false);
        assert_eq!(health["idle"], true);
        assert_eq!(health["online"], true);
        assert_eq!(health["degraded"], false);
        assert_eq!(health["timeoutsRate"], 0.0);
        assert_eq!(node.info()["stats"]["requests"]["total"], 0, "a quiet tick sends nothing");
    });
}

#[test]
fn silence_all_round_is_offline_and_an_answer_is_not() {
    both_ways(RUST, |here, there| {
        let silence = Silence::new();
        let answers = bootstrapper(there);
        let node = ephemeral(here, &[]);
        let ask_four = |to: Value| {
            let ask = |_| node.send("ping", json!({ "to": to, "retry": false }));
            for op in (0..4).map(ask).collect::<Vec<_>>() {
                // What comes of it is the point of neither.
                let _ = here.answer(op);
            }
            node.ok("tick", json!({ "quiet": true }));
        };
        for _ in 0..4 {
            node.ok("tick", json!({ "quiet": true }));
        }

        // Two samples do, unless the node's own tick falls between asking and sampling.
        for _ in 0..5 {
            ask_four(silence.address());
            if node.info()["online"] == false {
                break;
            }
        }
        assert_eq!(node.info()["online"], false);
        assert_eq!(node.info()["health"]["online"], false);
        assert_eq!(node.events("network-update").len(), 1);

        for _ in 0..5 {
            ask_four(answers.address());
            if node.info()["online"] == true {
                break;
            }
        }
        assert_eq!(node.info()["online"], true);
        assert_eq!(node.info()["health"]["online"], true);
        assert_eq!(node.events("network-update").len(), 2);
    });
}

#[test]
fn round_trip_statistics_cover_who_was_met() {
    both_ways(RUST, |here, there| {
        let zero = json!({ "avgRtt": 0, "errors": 0, "avgCloserNodes": 0 });
        let nobody = ephemeral(here, &[]).ok("rttStats", json!({}));
        let none =
            json!({ "successes": 0, "errors": 0, "responses": zero, "closestReplies": zero });
        assert_eq!(as_floats(&nobody), as_floats(&none));

        let others = company(there);
        let node = ephemeral(here, &[&others[0].bootstrap()]);
        let stats = node.ok("rttStats", json!({}));
        assert_eq!(stats["successes"], others.len());
        assert_eq!(stats["errors"], 0);
        for group in ["responses", "closestReplies"] {
            assert!(stats[group]["avgRtt"].as_f64().is_some_and(|rtt| rtt >= 0.0), "{stats}");
            assert!(stats[group]["avgCloserNodes"].as_f64().is_some_and(|n| n > 0.0), "{stats}");
        }
    });
}

#[test]
fn a_refresh_meets_those_who_came_later() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let early = ephemeral(here, &[&first.bootstrap()]);
        let late = persistent(here, &first.bootstrap());
        first.until_knows(&late.address());
        assert!(!early.knows(&late.address()));
        early.ok("refresh", json!({}));
        early.until_knows(&late.address());
    });
}

#[test]
fn a_stable_adaptive_node_becomes_persistent_until_it_slept() {
    both_ways(RUST, |here, there| {
        let others = company(there);
        let node = Node::up(here, json!({ "bootstrap": [others[0].bootstrap()] }));
        for _ in 0..STABLE_TICKS - 40 {
            node.ok("tick", json!({}));
        }
        assert!(node.events("persistent").is_empty());
        for _ in 0..40 {
            node.ok("tick", json!({}));
        }
        node.event(0, "persistent");
        let info = node.info();
        assert_eq!(info["ephemeral"], false);
        assert_eq!(info["firewalled"], false);
        assert_eq!(info["id"], id_at(&info["serverPort"]));

        node.ok("suspend", json!({}));
        let asleep = here.now();
        node.ok("resume", json!({}));
        let (ephemeral, _) = node.event(asleep, "ephemeral");
        let (wakeup, _) = node.event(asleep, "wakeup");
        assert!(ephemeral < wakeup);
        assert_eq!(node.info()["id"], Value::Null);
        assert_eq!(node.info()["ephemeral"], true);
    });
}

#[test]
fn waking_up_does_not_undo_what_the_user_decided() {
    both_ways(RUST, |here, there| {
        let node = persistent(here, &bootstrapper(there).bootstrap());
        node.ok("suspend", json!({}));
        node.ok("resume", json!({}));
        assert_eq!(node.events("wakeup").len(), 1);
        assert!(node.events("ephemeral").is_empty());
        assert_eq!(node.info()["ephemeral"], false);
    });
}

/// Numbers as floats: 0 and 0.0 are the same number, if not the same JSON.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect()
        }
        number => json!(number.as_f64()),
    }
}
