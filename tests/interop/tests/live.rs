//! Two implementations meet: how one joins through the other, pings it, and asks its network.

use dht_interop::kv::{self, reply, serve, serve_echo};
use dht_interop::stage::{
    Silence, bootstrapper, both_ways, each, ephemeral, id_at, persistent, target,
};
use dht_interop::{Node, OpError, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

#[test]
fn a_node_bootstraps_from_the_other_side() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let second = persistent(here, &first.bootstrap());

        let info = second.info();
        assert_eq!(info["host"], "127.0.0.1");
        assert_eq!(info["port"], info["serverPort"]);
        assert_eq!(info["id"], id_at(&info["serverPort"]));
        assert_eq!(info["tableId"], info["id"]);
        assert_eq!(info["ephemeral"], false);
        assert_eq!(info["firewalled"], false);
        assert_eq!(info["bootstrapped"], true);
        assert_eq!(info["remoteAddress"], second.address());

        assert!(second.knows(&first.address()));
        first.until_knows(&second.address());
    });
}

#[test]
fn a_bootstrapper_knows_itself() {
    each(RUST, |agent| {
        let info = bootstrapper(agent).info();
        assert_eq!(info["id"], id_at(&info["serverPort"]));
        assert_eq!(info["port"], info["serverPort"]);
        assert_eq!(info["ephemeral"], false);
        assert_eq!(info["size"], 0);
    });
}

#[test]
fn names_and_suggested_addresses_lead_to_the_bootstrapper() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let port = &first.info()["serverPort"];
        for host in ["localhost", "127.0.0.1@localhost", "127.0.0.1@name.invalid"] {
            let node = ephemeral(here, &[&format!("{host}:{port}")]);
            assert!(node.knows(&first.address()), "by {host}");
            assert_eq!(node.info()["bootstrap"], json!([{ "host": host, "port": port }]));
        }
    });
}

#[test]
fn ping_tells_who_and_where() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        let asks = ephemeral(here, &[]);
        for size in [json!(null), json!(0), json!(1000)] {
            let pong = asks.ok("ping", json!({ "to": answers.address(), "size": size }));
            let mut from = answers.address();
            from["id"] = answers.info()["id"].clone();
            assert_eq!(pong["from"], from);
            assert_eq!(
                pong["to"],
                json!({ "host": "127.0.0.1", "port": asks.info()["clientPort"] })
            );
            assert_eq!(pong["error"], 0);
            for absent in ["value", "token", "closerNodes"] {
                assert_eq!(pong[absent], Value::Null, "{absent}");
            }
            assert!(pong["rtt"].as_f64().is_some_and(|rtt| rtt >= 0.0));
        }
        let stats = &asks.info()["stats"];
        assert_eq!(stats["commands"]["ping"], json!({ "tx": 3, "rx": 3 }));
        assert_eq!(stats["requests"]["responses"], 3);
        assert_eq!(stats["requests"]["active"], 0);
    });
}

#[test]
fn an_ephemeral_node_shows_no_id_and_is_not_kept() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let quiet = ephemeral(here, &[&first.bootstrap()]);
        assert_eq!(quiet.info()["id"], Value::Null);
        assert_eq!(quiet.info()["ephemeral"], true);

        let pong = first.ok("ping", json!({ "to": quiet.address() }));
        assert_eq!(pong["from"]["id"], Value::Null);
        assert_eq!(first.info()["size"], 0);
    });
}

#[test]
fn a_ping_is_counted_before_it_is_answered() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        let asks = ephemeral(here, &[]);
        let ping = asks.fields(json!({ "to": answers.address() }));
        let ops = here.send_at_once(&[("ping", ping), ("info", asks.fields(json!({})))]);

        let during = here.answer(ops[1]).unwrap();
        assert_eq!(during["stats"]["requests"]["active"], 1);
        assert_eq!(during["stats"]["commands"]["ping"], json!({ "tx": 1, "rx": 0 }));
        here.answer(ops[0]).unwrap();
        assert_eq!(asks.info()["stats"]["requests"]["active"], 0);
        assert!(here.place_of_answer(ops[1]) < here.place_of_answer(ops[0]));
    });
}

#[test]
fn a_delayed_ping_takes_its_time() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        let asks = ephemeral(here, &[]);
        let ask =
            |delay| asks.ok("delayedPing", json!({ "to": answers.address(), "delay": delay }));

        assert_eq!(ask(0)["error"], 0);
        let rtt = ask(300)["rtt"].as_f64().unwrap();
        // Timers may fire a little early, and clocks of milliseconds round.
        assert!(rtt >= 290.0, "{rtt}");
    });
}

#[test]
fn a_delay_over_the_limit_fails_at_once() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        for (limit, delay) in [(10_000, 10_001), (500, 501)] {
            let asks = Node::up(here, json!({ "maxPingDelay": limit }));
            let error =
                asks.fails("delayedPing", json!({ "to": answers.address(), "delay": delay }));
            let message = format!("Delay exceeds max delay: {limit}ms");
            assert_eq!(error, OpError::new(None, &message));
            assert_eq!(asks.info()["stats"]["requests"]["total"], 0);
        }
    });
}

#[test]
fn a_delay_over_the_limit_of_the_other_is_not_answered() {
    both_ways(RUST, |here, there| {
        let strict = Node::up(there, json!({ "maxPingDelay": 100 }));
        let asks = ephemeral(here, &[]);
        let ask = |delay| {
            let to = strict.address();
            asks.call("delayedPing", json!({ "to": to, "delay": delay, "retry": false }))
        };
        assert!(ask(100).is_ok());
        assert_eq!(ask(101).unwrap_err(), OpError::timeout());
    });
}

#[test]
fn nobody_answers_at_a_silent_address() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        let error = node.fails("ping", json!({ "to": silence.address(), "retry": false }));
        assert_eq!(error, OpError::timeout());
        assert_eq!(node.info()["stats"]["requests"]["timeouts"], 1);
        assert_eq!(node.info()["stats"]["requests"]["retries"], 0);
    });
}

#[test]
fn a_query_streams_replies_and_ends_with_the_closest() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let others = [persistent(there, &first.bootstrap()), persistent(here, &first.bootstrap())];
        for node in &others {
            first.until_knows(&node.address());
        }
        let asks = ephemeral(here, &[&first.bootstrap()]);

        let query = asks.send("findNode", json!({ "target": target(9) }));
        let result = here.answer(query).unwrap();
        let closest = result["closest"].as_array().unwrap();
        assert_eq!(closest.len(), 3);
        assert_eq!(result["successes"], 3);
        assert_eq!(result["errors"], 0);

        // All targets' bytes are equal, so XOR with one of them is all that distance takes.
        let distance = |reply: &Value| -> Vec<u8> {
            let id = kv::bytes_of(reply["from"]["id"].as_str().unwrap());
            id.iter().map(|byte| byte ^ 9).collect()
        };
        assert!(closest.is_sorted_by_key(distance));

        let data = asks.events("data");
        assert_eq!(data.len(), 3);
        assert!(data.iter().all(|event| event["query"] == query));
        let (last, _) = asks.event_with(0, "data", |event| event == &data[2]);
        assert!(last < here.place_of_answer(query));
    });
}

#[test]
fn a_commit_needs_tokens_and_somebody_to_take_it() {
    both_ways(RUST, |here, there| {
        let commit = json!({ "target": target(1), "command": 1, "value": "61", "commit": true });
        let nobody = ephemeral(here, &[]);
        let error = nobody.fails("query", commit.clone());
        assert_eq!(error, OpError::new(None, "Too few nodes responded"));

        let first = bootstrapper(there);
        serve(&[first], |_| Some(reply(json!({ "token": false }))));
        let asks = ephemeral(here, &[&first.bootstrap()]);
        let error = asks.fails("query", commit);
        assert_eq!(error, OpError::new(None, "No token received for closest node"));
    });
}

#[test]
fn a_commit_sends_the_value_again_with_the_token() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        serve_echo(first);
        let asks = ephemeral(here, &[&first.bootstrap()]);
        let fields = json!({ "target": target(1), "command": 4, "value": "61", "commit": true });
        let closest = asks.ok("query", fields)["closest"].clone();

        let seen = first.events("request");
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0]["token"], Value::Null);
        assert_eq!(seen[1]["token"], closest[0]["token"]);
        for request in &seen {
            assert_eq!(request["target"], target(1));
            assert_eq!(request["command"], 4);
            assert_eq!(request["value"], "61");
        }
    });
}
