//! How things end: queries, sessions, sleep and nodes, with requests still under way.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::kv::serve_echo;
use dht_interop::stage::{Silence, bootstrapper, both_ways, each, ephemeral, persistent, target};
use dht_interop::{Node, OpError, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// Sends a request that nobody will answer.
fn ask_in_vain(node: Node<'_>, silence: &Silence, extra: &Value) -> u64 {
    let mut fields = json!({ "to": silence.address(), "command": 1 });
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    node.send("request", fields)
}

#[test]
fn a_session_takes_its_requests_with_it() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        let inside = ask_in_vain(node, &silence, &json!({ "session": 1 }));
        let ping = node.send("ping", json!({ "to": silence.address(), "session": 1 }));
        let delayed = json!({ "to": silence.address(), "delay": 5000, "session": 1 });
        let delayed = node.send("delayedPing", delayed);
        let other = ask_in_vain(node, &silence, &json!({ "session": 2, "retry": false }));
        let outside = ask_in_vain(node, &silence, &json!({ "retry": false }));
        let end = node.send("endSession", json!({ "session": 1 }));

        assert_eq!(agent.answer(end), Ok(Value::Null));
        for op in [inside, ping, delayed] {
            assert_eq!(agent.answer(op), Err(OpError::request_destroyed()));
            assert!(agent.place_of_answer(op) < agent.place_of_answer(end));
        }
        for op in [other, outside] {
            assert_eq!(agent.answer(op), Err(OpError::timeout()));
        }
        assert_eq!(node.info()["stats"]["requests"]["active"], 0);
    });
}

#[test]
fn a_session_takes_its_queries_with_it() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        let walk = json!({ "target": target(1), "nodes": [silence.address()], "session": 1 });
        let mut put = walk.clone();
        put["command"] = json!(1);
        put["commit"] = json!(true);
        let (walk, put) = (node.send("findNode", walk), node.send("query", put));
        node.until("their requests", |info| info["stats"]["requests"]["active"] == 2);
        node.ok("endSession", json!({ "session": 1 }));

        // A request that was cancelled has failed.
        assert_eq!(agent.answer(walk), Ok(json!({ "closest": [], "successes": 0, "errors": 1 })));
        assert_eq!(agent.answer(put), Err(OpError::new(None, "Too few nodes responded")));
        let stats = &node.info()["stats"];
        assert_eq!(stats["queries"]["active"], 0);
        assert_eq!(stats["requests"]["active"], 0);
        assert_eq!(stats["requests"]["timeouts"], 0);
    });
}

#[test]
fn a_session_can_be_ended_when_nothing_is_left_of_it() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        serve_echo(answers);
        let asks = ephemeral(here, &[&answers.bootstrap()]);
        let to = answers.address();
        let answer =
            asks.ok("request", json!({ "to": to, "command": 1, "value": "61", "session": 5 }));
        assert_eq!(answer["value"], "61");
        let query = json!({ "target": target(1), "command": 1, "session": 5 });
        assert_eq!(asks.ok("query", query)["successes"], 1);
        for session in [5, 5, 6] {
            assert_eq!(asks.ok("endSession", json!({ "session": session })), Value::Null);
        }
        assert_eq!(asks.ok("ping", json!({ "to": to, "session": 5 }))["error"], 0);
    });
}

#[test]
fn a_query_that_is_stopped_answers_with_what_it_has() {
    both_ways(RUST, |here, there| {
        let silence = Silence::new();
        let first = bootstrapper(there);
        let asks = ephemeral(here, &[]);
        let nodes = json!([silence.address(), first.address()]);
        let query = asks.send("findNode", json!({ "target": target(1), "nodes": nodes }));
        asks.event(0, "data");
        let end = asks.send("endQuery", json!({ "query": query }));

        assert_eq!(here.answer(end), Ok(Value::Null));
        assert!(here.place_of_answer(query) < here.place_of_answer(end));
        let result = here.answer(query).unwrap();
        assert_eq!(result["successes"], 1);
        assert_eq!(result["closest"][0]["from"]["port"], first.address()["port"]);
        assert_eq!(asks.ok("endQuery", json!({ "query": query })), Value::Null, "once more");
        asks.until("the end of its requests", |info| info["stats"]["requests"]["active"] == 0);
        assert_eq!(asks.info()["stats"]["queries"]["active"], 0);
    });
}

#[test]
fn a_destroyed_node_fails_its_requests_and_says_close_once() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        let request = ask_in_vain(node, &silence, &json!({}));
        let destroy = node.send("destroy", json!({}));
        assert_eq!(agent.answer(request), Err(OpError::request_destroyed()));
        assert_eq!(agent.answer(destroy), Ok(Value::Null));
        assert_eq!(node.ok("destroy", json!({})), Value::Null);

        let (close, _) = node.event(0, "close");
        assert!(agent.place_of_answer(request) < close);
        assert!(close < agent.place_of_answer(destroy));
        assert_eq!(node.events("close").len(), 1);
    });
}

#[test]
fn a_destroyed_node_does_nothing_more() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        node.ok("destroy", json!({}));

        assert_eq!(node.info()["destroyed"], true);
        for op in ["suspend", "resume", "destroy"] {
            assert_eq!(node.ok(op, json!({})), Value::Null, "{op}");
        }
        let to = silence.address();
        for (op, fields) in [
            ("ping", json!({ "to": to })),
            ("delayedPing", json!({ "to": to, "delay": 1 })),
            ("request", json!({ "to": to, "command": 1 })),
            ("query", json!({ "target": target(1), "command": 1 })),
            ("findNode", json!({ "target": target(1) })),
            ("bootstrapped", json!({})),
            ("addNode", to.clone()),
            ("refresh", json!({})),
            ("nodes", json!({})),
            ("table", json!({})),
            ("tick", json!({})),
        ] {
            assert_eq!(node.fails(op, fields), OpError::node_destroyed(), "{op}");
        }
        assert_eq!(node.events("suspend"), node.events("resume"), "neither was told");
    });
}

#[test]
fn a_destroyed_node_is_silent() {
    both_ways(RUST, |here, there| {
        let answers = bootstrapper(there);
        let at = answers.address();
        let asks = ephemeral(here, &[]);
        assert!(asks.call("ping", json!({ "to": at })).is_ok());
        answers.ok("destroy", json!({}));
        assert_eq!(asks.fails("ping", json!({ "to": at, "retry": false })), OpError::timeout());
    });
}

#[test]
fn a_query_with_candidates_left_fails_when_its_node_is_destroyed() {
    each(RUST, |agent| {
        let (one, two) = (Silence::new(), Silence::new());
        let node = ephemeral(agent, &[]);
        let nodes = json!([one.address(), two.address()]);
        let fields = json!({ "target": target(1), "nodes": nodes, "concurrency": 1 });
        let query = node.send("findNode", fields);
        node.until("its first request", |info| info["stats"]["requests"]["active"] == 1);
        node.ok("destroy", json!({}));
        assert_eq!(agent.answer(query), Err(OpError::new(None, "Node was destroyed")));
    });
}

#[test]
fn a_node_that_was_never_started_can_be_destroyed() {
    each(RUST, |agent| {
        let node = Node::create(agent, json!({})).unwrap();
        node.ok("destroy", json!({}));
        assert_eq!(node.info()["destroyed"], true);
        assert_eq!(node.fails("start", json!({})), OpError::node_destroyed());
    });
}

#[test]
fn a_suspended_node_sleeps_and_comes_back_at_the_same_ports() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let node = persistent(here, &first.bootstrap());
        let at = node.address();
        let before = node.info();
        assert!(first.call("ping", json!({ "to": at })).is_ok());

        node.ok("suspend", json!({}));
        assert_eq!(node.info()["suspended"], true);
        assert_eq!(node.events("suspend").len(), 1);
        node.ok("suspend", json!({}));
        assert_eq!(node.events("suspend").len(), 1, "once is enough");
        assert_eq!(first.fails("ping", json!({ "to": at, "retry": false })), OpError::timeout());

        let asleep = here.now();
        node.ok("resume", json!({}));
        let (wakeup, _) = node.event(asleep, "wakeup");
        let (resume, _) = node.event(asleep, "resume");
        assert!(wakeup < resume, "wakeup comes first");
        let after = node.info();
        assert_eq!(after["suspended"], false);
        for port in ["serverPort", "clientPort"] {
            assert_eq!(after[port], before[port], "{port}");
        }
        assert_eq!(after["id"], before["id"], "not an adaptive node: it stays persistent");
        assert!(first.call("ping", json!({ "to": at })).is_ok());
        assert!(node.call("ping", json!({ "to": first.address() })).is_ok());
        node.ok("resume", json!({}));
        assert_eq!(node.events("resume").len(), 1);
    });
}

#[test]
fn requests_under_way_do_not_survive_suspension() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        let request = ask_in_vain(node, &silence, &json!({}));
        let suspend = node.send("suspend", json!({}));
        let error = agent.answer(request).unwrap_err();
        assert_eq!(error, OpError::new(Some("IO_SUSPENDED"), "I/O suspended"));
        assert_eq!(agent.answer(suspend), Ok(Value::Null));
        let (told, _) = node.event(0, "suspend");
        assert!(agent.place_of_answer(request) < told);
    });
}

#[test]
fn a_query_under_way_ends_with_what_it_has_on_suspension() {
    both_ways(RUST, |here, there| {
        let silence = Silence::new();
        let first = bootstrapper(there);
        let asks = ephemeral(here, &[]);
        let nodes = json!([silence.address(), first.address()]);
        let query = asks.send("findNode", json!({ "target": target(1), "nodes": nodes }));
        asks.event(0, "data");
        asks.ok("suspend", json!({}));
        let result = here.answer(query).unwrap();
        assert_eq!(result["successes"], 1);
        assert_eq!(result["errors"], 1);
    });
}

#[test]
fn requests_do_not_begin_during_suspension() {
    each(RUST, |agent| {
        let silence = Silence::new();
        let node = ephemeral(agent, &[]);
        node.ok("suspend", json!({}));
        let error = agent
            .answer(ask_in_vain(node, &silence, &json!({ "retry": false })))
            .expect_err("nothing is sent");
        // The reference lets them wait for an answer that can't come.
        match agent.name() {
            "rust" => assert_eq!(error, OpError::new(Some("IO_SUSPENDED"), "I/O suspended")),
            _ => assert_eq!(error, OpError::timeout()),
        }
        node.ok("resume", json!({}));
        let again = ask_in_vain(node, &silence, &json!({ "retry": false }));
        assert_eq!(agent.answer(again), Err(OpError::timeout()));
    });
}

#[test]
fn a_suspended_node_can_be_told_of_others() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let node = ephemeral(here, &[]);
        node.ok("suspend", json!({}));
        node.ok("addNode", first.address());
        assert!(node.knows(&first.address()));
        node.ok("resume", json!({}));
        assert_eq!(node.ok("findNode", json!({ "target": target(1) }))["successes"], 1);
    });
}

#[test]
fn a_suspended_node_can_be_destroyed() {
    each(RUST, |agent| {
        let node = ephemeral(agent, &[]);
        node.ok("suspend", json!({}));
        node.ok("destroy", json!({}));
        assert_eq!(node.events("close").len(), 1);
        node.ok("resume", json!({}));
        assert_eq!(node.info()["destroyed"], true);
    });
}
