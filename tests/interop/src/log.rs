//! Every line an agent has said, in order, and waiting for the one that matters.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take. Generous: machines that test are busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How many of the last lines are shown when something did not happen.
const SHOWN: usize = 40;

#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Mutex<Lines>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<Value>,
    /// Op id to position of its answer.
    answers: BTreeMap<u64, usize>,
    /// The agent has closed its output: nothing will follow.
    ended: bool,
}

impl Log {
    pub(crate) fn push(&self, line: Value) {
        let mut lines = self.lock();
        let position = lines.all.len();
        if let Some(id) = line["id"].as_u64().filter(|_| line.get("event").is_none()) {
            let before = lines.answers.insert(id, position);
            assert!(before.is_none(), "a second answer: {line}");
        }
        lines.all.push(line);
        self.grown.notify_all();
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.grown.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Where the answer to an op stands, and the answer.
    pub(crate) fn answer(&self, id: u64) -> (usize, Value) {
        self.wait(&format!("an answer to op {id}"), |lines| {
            let position = *lines.answers.get(&id)?;
            Some((position, lines.all[position].clone()))
        })
    }

    /// The first line at `from` or later that `fits`.
    pub(crate) fn find(
        &self,
        from: usize,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> (usize, Value) {
        let mut next = from;
        self.wait(what, |lines| {
            while let Some(line) = lines.all.get(next) {
                if fits(line) {
                    return Some((next, line.clone()));
                }
                next += 1;
            }
            None
        })
    }

    /// All lines so far that `fit`.
    pub(crate) fn all(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lock().all.iter().filter(|line| fits(line)).cloned().collect()
    }

    /// The line at `position`, as soon as there is one; `None` once the agent is gone.
    pub(crate) fn at(&self, position: usize) -> Option<Value> {
        let mut lines = self.lock();
        loop {
            if let Some(line) = lines.all.get(position) {
                return Some(line.clone());
            }
            if lines.ended {
                return None;
            }
            lines = self.grown.wait(lines).expect("the log");
        }
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Lines) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = self.lock();
        loop {
            if let Some(found) = look(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                let from = lines.all.len().saturating_sub(SHOWN);
                let tail: Vec<_> = lines.all[from..].iter().map(Value::to_string).collect();
                let why = if lines.ended { "the agent ended" } else { "too late" };
                drop(lines);
                panic!("{why}, waiting for {what}; its last lines:\n{}", tail.join("\n"));
            }
            lines = self.grown.wait_timeout(lines, left).expect("the log").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("the log")
    }
}
