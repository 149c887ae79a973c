//! Takes ops, one line at a time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{Fields, natural, text};
use crate::node::{Node, Shared};
use crate::ops::{Answered, OPS};
use crate::{options, say};

/// What a node answers before it is started.
const BEFORE_START: [&str; 4] = ["start", "info", "listen", "destroy"];
/// What a node answers after it was destroyed.
const AFTER_DESTROY: [&str; 4] = ["info", "suspend", "resume", "destroy"];

/// Whose sockets and timers nodes have. Their drivers run on the agent's own executor either way.
#[derive(Clone, Copy)]
pub(crate) enum Adapter {
    Tokio,
    Smol,
}

/// All nodes, by their numbers.
pub(crate) struct Agent {
    adapter: Adapter,
    nodes: BTreeMap<u64, Shared>,
}

impl Agent {
    pub(crate) fn new(adapter: Adapter) -> Self {
        Self { adapter, nodes: BTreeMap::new() }
    }

    /// Starts the op that stands in `line`, and answers it if it is done.
    pub(crate) fn take(&mut self, line: &[u8]) {
        let op = match serde_json::from_slice(line) {
            Ok(Value::Object(op)) => op,
            _ => {
                let failure = Failure::protocol("not an op");
                return say::answer(&Value::Null, Err(failure));
            }
        };
        let fields = Fields(&op);
        let id = op.get("id").unwrap_or(&Value::Null);
        match fields.get("id", natural).and_then(|_| self.perform(fields, id)) {
            Ok(None) => {}
            Ok(Some(value)) => say::answer(id, Ok(value)),
            Err(failure) => say::answer(id, Err(failure)),
        }
    }

    fn perform(&mut self, fields: Fields<'_>, id: &Value) -> Answered {
        let name = fields.get("op", text)?;
        if name == "create" {
            return self.create(fields).map(|()| Some(Value::Null));
        }
        let run = OPS.iter().find(|(other, _)| *other == name);
        let (_, run) = run.ok_or_else(|| Failure::protocol("unknown op"))?;
        let node = self.nodes.get(&fields.get("node", natural)?);
        let node = node.ok_or_else(|| Failure::protocol("unknown node"))?;
        check_stage(name, &node.borrow())?;
        let result = run(node, fields, id);
        // What the op has brought about is told before its own answer.
        node.borrow_mut().drain();
        result
    }

    fn create(&mut self, fields: Fields<'_>) -> Result<(), Failure> {
        let number = fields.get("node", natural)?;
        if self.nodes.contains_key(&number) {
            return Err(Failure::protocol("there is such a node"));
        }
        let node = match self.adapter {
            Adapter::Tokio => Node::create(number, options::builder(dht_tokio::Tokio, fields)?)?,
            Adapter::Smol => Node::create(number, options::builder(dht_smol::Smol, fields)?)?,
        };
        self.nodes.insert(number, node);
        Ok(())
    }

    /// Destroys all nodes.
    pub(crate) async fn end(self) {
        let closing: Vec<_> = self.nodes.values().map(|node| node.borrow_mut().destroy()).collect();
        for closed in closing {
            // It does not fail; and if it did, the node would be gone as well.
            let _ = closed.await;
        }
    }
}

fn check_stage(op: &str, node: &Node) -> Result<(), Failure> {
    if node.destroyed && !AFTER_DESTROY.contains(&op) {
        Err(dht_core::SendError::Closed.into())
    } else if !node.destroyed && !node.started && !BEFORE_START.contains(&op) {
        Err(Failure::protocol("the node is not started"))
    } else {
        Ok(())
    }
}
