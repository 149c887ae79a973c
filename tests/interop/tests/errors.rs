//! What is refused, and in which words.

use dht_interop::stage::{Silence, bootstrapper, each, ephemeral, free_port, target};
use dht_interop::{Node, OpError, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// An error of the library itself.
fn says(message: &str) -> OpError {
    OpError::new(None, message)
}

#[test]
fn a_bootstrapper_has_to_know_its_address() {
    each(RUST, |agent| {
        for (host, port, message) in [
            ("127.0.0.1", 0, "Port is required"),
            ("", 0, "Port is required"),
            ("", 1, "Host is required"),
            ("0.0.0.0", 1, "Invalid host"),
            ("::", 1, "Invalid host"),
            ("::1", 1, "Host must be a IPv4 address"),
            ("localhost", 1, "Host must be a IPv4 address"),
        ] {
            let error = Node::create_bootstrapper(agent, host, port).unwrap_err();
            assert_eq!(error, says(message), "{host}:{port}");
        }
    });
}

#[test]
fn a_bootstrap_address_has_a_port() {
    each(RUST, |agent| {
        for bad in ["127.0.0.1", "localhost", "127.0.0.1@localhost", "localhost:", ""] {
            let error = Node::create(agent, json!({ "bootstrap": [bad] })).unwrap_err();
            assert_eq!(error, says("Bootstrap node format is host:port"), "{bad}");
        }
    });
}

#[test]
fn a_node_without_another_port_can_not_start() {
    each(RUST, |agent| {
        let taken = Silence::new();
        let port = taken.port();
        let node = Node::create(agent, json!({ "port": port, "anyPort": false })).unwrap();
        node.ok("start", json!({}));
        let error = node.fails("bootstrapped", json!({}));
        assert_eq!(error.code.as_deref(), Some("EADDRINUSE"));
        assert!(node.events("listening").is_empty());
        node.ok("destroy", json!({}));
    });
}

#[test]
fn a_taken_port_is_passed_over() {
    each(RUST, |agent| {
        let taken = Silence::new();
        let port = taken.port();
        let node = Node::up(agent, json!({ "port": port }));
        assert_ne!(node.info()["serverPort"], port);
        assert_eq!(node.info()["config"]["portRange"], json!([port, u32::from(port) + 5]));

        let node = Node::up(agent, json!({ "port": [port, port + 1] }));
        assert_ne!(node.info()["serverPort"], port);
        assert_eq!(node.info()["config"]["portRange"], json!([port, port + 1]));
    });
}

#[test]
fn a_free_port_is_taken() {
    each(RUST, |agent| {
        // Free a moment ago: if another program was quicker, the next one will do.
        let lucky = (0..5).any(|_| {
            let port = free_port();
            let node = Node::up(agent, json!({ "port": port }));
            node.info()["serverPort"] == port
        });
        assert!(lucky);
    });
}

#[test]
fn ops_make_sense_or_are_refused() {
    each(RUST, |agent| {
        let node = ephemeral(agent, &[]);
        let to = json!({ "host": "127.0.0.1", "port": 1 });
        for (op, fields) in [
            ("dance", json!({})),
            ("ping", json!({})),
            ("ping", json!({ "to": "127.0.0.1:1" })),
            ("ping", json!({ "to": { "host": "127.0.0.1" } })),
            ("ping", json!({ "to": { "host": "127.0.0.1", "port": 65536 } })),
            ("ping", json!({ "to": { "host": "localhost", "port": 1 } })),
            ("ping", json!({ "to": to, "retry": "no" })),
            ("request", json!({ "to": to })),
            ("request", json!({ "to": to, "command": -1 })),
            ("request", json!({ "to": to, "command": 1.5 })),
            ("request", json!({ "to": to, "command": 1, "value": "6" })),
            ("request", json!({ "to": to, "command": 1, "value": "xy" })),
            ("request", json!({ "to": to, "command": 1, "value": 97 })),
            ("query", json!({ "command": 1 })),
            ("query", json!({ "target": target(1) })),
            ("findNode", json!({ "target": 5 })),
            ("delayedPing", json!({ "to": to })),
            ("listen", json!({ "event": "request" })),
            ("listen", json!({ "event": "ready", "on": true })),
            ("reply", json!({ "request": 1 })),
            ("error", json!({ "request": 77, "code": 16 })),
            ("relay", json!({ "request": 77, "to": to })),
            ("addNode", json!({ "host": "127.0.0.1" })),
            ("endSession", json!({})),
        ] {
            let error = node.fails(op, fields.clone());
            assert_eq!(error.code.as_deref(), Some("PROTOCOL"), "{op} {fields}");
        }
        assert_eq!(node.info()["stats"]["requests"]["total"], 0);
    });
}

#[test]
fn ops_need_their_node() {
    each(RUST, |agent| {
        for fields in [json!({}), json!({ "node": 99 }), json!({ "node": "one" })] {
            let error = agent.call("info", fields).unwrap_err();
            assert_eq!(error.code.as_deref(), Some("PROTOCOL"));
        }
    });
}

#[test]
fn a_request_is_answered_once() {
    each(RUST, |agent| {
        let node = bootstrapper(agent);
        let asks = ephemeral(agent, &[]);
        node.ok("listen", json!({ "event": "request", "on": true }));
        let op = asks.send("request", json!({ "to": node.address(), "command": 1 }));
        let request = node.event(0, "request").1["request"].clone();
        node.ok("reply", json!({ "request": request, "value": "61" }));
        assert_eq!(agent.answer(op).unwrap()["value"], "61");
        let error = node.fails("reply", json!({ "request": request, "value": "62" }));
        assert_eq!(error.code.as_deref(), Some("PROTOCOL"));
    });
}

#[test]
fn a_node_shows_little_before_it_starts() {
    each(RUST, |agent| {
        let options = json!({ "bootstrap": ["localhost:1234"], "ephemeral": false });
        let node = Node::create(agent, options).unwrap();
        let info = node.info();
        for field in ["id", "tableId", "host", "address", "localAddress", "remoteAddress"] {
            assert_eq!(info[field], Value::Null, "{field}");
        }
        assert_eq!(info["serverPort"], Value::Null);
        assert_eq!(info["bootstrap"], json!([{ "host": "localhost", "port": 1234 }]));
        assert_eq!(info["bootstrapped"], false);
        assert_eq!(info["destroyed"], false);
    });
}

#[test]
fn options_have_their_defaults() {
    each(RUST, |agent| {
        let config = Node::up(agent, json!({ "concurrency": null })).info()["config"].clone();
        assert_eq!(config["concurrency"], 10);
        assert_eq!(config["maxWindow"], 80);
        assert_eq!(config["maxPingDelay"], 10_000);
        assert_eq!(config["sendDownHints"], true);
        assert_eq!(config["downHintsRateLimit"], 50);

        let options = json!({
            "concurrency": 3, "maxWindow": 9, "maxPingDelay": 5, "sendDownHints": false,
            "downHintsRateLimit": -1,
        });
        let config = Node::up(agent, options.clone()).info()["config"].clone();
        for (name, value) in options.as_object().unwrap() {
            assert_eq!(&config[name], value, "{name}");
        }
    });
}
