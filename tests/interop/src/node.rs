//! A node of an agent, as a story handles it.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::agent::{Agent, OpError};
use crate::log::DEADLINE;

/// Pause between two looks at a node.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One node of one agent.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    agent: &'a Agent,
    number: u64,
}

impl<'a> Node<'a> {
    /// A node with these options, bound to the loopback interface, not started yet.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn create(agent: &'a Agent, options: Value) -> Result<Node<'a>, OpError> {
        Node::create_as(agent, json!({ "options": local(options) }))
    }

    /// The same as a bootstrapper at `host` and `port`.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn create_bootstrapper(
        agent: &'a Agent,
        host: &str,
        port: u16,
    ) -> Result<Node<'a>, OpError> {
        let own = json!({ "host": host, "port": port });
        Node::create_as(agent, json!({ "bootstrapper": own, "options": local(json!({})) }))
    }

    /// A node by all fields of the op `create` but its number, not started yet.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn create_as(agent: &'a Agent, fields: Value) -> Result<Node<'a>, OpError> {
        let number = agent.node_number();
        let node = Node { agent, number };
        node.call("create", fields).map(|_| node)
    }

    /// A node with these options, started and bootstrapped.
    #[must_use]
    pub fn up(agent: &'a Agent, options: Value) -> Node<'a> {
        let node = Node::create(agent, options).unwrap();
        node.ok("start", json!({}));
        node.ok("bootstrapped", json!({}));
        node
    }

    /// The agent that it belongs to.
    #[must_use]
    pub fn agent(self) -> &'a Agent {
        self.agent
    }

    /// Its number there.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// Sends an op of this node and does not wait.
    pub fn send(self, op: &str, fields: Value) -> u64 {
        self.agent.send(op, self.fields(fields))
    }

    /// Sends an op of this node and waits for the answer.
    ///
    /// # Errors
    /// The error that the agent answers.
    pub fn call(self, op: &str, fields: Value) -> Result<Value, OpError> {
        self.agent.call(op, self.fields(fields))
    }

    /// The same for an op that has to succeed.
    #[track_caller]
    pub fn ok(self, op: &str, fields: Value) -> Value {
        match self.call(op, fields) {
            Ok(value) => value,
            Err(error) => panic!("{op} of node {} ({}): {error:?}", self.number, self.agent.name()),
        }
    }

    /// The same for an op that has to fail.
    #[track_caller]
    pub fn fails(self, op: &str, fields: Value) -> OpError {
        match self.call(op, fields) {
            Err(error) => error,
            Ok(value) => panic!("{op} should fail ({}): {value}", self.agent.name()),
        }
    }

    /// Fields of an op with this node's number among them.
    #[must_use]
    pub fn fields(self, mut fields: Value) -> Value {
        fields["node"] = json!(self.number);
        fields
    }

    /// Its state.
    #[track_caller]
    #[must_use]
    pub fn info(self) -> Value {
        self.ok("info", json!({}))
    }

    /// Its state, as soon as it is as wished.
    #[track_caller]
    pub fn until(self, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
        self.look("info", what, wished)
    }

    /// Waits for an address to be in its routing table.
    #[track_caller]
    pub fn until_knows(self, other: &Value) {
        self.look("nodes", &format!("{other} among its nodes"), |nodes| contains(nodes, other));
    }

    /// Waits for an address not to be in its routing table.
    #[track_caller]
    pub fn until_forgets(self, other: &Value) {
        self.look("nodes", &format!("{other} to be gone"), |nodes| !contains(nodes, other));
    }

    /// Whether an address is in its routing table now.
    #[must_use]
    pub fn knows(self, other: &Value) -> bool {
        contains(&self.ok("nodes", json!({})), other)
    }

    #[track_caller]
    fn look(self, op: &str, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = self.ok(op, json!({}));
            if wished(&seen) {
                return seen;
            }
            let name = self.agent.name();
            assert!(Instant::now() < deadline, "too late ({name}), waiting for {what}: {seen}");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Where it can be asked: the address of its server socket.
    #[track_caller]
    #[must_use]
    pub fn address(self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.info()["serverPort"] })
    }

    /// The same as `host:port`, for the `bootstrap` of others.
    #[must_use]
    pub fn bootstrap(self) -> String {
        format!("127.0.0.1:{}", self.info()["serverPort"])
    }

    /// Waits for an event of this node, at `from` (see [`Agent::now`]) or later: where it
    /// stands, and the event.
    #[track_caller]
    pub fn event(self, from: usize, name: &str) -> (usize, Value) {
        self.event_with(from, name, |_| true)
    }

    /// The same with a condition.
    #[track_caller]
    pub fn event_with(
        self,
        from: usize,
        name: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> (usize, Value) {
        let what = format!("event {name} of node {} ({})", self.number, self.agent.name());
        let log = &self.agent.wire().log;
        log.find(from, &what, |line| self.says(name, line) && fits(line))
    }

    /// All events of this node with this name so far.
    #[must_use]
    pub fn events(self, name: &str) -> Vec<Value> {
        self.agent.wire().log.all(|line| self.says(name, line))
    }

    fn says(self, event: &str, line: &Value) -> bool {
        line["event"] == event && line["node"] == self.number
    }
}

/// Options with the loopback interface added, unless they name another.
fn local(mut options: Value) -> Value {
    if options.get("host").is_none() {
        options["host"] = json!("127.0.0.1");
    }
    options
}

fn contains(list: &Value, entry: &Value) -> bool {
    list.as_array().is_some_and(|list| list.contains(entry))
}
