//! A child process that speaks the agent protocol, the reference's or ours.

use std::cell::Cell;
use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::js;
use crate::log::Log;
use crate::netns::Space;

/// A running agent. Its process is killed when this is dropped.
#[derive(Debug)]
pub struct Agent {
    name: &'static str,
    child: Child,
    wire: Arc<Wire>,
    next_node: Cell<u64>,
}

/// Both directions of the conversation, shared with the threads that play applications.
#[derive(Debug)]
pub(crate) struct Wire {
    input: Mutex<ChildStdin>,
    next_op: AtomicU64,
    pub(crate) log: Log,
}

/// An op that failed, as the agent tells it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpError {
    /// Such as `REQUEST_TIMEOUT`.
    pub code: Option<String>,
    /// In words.
    pub message: String,
}

impl Agent {
    /// The agent over the JavaScript package.
    #[must_use]
    pub fn js() -> Agent {
        Agent::spawn("js", js::script("agent.mjs"))
    }

    /// The agent over this project's library, `path` being the program. `DHT_INTEROP_AGENT=js`
    /// puts the JavaScript one in its place: does the reference pass its own test?
    /// `DHT_INTEROP_RUNTIME=smol` has it run on the other adapter.
    #[must_use]
    pub fn rust(path: Option<&str>) -> Agent {
        let (name, command) = Agent::ours(path);
        Agent::spawn(name, command)
    }

    /// The same as [`Agent::js`], in a namespace.
    #[must_use]
    pub fn js_in(space: &Space) -> Agent {
        Agent::spawn("js", space.within(&js::script("agent.mjs")))
    }

    /// The same as [`Agent::rust`], in a namespace.
    #[must_use]
    pub fn rust_in(path: Option<&str>, space: &Space) -> Agent {
        let (name, command) = Agent::ours(path);
        Agent::spawn(name, space.within(&command))
    }

    /// How to start the two of them.
    #[must_use]
    pub fn commands(path: Option<&str>) -> [Command; 2] {
        [js::script("agent.mjs"), Agent::ours(path).1]
    }

    fn ours(path: Option<&str>) -> (&'static str, Command) {
        if env::var_os("DHT_INTEROP_AGENT").is_some_and(|which| which == "js") {
            return ("js in place of rust", js::script("agent.mjs"));
        }
        let path = path.expect("no agent of ours was built; see DHT_INTEROP_AGENT in the README");
        let mut command = Command::new(path);
        if let Some(runtime) = env::var_os("DHT_INTEROP_RUNTIME") {
            command.arg("--runtime").arg(runtime);
        }
        ("rust", command)
    }

    fn spawn(name: &'static str, mut command: Command) -> Agent {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("an agent");
        let wire = Arc::new(Wire {
            input: Mutex::new(child.stdin.take().expect("its input")),
            next_op: AtomicU64::new(1),
            log: Log::default(),
        });
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let reader = Arc::clone(&wire);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(line) => reader.log.push(line),
                    Err(_) => eprintln!("not JSON, from the agent: {line}"),
                }
            }
            reader.log.end();
        });
        Agent { name, child, wire, next_node: Cell::new(1) }
    }

    /// Whose agent it is, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A number that no node of this agent has.
    pub(crate) fn node_number(&self) -> u64 {
        let number = self.next_node.get();
        self.next_node.set(number + 1);
        number
    }

    pub(crate) fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// Sends an op and does not wait. `fields` is an object.
    pub fn send(&self, op: &str, fields: Value) -> u64 {
        self.wire.send(&[(op, fields)])[0]
    }

    /// Sends several ops in one write, so that the agent takes them all before its nodes go on.
    #[must_use]
    pub fn send_at_once(&self, ops: &[(&str, Value)]) -> Vec<u64> {
        self.wire.send(ops)
    }

    /// Waits for the answer to an op.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn answer(&self, id: u64) -> Result<Value, OpError> {
        let (_, answer) = self.wire.log.answer(id);
        match answer.get("error") {
            None => Ok(answer["ok"].clone()),
            Some(error) => Err(OpError {
                code: error["code"].as_str().map(str::to_owned),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Sends an op and waits for its answer.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn call(&self, op: &str, fields: Value) -> Result<Value, OpError> {
        self.answer(self.send(op, fields))
    }

    /// Where the answer to an op stands among all that the agent has said.
    #[must_use]
    pub fn place_of_answer(&self, id: u64) -> usize {
        self.wire.log.answer(id).0
    }

    /// The number of lines so far: events after this moment stand at this place or later.
    #[must_use]
    pub fn now(&self) -> usize {
        self.wire.log.len()
    }
}

impl Wire {
    pub(crate) fn send(&self, ops: &[(&str, Value)]) -> Vec<u64> {
        let mut text = String::new();
        let mut ids = Vec::new();
        for (op, fields) in ops {
            let id = self.next_op.fetch_add(1, Ordering::Relaxed);
            let mut line = fields.clone();
            line["id"] = json!(id);
            line["op"] = json!(op);
            text.push_str(&line.to_string());
            text.push('\n');
            ids.push(id);
        }
        let mut input = self.input.lock().expect("its input");
        // An agent that is gone shows when its answer is waited for.
        let _ = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        ids
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OpError {
    /// An error with this code, or with none.
    #[must_use]
    pub fn new(code: Option<&str>, message: &str) -> OpError {
        OpError { code: code.map(str::to_owned), message: message.to_owned() }
    }

    /// A request that nobody answered.
    #[must_use]
    pub fn timeout() -> OpError {
        OpError::new(Some("REQUEST_TIMEOUT"), "Request timed out")
    }

    /// A request whose node, session or query is gone.
    #[must_use]
    pub fn request_destroyed() -> OpError {
        OpError::new(Some("REQUEST_DESTROYED"), "Request destroyed")
    }

    /// An op on a node that is gone.
    #[must_use]
    pub fn node_destroyed() -> OpError {
        OpError::new(None, "Node destroyed")
    }
}

impl fmt::Debug for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
