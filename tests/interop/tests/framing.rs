//! The conversation with an agent itself: lines, ids, and its end.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use dht_interop::{Agent, Value, js, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// An agent without the harness around it.
struct Bare {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Bare {
    /// Tells a story of each agent.
    fn each(story: impl Fn(Bare)) {
        if !js::available() {
            return;
        }
        for mut command in Agent::commands(RUST) {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let input = child.stdin.take();
            let output = BufReader::new(child.stdout.take().unwrap());
            story(Bare { child, input, output });
        }
    }

    fn write(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "{line}");
        serde_json::from_str(&line).unwrap()
    }

    /// Closes its input: what else it says, once it has ended well.
    fn end(&mut self) -> String {
        self.input = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_without_nodes_ends_in_silence() {
    Bare::each(|mut agent| assert_eq!(agent.end(), ""));
}

#[test]
fn an_agent_that_ends_destroys_its_nodes() {
    Bare::each(|mut agent| {
        agent.write(concat!(
            r#"{"id":1,"op":"create","node":1,"options":{"host":"127.0.0.1"}}"#,
            "\n",
            r#"{"id":2,"op":"create","node":2,"options":{"host":"127.0.0.1"}}"#,
            "\n",
            r#"{"id":3,"op":"start","node":2}"#,
            "\n",
            r#"{"id":4,"op":"bootstrapped","node":2}"#,
            "\n",
        ));
        while agent.read()["id"] != 4 {}
        // One of them never was started.
        agent.end();
    });
}

#[test]
fn lines_may_come_in_pieces_and_with_blanks_between() {
    Bare::each(|mut agent| {
        agent.write("\n  \n{\"id\":1,\"op\":\"cre");
        agent.write("ate\",\"node\":1}\r\n{\"id\":2,\"op\":\"in");
        assert_eq!(agent.read(), json!({ "id": 1, "ok": null }));
        agent.write("fo\",\"node\":1}\n");
        let info = agent.read();
        assert_eq!((&info["id"], &info["ok"]["bootstrapped"]), (&json!(2), &json!(false)));
    });
}

#[test]
fn what_is_no_op_does_no_harm() {
    Bare::each(|mut agent| {
        for line in ["nonsense", "[]", "7", "null", r#""create""#, r#"{"id":"#] {
            agent.write(&format!("{line}\n"));
        }
        for (id, line) in [
            (1, r#"{"id":1}"#),
            (2, r#"{"id":2,"op":null}"#),
            (3, r#"{"id":3,"op":["info"]}"#),
            (4, r#"{"id":4,"op":"toString","node":1}"#),
            (5, r#"{"id":5,"op":"create"}"#),
            (6, r#"{"id":6,"op":"create","node":0}"#),
            (7, r#"{"id":7,"op":"create","node":1.5}"#),
            (8, r#"{"id":8,"op":"create","node":1,"options":[]}"#),
            (9, r#"{"id":9,"op":"create","node":1,"options":{"port":[1]}}"#),
            (10, r#"{"id":10,"op":"create","node":1,"bootstrapper":{"port":1}}"#),
            (11, r#"{"id":11,"op":"create","node":1,"options":{"nodes":["127.0.0.1:1"]}}"#),
        ] {
            agent.write(&format!("{line}\n"));
            // Answers to what has no id may come before.
            let answer = loop {
                let answer = agent.read();
                if !answer["id"].is_null() {
                    break answer;
                }
            };
            assert_eq!(answer["id"], id);
            assert_eq!(answer["error"]["code"], "PROTOCOL", "{line}");
        }
        agent.write("{\"id\":12,\"op\":\"create\",\"node\":1}\n");
        assert_eq!(agent.read(), json!({ "id": 12, "ok": null }), "none of them made the node");
    });
}

#[test]
fn a_node_is_made_once_and_started_once() {
    Bare::each(|mut agent| {
        agent.write(
            "{\"id\":1,\"op\":\"create\",\"node\":1,\"options\":{\"host\":\"127.0.0.1\"}}\n",
        );
        assert_eq!(agent.read(), json!({ "id": 1, "ok": null }));
        agent.write("{\"id\":2,\"op\":\"create\",\"node\":1}\n");
        assert_eq!(agent.read()["error"]["code"], "PROTOCOL");
        for op in ["bootstrapped", "nodes", "suspend", "refresh"] {
            agent.write(&format!("{{\"id\":3,\"op\":\"{op}\",\"node\":1}}\n"));
            assert_eq!(agent.read()["error"]["code"], "PROTOCOL", "{op} before the start");
        }
        let start = |id| format!("{{\"id\":{id},\"op\":\"start\",\"node\":1}}\n");
        agent.write(&(start(4) + &start(5)));
        assert_eq!(agent.read(), json!({ "id": 4, "ok": null }));
        assert_eq!(agent.read()["error"]["code"], "PROTOCOL");
        assert_eq!(agent.read()["event"], "listening");
    });
}
