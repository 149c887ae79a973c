//! How invariants are asked, and what happens once an invariant does not hold.

use super::{Invariant, Sim, Verdict, Violation, quiet};
use crate::world::HostId;

impl Sim {
    pub(super) fn verdict(&self) -> Result<(), Violation> {
        match &self.violation {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Whether any invariant has to see every datagram and event.
    pub(crate) fn is_watched(&self) -> bool {
        !self.invariants.is_empty()
    }

    /// Asks all invariants; the first that does not hold ends the run.
    pub(crate) fn ask(
        &mut self,
        host: Option<HostId>,
        mut question: impl FnMut(&mut dyn Invariant, &Self) -> Verdict,
    ) {
        let mut invariants = std::mem::take(&mut self.invariants);
        for invariant in &mut invariants {
            if let Err(message) = question(invariant.as_mut(), self) {
                self.violate(invariant.name(), host, message);
                break;
            }
        }
        // None is added meanwhile: they only look.
        self.invariants = invariants;
    }

    /// A host has gone down.
    pub(crate) fn ask_watchers_down(&mut self, host: HostId) {
        if self.is_watched() {
            self.ask(Some(host), |invariant, sim| invariant.down(sim, host));
        }
    }

    /// A host has dealt with something: what must hold is checked.
    pub(crate) fn check(&mut self, host: HostId) {
        if self.is_watched() {
            self.ask(Some(host), |invariant, sim| invariant.after(sim, host));
        }
        if !self.check_nodes {
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
        if self.violation.is_none() {
            self.violation = Some(Violation { host, ..self.violation(invariant, message) });
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
