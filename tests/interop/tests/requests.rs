//! Requests and what becomes of them: values, tokens, replies, errors, relays.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::kv::{self, error, relay, reply, serve, serve_echo};
use dht_interop::stage::{Silence, bootstrapper, both_ways, ephemeral, persistent, target};
use dht_interop::{Agent, Node, OpError, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// A bare node that answers at a known address and has no network.
fn lone(agent: &Agent) -> Node<'_> {
    Node::up(agent, json!({ "ephemeral": false, "firewalled": false }))
}

#[test]
fn without_a_handler_every_command_is_unknown() {
    both_ways(RUST, |here, there| {
        let known = Silence::new();
        let answers = lone(there);
        answers.ok("addNode", known.address());
        let asks = ephemeral(here, &[]);
        let ask = |target: Value| {
            asks.ok("request", json!({ "to": answers.address(), "command": 7, "target": target }))
        };

        let aimed = ask(target(1));
        assert_eq!(aimed["error"], 1);
        assert_eq!(aimed["closerNodes"], json!([known.address()]));
        let plain = ask(Value::Null);
        assert_eq!(plain["error"], 1);
        assert_eq!(plain["closerNodes"], Value::Null);
        for answer in [aimed, plain] {
            assert_eq!(answer["token"], Value::Null);
            assert_eq!(answer["value"], Value::Null);
        }
    });
}

#[test]
fn values_of_all_sizes_come_back() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        serve_echo(answers);
        let asks = ephemeral(here, &[]);
        let echo = |value: &Value| {
            let sent = json!({ "to": answers.address(), "command": 1, "value": value });
            asks.ok("request", sent)["value"].clone()
        };

        for length in [0, 1, 252, 253, 1000, 1200, 1900] {
            let value = json!("5a".repeat(length));
            assert_eq!(echo(&value), value, "{length} bytes");
        }
        assert_eq!(echo(&Value::Null), Value::Null, "no value is not an empty one");
    });
}

#[test]
fn commands_of_all_sizes_arrive() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        serve_echo(answers);
        let asks = ephemeral(here, &[]);
        // 3 would be a down hint, were it an internal command.
        let commands: [u64; 8] = [0, 3, 0xfc, 0xfd, 0xffff, 0x1_0000, 1 << 32, (1 << 53) - 1];
        for command in commands {
            asks.ok("request", json!({ "to": answers.address(), "command": command }));
        }
        let seen: Vec<_> = answers.events("request").iter().map(|e| e["command"].clone()).collect();
        assert_eq!(seen, commands.map(|command| json!(command)));
    });
}

#[test]
fn a_request_arrives_whole() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let asks = persistent(here, &first.bootstrap());
        serve_echo(first);
        let sent = json!({ "to": first.address(), "command": 9, "target": target(3), "value": "" });
        asks.ok("request", sent);

        let seen = &first.events("request")[0];
        let mut from = asks.address();
        from["id"] = asks.info()["id"].clone();
        assert_eq!(seen["from"], from);
        assert_eq!(seen["to"], first.address());
        assert_eq!(seen["target"], target(3));
        assert_eq!(seen["command"], 9);
        assert_eq!(seen["value"], "");
        assert_eq!(seen["token"], Value::Null);
    });
}

#[test]
fn a_token_opens_the_door_once_given() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        serve_echo(answers);
        let asks = ephemeral(here, &[]);
        let ask = |token: &Value| {
            let fields = json!({ "to": answers.address(), "command": 1, "token": token });
            asks.ok("request", fields)
        };

        let token = ask(&Value::Null)["token"].clone();
        assert!(token.is_string());
        assert_eq!(ask(&token)["error"], 0);
        let seen: Vec<_> = answers.events("request").iter().map(|e| e["token"].clone()).collect();
        assert_eq!(seen, [Value::Null, token]);
    });
}

#[test]
fn a_token_is_for_a_host_and_by_a_node() {
    both_ways(RUST, |here, there| {
        let [answers, other] = [lone(there), lone(there)];
        for node in [answers, other] {
            serve_echo(node);
        }
        let [asks, neighbour] = [ephemeral(here, &[]), ephemeral(here, &[])];
        let ask = |who: Node<'_>, whom: Node<'_>, token: &Value| {
            who.ok("request", json!({ "to": whom.address(), "command": 1, "token": token }))
        };

        let token = ask(asks, answers, &Value::Null)["token"].clone();
        assert_eq!(ask(neighbour, answers, &token)["error"], 0, "another port of the host");
        assert_eq!(ask(asks, other, &token)["error"], 2, "another node");
    });
}

#[test]
fn a_foreign_token_is_refused_before_the_application_sees_it() {
    both_ways(RUST, |here, there| {
        let known = Silence::new();
        let answers = lone(there);
        answers.ok("addNode", known.address());
        serve_echo(answers);
        let asks = ephemeral(here, &[]);
        let ask = |fields: Value| {
            let mut request = json!({ "to": answers.address(), "command": 1, "value": "61" });
            request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            asks.ok("request", request)
        };

        let foreign = target(7);
        let refused = ask(json!({ "token": foreign, "target": target(1) }));
        assert_eq!(refused["error"], 2);
        assert_eq!(refused["value"], Value::Null);
        assert_eq!(refused["closerNodes"], json!([known.address()]));
        assert_ne!(refused["token"], foreign);
        assert_eq!(ask(json!({ "token": foreign }))["closerNodes"], Value::Null);

        // The fresh token works, and that is all that the application ever heard of.
        assert_eq!(ask(json!({ "token": refused["token"] }))["error"], 0);
        assert_eq!(answers.events("request").len(), 1);
    });
}

#[test]
fn a_reply_carries_what_it_is_told_to() {
    both_ways(RUST, |here, there| {
        let known = Silence::new();
        let answers = lone(there);
        answers.ok("addNode", known.address());
        // The command says which parts are wanted.
        serve(&[answers], |request| {
            let parts = match request["command"].as_u64()? {
                0 => json!({}),
                1 => json!({ "token": false }),
                2 => json!({ "closerNodes": false }),
                _ => json!({ "token": false, "closerNodes": false, "value": "62" }),
            };
            Some(reply(parts))
        });
        let asks = ephemeral(here, &[]);

        for (command, token, closer) in
            [(0, true, true), (1, false, true), (2, true, false), (3, false, false)]
        {
            let to = answers.address();
            let answer =
                asks.ok("request", json!({ "to": to, "command": command, "target": target(1) }));
            assert_eq!(answer["error"], 0);
            assert_eq!(answer["token"].is_string(), token, "command {command}");
            assert_eq!(answer["closerNodes"].is_array(), closer, "command {command}");
            assert_eq!(answer["value"], if command == 3 { json!("62") } else { Value::Null });
        }
    });
}

#[test]
fn an_error_reply_is_an_answer() {
    both_ways(RUST, |here, there| {
        let known = Silence::new();
        let answers = lone(there);
        answers.ok("addNode", known.address());
        // The command is the error code; from 100 on, with the other parts.
        serve(&[answers], |request| {
            let code = request["command"].as_u64()?;
            let turned = json!({ "code": code, "token": true, "closerNodes": false });
            Some(error(if code < 100 { json!({ "code": code }) } else { turned }))
        });
        let asks = ephemeral(here, &[]);
        let ask = |code: u64| {
            let to = answers.address();
            asks.ok("request", json!({ "to": to, "command": code, "target": target(1) }))
        };

        for code in [1, 16, 99] {
            let answer = ask(code);
            assert_eq!(answer["error"], code);
            assert_eq!(answer["token"], Value::Null);
            assert_eq!(answer["closerNodes"], json!([known.address()]));
        }
        for code in [252, 253, 0xffff, (1 << 53) - 1] {
            let answer = ask(code);
            assert_eq!(answer["error"], code);
            assert!(answer["token"].is_string());
            assert_eq!(answer["closerNodes"], Value::Null);
        }
    });
}

#[test]
fn a_handler_that_stays_silent_is_heard_as_silence() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        serve(&[answers], |_| None);
        let asks = ephemeral(here, &[]);
        let fields = json!({ "to": answers.address(), "command": 1, "retry": false });
        assert_eq!(asks.fails("request", fields), OpError::timeout());
        assert_eq!(answers.events("request").len(), 1);
    });
}

#[test]
fn a_retry_reaches_a_handler_that_missed_the_first_try() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        let mut tries = 0;
        serve(&[answers], move |_| {
            tries += 1;
            (tries > 1).then(|| reply(json!({ "value": "62" })))
        });
        let asks = ephemeral(here, &[]);
        let answer = asks.ok("request", json!({ "to": answers.address(), "command": 1 }));
        assert_eq!(answer["value"], "62");
        assert!(asks.info()["stats"]["requests"]["retries"].as_u64() >= Some(1));
    });
}

#[test]
fn a_relayed_request_is_answered_by_the_third() {
    both_ways(RUST, |here, there| {
        for (relaying, answering) in [(there, here), (there, there), (here, there)] {
            let (b, c) = (lone(relaying), lone(answering));
            let c_at = c.address();
            // b passes the asker's address on as the value; c answers to there.
            serve(&[b], move |request| {
                let port = request["from"]["port"].as_u64()?;
                let asker = kv::hex(&u16::try_from(port).ok()?.to_be_bytes());
                Some(relay(json!({ "to": c_at, "value": asker })))
            });
            serve(&[c], |request| {
                let port = u16::from_str_radix(request["value"].as_str()?, 16).ok()?;
                let asker = json!({ "host": "127.0.0.1", "port": port });
                Some(reply(json!({ "to": asker, "value": "63" })))
            });

            let a = ephemeral(here, &[]);
            let question =
                json!({ "to": b.address(), "command": 5, "target": target(2), "anyReplier": true });
            let answer = a.ok("request", question);
            assert_eq!(answer["value"], "63");
            assert_eq!(answer["from"]["port"], c.address()["port"]);
            assert_eq!(answer["to"]["port"], a.info()["clientPort"]);

            let seen = &c.events("request")[0];
            assert_eq!(seen["from"]["port"], b.address()["port"]);
            assert_eq!(seen["command"], 5);
            assert_eq!(seen["target"], target(2));
            assert_eq!(seen["token"], Value::Null);
        }
    });
}

/// A relay of the chain below: passes requests on to `next`, with the asker's port as value.
fn pass_on(node: Node<'_>, next: Value) {
    serve(&[node], move |request| {
        let value = match request["value"].as_str() {
            Some(port) => port.to_owned(),
            None => {
                let port = request["from"]["port"].as_u64()?;
                kv::hex(&u16::try_from(port).ok()?.to_be_bytes())
            }
        };
        Some(relay(json!({ "to": next, "value": value })))
    });
}

/// The end of the chain: answers whom the value names.
fn answer_asker(node: Node<'_>) {
    serve(&[node], |request| {
        let port = u16::from_str_radix(request["value"].as_str()?, 16).ok()?;
        let asker = json!({ "host": "127.0.0.1", "port": port });
        Some(reply(json!({ "to": asker, "value": "64" })))
    });
}

#[test]
fn a_chain_of_relays_ends_at_the_asker() {
    both_ways(RUST, |here, there| {
        let [first, second] = [lone(there), lone(here)];
        let last = bootstrapper(there);
        pass_on(first, second.address());
        pass_on(second, last.address());
        answer_asker(last);

        let asks = ephemeral(here, &[]);
        let question = json!({ "to": first.address(), "command": 5, "anyReplier": true });
        let answer = asks.ok("request", question);
        assert_eq!(answer["value"], "64");
        assert_eq!(answer["from"]["id"], last.info()["id"]);
        assert_eq!(last.events("request")[0]["from"]["port"], second.address()["port"]);
        let requests = asks.info()["stats"]["requests"].clone();
        assert_eq!((&requests["total"], &requests["responses"]), (&json!(1), &json!(1)));
        // Relaying is no request of the relay's own.
        assert_eq!(second.info()["stats"]["requests"]["total"], 0);
    });
}

#[test]
fn an_answer_from_elsewhere_is_taken_only_if_expected() {
    both_ways(RUST, |here, there| {
        let [first, last] = [lone(there), lone(there)];
        pass_on(first, last.address());
        answer_asker(last);
        let asks = ephemeral(here, &[]);
        let ask = |any: bool| {
            let to = first.address();
            let fields = json!({ "to": to, "command": 5, "anyReplier": any, "retry": false });
            asks.call("request", fields)
        };

        assert_eq!(ask(true).unwrap()["value"], "64");
        // The reference takes whatever bears the right transaction id.
        match here.name() {
            "rust" => assert_eq!(ask(false).unwrap_err(), OpError::timeout()),
            _ => assert_eq!(ask(false).unwrap()["value"], "64"),
        }
        assert_eq!(last.events("request").len(), 2);
    });
}

#[test]
fn many_at_once_are_all_answered() {
    both_ways(RUST, |here, there| {
        let answers = lone(there);
        serve_echo(answers);
        // Over twice the congestion window.
        let asks = Node::up(here, json!({ "ephemeral": true, "maxWindow": 20 }));
        let to = answers.address();
        let values: Vec<_> = (0..100u8).map(|n| json!(kv::hex(&[n]))).collect();
        let ops: Vec<_> = values
            .iter()
            .map(|value| asks.send("request", json!({ "to": to, "command": 1, "value": value })))
            .collect();
        for (op, value) in ops.into_iter().zip(values) {
            assert_eq!(here.answer(op).unwrap()["value"], value);
        }
        assert_eq!(asks.info()["stats"]["requests"]["active"], 0);
    });
}
