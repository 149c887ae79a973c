//! Two implementations, message by message: what one asks, the other answers.

use dht_interop::kv::{self, error, relay, reply, serve, serve_echo};
use dht_interop::stage::{
    Silence, bootstrapper, both_ways, each, ephemeral, id_at, persistent, target,
};
use dht_interop::{Node, OpError, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// A bare node that answers at a known address and has no network.
fn lone(agent: &dht_interop::Agent) -> Node<'_> {
    Node::up(agent, json!({ "ephemeral": false, "firewalled": false }))
}

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
            assert_eq!(
                node.info()["bootstrap"],
                json!([{ "host": host, "port": port }])
            );
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
        assert_eq!(
            during["stats"]["commands"]["ping"],
            json!({ "tx": 1, "rx": 0 })
        );
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
        let ask = |delay| {
            asks.ok(
                "delayedPing",
                json!({ "to": answers.address(), "delay": delay }),
            )
        };

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
            let error = asks.fails(
                "delayedPing",
                json!({ "to": answers.address(), "delay": delay }),
            );
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
            asks.call(
                "delayedPing",
                json!({ "to": to, "delay": delay, "retry": false }),
            )
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
fn without_a_handler_every_command_is_unknown() {
    both_ways(RUST, |here, there| {
        let known = Silence::new();
        let answers = lone(there);
        answers.ok("addNode", known.address());
        let asks = ephemeral(here, &[]);
        let ask = |target: Value| {
            asks.ok(
                "request",
                json!({ "to": answers.address(), "command": 7, "target": target }),
            )
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

        for length in [0, 1, 252, 253, 1000, 1200] {
            let value = json!("5a".repeat(length));
            assert_eq!(echo(&value), value, "{length} bytes");
        }
        assert_eq!(
            echo(&Value::Null),
            Value::Null,
            "no value is not an empty one"
        );
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
            asks.ok(
                "request",
                json!({ "to": answers.address(), "command": command }),
            );
        }
        let seen: Vec<_> = answers
            .events("request")
            .iter()
            .map(|e| e["command"].clone())
            .collect();
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
        let seen: Vec<_> = answers
            .events("request")
            .iter()
            .map(|e| e["token"].clone())
            .collect();
        assert_eq!(seen, [Value::Null, token]);
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
            request
                .as_object_mut()
                .unwrap()
                .extend(fields.as_object().unwrap().clone());
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

        for (command, token, closer) in [
            (0, true, true),
            (1, false, true),
            (2, true, false),
            (3, false, false),
        ] {
            let to = answers.address();
            let answer = asks.ok(
                "request",
                json!({ "to": to, "command": command, "target": target(1) }),
            );
            assert_eq!(answer["error"], 0);
            assert_eq!(answer["token"].is_string(), token, "command {command}");
            assert_eq!(
                answer["closerNodes"].is_array(),
                closer,
                "command {command}"
            );
            assert_eq!(
                answer["value"],
                if command == 3 {
                    json!("62")
                } else {
                    Value::Null
                }
            );
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
            Some(error(if code < 100 {
                json!({ "code": code })
            } else {
                turned
            }))
        });
        let asks = ephemeral(here, &[]);
        let ask = |code: u64| {
            let to = answers.address();
            asks.ok(
                "request",
                json!({ "to": to, "command": code, "target": target(1) }),
            )
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

#[test]
fn a_query_streams_replies_and_ends_with_the_closest() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let others = [
            persistent(there, &first.bootstrap()),
            persistent(here, &first.bootstrap()),
        ];
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
        assert_eq!(
            error,
            OpError::new(None, "No token received for closest node")
        );
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
