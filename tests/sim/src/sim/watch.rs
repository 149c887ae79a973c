//! How invariants are asked, and what happens once an invariant does not hold.

use std::any::Any;

use super::{Invariant, Sim, Verdict, Violation, quiet};
use crate::world::{HostId, Micros, SECOND};

/// The invariants, and the first violation.
#[derive(Clone, Default)]
pub(super) struct Watch {
    invariants: Vec<Box<dyn Invariant>>,
    check_nodes: bool,
    violation: Option<Violation>,
    /// When invariants are asked about the second that has passed.
    next_second: Micros,
}

impl Watch {
    /// When that is, if it is by `end`.
    pub(super) fn next_second(&self, end: Micros) -> Option<Micros> {
        let due = self.next_second <= end && !self.invariants.is_empty();
        due.then_some(self.next_second)
    }
}

impl Sim {
    /// Adds an invariant.
    pub fn add_invariant(&mut self, invariant: impl Invariant) {
        self.add_boxed_invariant(Box::new(invariant));
    }

    /// Adds an invariant that is boxed already.
    pub fn add_boxed_invariant(&mut self, invariant: Box<dyn Invariant>) {
        if self.watch.invariants.is_empty() {
            // No invariant was asked about the seconds before.
            self.watch.next_second = (self.now / SECOND + 1) * SECOND;
        }
        self.watch.invariants.push(invariant);
    }

    /// Has each node check itself: bounds and counters after everything that it has handled, and all of its
    /// state after every eighth: with requests under way, as many later as there are of these.
    pub fn check_nodes(&mut self, on: bool) {
        self.watch.check_nodes = on;
    }

    /// An invariant, if there is one of this type.
    pub fn invariant<I: Invariant>(&self) -> Option<&I> {
        self.watch.invariants.iter().find_map(|invariant| {
            let invariant: &dyn Any = invariant.as_ref();
            invariant.downcast_ref()
        })
    }

    /// A second has passed.
    pub(super) fn check_second(&mut self) {
        self.now = self.now.max(self.watch.next_second);
        self.watch.next_second += SECOND;
        self.ask(None, |invariant, sim| invariant.every_second(sim));
    }

    pub(super) fn verdict(&self) -> Result<(), Violation> {
        match &self.watch.violation {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Asks all invariants; the first that does not hold ends the run.
    pub(crate) fn ask(
        &mut self,
        host: Option<HostId>,
        mut question: impl FnMut(&mut dyn Invariant, &Self) -> Verdict,
    ) {
        let mut invariants = std::mem::take(&mut self.watch.invariants);
        for invariant in &mut invariants {
            if let Err(message) = question(invariant.as_mut(), self) {
                self.violate(invariant.name(), host, message);
                break;
            }
        }
        // None is added meanwhile: they only look.
        self.watch.invariants = invariants;
    }

    /// A host has dealt with something: what must hold is checked.
    pub(crate) fn check(&mut self, host: HostId) {
        self.ask(Some(host), |invariant, sim| invariant.after(sim, host));
        if !self.watch.check_nodes {
            return;
        }
        let at = &mut self.hosts[host.index()];
        let Some(node) = at.node.as_deref() else { return };
        at.unchecked += 1;
        // The more is under way, the more there is to look at, so the less often.
        let all = u64::from(at.unchecked) >= CHECK_EVERY + node.stats().requests.active;
        if all {
            at.unchecked = 0;
        }
        let check = || if all { node.check_invariants() } else { node.check_counters() };
        if let Err(message) = quiet::catch(check) {
            self.violate("node state", Some(host), message);
        }
    }

    pub(crate) fn violate(&mut self, invariant: &str, host: Option<HostId>, message: String) {
        if self.watch.violation.is_none() {
            self.watch.violation = Some(Violation { host, ..self.violation(invariant, message) });
        }
    }

    /// What is to be said of something that does not hold now.
    pub fn violation(&self, invariant: &str, message: String) -> Violation {
        Violation {
            invariant: invariant.to_owned(),
            message,
            host: None,
            at: self.now,
            seed: self.seed,
            trace: self.trace.hash(),
        }
    }
}

/// A node's whole state is looked at after every eighth thing that it handles, or as many later as it has requests
/// under way; its counters after each. A fault inside seldom rights itself, and a look at the whole state each time
/// would make a run with everything checked three times as long.
const CHECK_EVERY: u64 = 8;
