//! One node: its handle, and what is under way there on the caller's behalf.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, Instant};

use dht_core::driver::{Builder, Dht, IncomingRequest, Item, Items, Milestone, Runtime};
use dht_core::{Event, QueryId, ReplyTo, RequestId, SendError};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::say;

/// For how long an incoming request waits for its answer.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A node. What happens to it is told in the order in which it happened, since it all
/// comes by one stream, [`Items`], which is read to its end before any answer is written.
pub(crate) struct Node {
    pub(crate) number: u64,
    pub(crate) dht: Dht,
    /// Until the node is started, or destroyed without.
    driver: Option<Pin<Box<dyn Future<Output = ()>>>>,
    pub(crate) started: bool,
    pub(crate) items: Items,
    pub(crate) destroyed: bool,
    /// The node closed itself, since it could not bind; that is told when it is destroyed.
    failed: bool,
    /// The optional events that the caller wants to hear of.
    listens: BTreeSet<String>,
    /// The ops that await what has begun.
    pub(crate) requests: BTreeMap<RequestId, Value>,
    pub(crate) queries: BTreeMap<QueryId, Value>,
    incoming: BTreeMap<u64, (Instant, ReplyTo)>,
    last_incoming: u64,
}

/// A node as ops and its own task share it.
pub(crate) type Shared = Rc<RefCell<Node>>;

impl Node {
    /// A node that does nothing yet. Its events are told from now on.
    pub(crate) fn create<R: Runtime>(number: u64, builder: Builder<R>) -> Result<Shared, Failure> {
        let (dht, driver) = builder.build()?;
        let items = dht.items();
        items.take_requests(false);
        let node = Rc::new(RefCell::new(Node {
            number,
            dht,
            driver: Some(Box::pin(driver)),
            started: false,
            items,
            destroyed: false,
            failed: false,
            listens: BTreeSet::new(),
            requests: BTreeMap::new(),
            queries: BTreeMap::new(),
            incoming: BTreeMap::new(),
            last_incoming: 0,
        }));
        tokio::task::spawn_local(follow(Rc::clone(&node)));
        Ok(node)
    }

    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        let driver = self.driver.take();
        let driver = driver.ok_or_else(|| Failure::protocol("the node was started before"))?;
        tokio::task::spawn_local(driver);
        self.started = true;
        Ok(())
    }

    /// Closes it, which can be waited for. If it was never started there is nothing to close.
    pub(crate) fn destroy(&mut self) -> Milestone {
        self.driver = None;
        if !std::mem::replace(&mut self.destroyed, true) && self.failed {
            say::event(self.number, "close", json!({}));
        }
        self.dht.close()
    }

    pub(crate) fn listen(&mut self, event: &str, on: bool) -> Result<(), Failure> {
        if !["request", "add-node", "remove-node"].contains(&event) {
            return Err(Failure::protocol("nobody can listen to that"));
        }
        match on {
            true => self.listens.insert(event.to_owned()),
            false => self.listens.remove(event),
        };
        let nodes = self.listens.contains("add-node") || self.listens.contains("remove-node");
        self.dht.set_node_events(nodes);
        self.items.take_requests(self.listens.contains("request"));
        Ok(())
    }

    /// An incoming request, which can be taken once.
    pub(crate) fn take_incoming(&mut self, number: u64) -> Result<ReplyTo, Failure> {
        self.forget_incoming();
        let taken = self.incoming.remove(&number);
        taken.map(|(_, to)| to).ok_or_else(|| Failure::protocol("unknown request"))
    }

    fn forget_incoming(&mut self) {
        while let Some(oldest) = self.incoming.first_entry() {
            if oldest.get().0.elapsed() < FORGET_AFTER {
                return;
            }
            oldest.remove();
        }
    }

    /// A node that could not bind says so instead of being closed.
    pub(crate) fn explain(&self, error: SendError) -> Failure {
        match self.dht.status().failure {
            Some(failure) if error == SendError::Closed => failure.into(),
            _ => error.into(),
        }
    }

    /// Tells all that has happened so far.
    pub(crate) fn drain(&mut self) {
        while let Some(item) = self.items.try_next() {
            self.tell(item);
        }
    }

    fn tell(&mut self, item: Item) {
        match item {
            Item::Event(Event::Closed) if !self.destroyed => self.failed = true,
            Item::Event(event) => {
                let Some((name, fields)) = say::change(&event) else {
                    return;
                };
                let optional = matches!(event, Event::NodeAdded(_) | Event::NodeRemoved(_));
                if !optional || self.listens.contains(name) {
                    say::event(self.number, name, fields);
                }
            }
            Item::Response(request, result) => {
                if let Some(op) = self.requests.remove(&request) {
                    let reply = result.map(|reply| say::reply(&reply));
                    say::answer(&op, reply.map_err(Failure::from));
                }
            }
            Item::Reply(query, reply) => {
                if let Some(op) = self.queries.get(&query) {
                    let fields = json!({ "query": op, "reply": say::reply(&reply) });
                    say::event(self.number, "data", fields);
                }
            }
            Item::Finished(query, result) => {
                if let Some(op) = self.queries.remove(&query) {
                    let outcome = result.map(|outcome| say::outcome(&outcome));
                    say::answer(&op, outcome.map_err(Failure::from));
                }
            }
            Item::Request(request) => self.tell_request(request),
            _ => {}
        }
    }

    fn tell_request(&mut self, request: IncomingRequest) {
        self.forget_incoming();
        self.last_incoming += 1;
        let fields = json!({
            "request": self.last_incoming,
            "from": say::peer(request.from),
            "to": say::address(request.seen_as),
            "token": request.token.map(|token| say::hex(token.as_bytes())),
            "target": request.target.map(|target| say::hex(&target.0)),
            "command": request.command,
            "value": request.value.as_ref().map(|value| say::hex(value)),
        });
        say::event(self.number, "request", fields);
        self.incoming.insert(self.last_incoming, (Instant::now(), request.ignore()));
    }
}

/// Tells what happens to a node, until it is closed.
async fn follow(node: Shared) {
    let next = || {
        poll_fn(|cx| {
            let mut node = node.borrow_mut();
            pin!(node.items.next()).poll(cx)
        })
    };
    while let Some(item) = next().await {
        node.borrow_mut().tell(item);
    }
}
