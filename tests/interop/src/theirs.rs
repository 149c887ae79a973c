//! Nodes of hyperdht, in a process of `js/peers.mjs`.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::js::Asked;

/// The process. It ends with this.
#[derive(Debug)]
pub struct Theirs(RefCell<Asked>);

/// A node of it.
#[derive(Clone, Debug)]
pub struct Peer<'t> {
    theirs: &'t Theirs,
    name: String,
    /// Where it can be asked, as `host:port`.
    pub address: String,
}

impl Theirs {
    /// Without any node.
    #[must_use]
    pub fn new() -> Theirs {
        Theirs(RefCell::new(Asked::new("peers.mjs")))
    }

    /// The number of the process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.0.borrow().process()
    }

    /// Does an op.
    ///
    /// # Errors
    /// What was thrown.
    pub fn call(&self, op: &str, mut fields: Value) -> Result<Value, String> {
        fields["op"] = json!(op);
        let mut answer = self.0.borrow_mut().ask(&fields);
        match &answer["error"] {
            Value::Null => Ok(answer["ok"].take()),
            error => Err(error.as_str().unwrap_or_default().to_owned()),
        }
    }

    /// Does an op that has to succeed.
    #[track_caller]
    pub fn ok(&self, op: &str, fields: Value) -> Value {
        let what = format!("{op} {fields}");
        self.call(op, fields).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The same for an op whose answer is a string.
    #[track_caller]
    pub fn text(&self, op: &str, fields: Value) -> String {
        self.ok(op, fields).as_str().expect("a string").to_owned()
    }

    /// A node, as `options` of the op `node` say.
    #[track_caller]
    pub fn node(&self, name: &str, mut options: Value) -> Peer<'_> {
        options["name"] = json!(name);
        let node = self.ok("node", options.clone());
        let stores = options["persistent"] == true;
        assert_eq!(node["persistent"], stores, "{name}");
        let address = node["address"].as_str().expect("an address").to_owned();
        Peer { theirs: self, name: name.to_owned(), address }
    }
}

impl Default for Theirs {
    fn default() -> Theirs {
        Theirs::new()
    }
}

impl Peer<'_> {
    /// Does an op with this node.
    ///
    /// # Errors
    /// What was thrown.
    pub fn call(&self, op: &str, mut fields: Value) -> Result<Value, String> {
        fields["node"] = json!(self.name);
        self.theirs.call(op, fields)
    }

    /// Does an op with this node that has to succeed.
    #[track_caller]
    pub fn ok(&self, op: &str, fields: Value) -> Value {
        let what = format!("{op} by {} {fields}", self.name);
        self.call(op, fields).unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}
