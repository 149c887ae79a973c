//! The application: a server that keeps values of other nodes, and a client that puts values of its own and gets any.
//! It knows nothing but what it is told over the network, so it could run on a real one.
use std::collections::BTreeMap;
use std::sync::Arc;

use blake2::{Blake2b256, Digest};
use dht_core::{Answer, Event, Id, Incoming, K, Outcome, Query, QueryId, bytes::Bytes, error_code};
use dht_sim::{App, Cx, Micros, Return};

/// The command: with a value and a token it is a put, without a value a get.
const VALUES: u64 = 0;
/// The error code for a value that does not belong under its key, and for one too many.
const REFUSED: u64 = 16;
/// A value that this many nodes have taken is stored.
const ENOUGH: u32 = 15;
/// The most values that a node keeps.
const VALUES_MAX: usize = 1_000;
/// So often a get asks before it gives up.
const TRIES: u32 = 3;
pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const MINUTE: Micros = 60 * SECOND;
/// How often a node looks for something to do.
const TICK: Micros = 10 * SECOND;
/// A put that has come to nothing is repeated after this.
const RETRY: Micros = MINUTE;
/// A value that was not put for so long, or up to a quarter longer, is put again.
pub(crate) const REPUBLISH: Micros = 5 * MINUTE;

pub(crate) fn hash(value: &[u8]) -> Id {
    Id(Blake2b256::digest(value).into())
}

/// What may be wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// Only its writer puts a value again.
    Writer,
    /// No holder puts a value again.
    Never,
}

/// What the user of a node has seen on the screen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note {
    Stored { key: Id },
    Read { key: Id, since: Micros, found: bool },
}

#[derive(Clone)]
struct Kept {
    value: Bytes,
    /// Whether it is this node's own, to be kept whatever happens.
    own: bool,
    /// When to put it (again).
    due: Micros,
}

#[derive(Clone, Copy)]
enum Task {
    Put(Id),
    Get { key: Id, since: Micros, tries: u32 },
}

#[derive(Clone)]
pub(crate) struct Store {
    flaw: Flaw,
    /// A value that its user is going to put.
    to_put: Option<Bytes>,
    /// Keys that its user has heard of.
    links: Arc<[Id]>,
    values: BTreeMap<Id, Kept>,
    tasks: BTreeMap<QueryId, Task>,
    pub(crate) notes: Vec<Note>,
}

impl Store {
    pub(crate) fn new(flaw: Flaw, to_put: Option<Bytes>, links: Arc<[Id]>) -> Self {
        let (values, tasks, notes) = Default::default();
        Self { flaw, to_put, links, values, tasks, notes }
    }

    /// Its user wants to read something.
    pub(crate) fn look_for(&mut self, cx: &mut Cx<'_>, key: Id) {
        self.get(cx, key, cx.time, 1);
    }

    /// Keeps a value that has just been put, by this node or another one.
    fn keep(&mut self, cx: &mut Cx<'_>, value: Bytes, own: bool) {
        let key = hash(&value);
        let own = own || self.values.get(&key).is_some_and(|kept| kept.own);
        let due = match self.flaw {
            Flaw::Never => Micros::MAX,
            Flaw::Writer if !own => Micros::MAX,
            // Not all at once: the first holder spares the rest the trouble.
            _ => cx.time + REPUBLISH + cx.rng.below(REPUBLISH / 4),
        };
        self.values.insert(key, Kept { value, own, due });
    }

    fn put(&mut self, cx: &mut Cx<'_>, key: Id) {
        let Some(kept) = self.values.get_mut(&key) else { return };
        kept.due = cx.time + RETRY;
        let query = Query::new(key, VALUES).value(kept.value.clone()).commit().discard_replies();
        if let Ok(query) = cx.query(query) {
            self.tasks.insert(query, Task::Put(key));
        }
    }

    fn on_put(&mut self, cx: &mut Cx<'_>, key: Id, outcome: &Outcome) {
        let Some(kept) = self.values.get(&key).cloned() else { return };
        if outcome.commit.unwrap_or_default().succeeded < ENOUGH {
            return; // It is due again soon.
        }
        if kept.own {
            self.notes.push(Note::Stored { key });
        } else if is_outside(cx.node.id(), outcome, &key) {
            self.values.remove(&key);
            return;
        }
        self.keep(cx, kept.value, kept.own);
    }

    fn get(&mut self, cx: &mut Cx<'_>, key: Id, since: Micros, tries: u32) {
        if self.values.contains_key(&key) {
            self.notes.push(Note::Read { key, since, found: true });
        } else if let Ok(query) = cx.query(Query::new(key, VALUES)) {
            self.tasks.insert(query, Task::Get { key, since, tries });
        }
    }
}

/// Whether 20 other nodes are closer to the key, and so are the ones to keep it.
fn is_outside(ours: Option<Id>, outcome: &Outcome, key: &Id) -> bool {
    let last = outcome.closest.get(K - 1).and_then(|reply| reply.from.id);
    last.zip(ours).is_some_and(|(last, ours)| last.distance(key) < ours.distance(key))
}

impl App for Store {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        let answer = match (request.command, request.target, request.value) {
            (VALUES, Some(key), None) => match self.values.get(&key) {
                Some(kept) => Answer::value(kept.value.clone()),
                None => Answer::empty(),
            },
            // A writer on its way to the closest nodes: it gets the token that it has to come with.
            (VALUES, Some(_), Some(_)) if request.token.is_none() => Answer::empty(),
            (VALUES, Some(key), Some(value)) => {
                let room = self.values.len() < VALUES_MAX || self.values.contains_key(&key);
                if room && hash(value) == key {
                    self.keep(cx, Bytes::copy_from_slice(value), false);
                    Answer::empty()
                } else {
                    Answer::error(REFUSED)
                }
            }
            _ => Answer::error(error_code::UNKNOWN_COMMAND),
        };
        cx.reply(request, answer);
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {
        match *event {
            Event::Ready => {
                let first = cx.rng.below(TICK);
                cx.wake_after(first, 0);
            }
            Event::Reply(query) => {
                let Some(&Task::Get { key, since, .. }) = self.tasks.get(&query) else { return };
                while let Some(reply) = cx.node.next_reply(query) {
                    if reply.value.is_some_and(|value| hash(&value) == key) {
                        self.notes.push(Note::Read { key, since, found: true });
                        self.tasks.remove(&query);
                        return cx.node.cancel_query(cx.now, query);
                    }
                }
            }
            Event::Finished(query) => {
                let Some(task) = self.tasks.remove(&query) else { return };
                let outcome = cx.node.take_outcome(query).and_then(Result::ok).unwrap_or_default();
                match task {
                    Task::Put(key) => self.on_put(cx, key, &outcome),
                    Task::Get { key, since, tries } if tries < TRIES => {
                        self.get(cx, key, since, tries + 1);
                    }
                    Task::Get { key, since, .. } => {
                        self.notes.push(Note::Read { key, since, found: false });
                    }
                }
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, token: u64) {
        cx.wake_after(TICK, token);
        if cx.rng.chance(0.02) {
            if let Some(value) = self.to_put.take() {
                let key = hash(&value);
                self.keep(cx, value, true);
                self.put(cx, key);
            }
        }
        let due = self.values.iter().filter(|(_, kept)| kept.due <= cx.time);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.put(cx, key);
        }
        if cx.rng.chance(0.04) {
            let at = cx.rng.below(self.links.len() as u64) as usize;
            self.look_for(cx, self.links[at]);
        }
    }

    fn on_restart(&mut self, how: Return) {
        self.tasks.clear();
        if how == Return::Anew {
            // Another machine for the same user, who knows what he has seen and still wants to put.
            self.values.clear();
        }
    }
}
