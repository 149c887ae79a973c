//! What a query that stores makes of tokens and answers, as seen from outside: it shows each node the token
//! that this node gave it last, a second time only if the token was refused, and counts a commit as a success only
//! if it was answered as one.
//!
//! It looks at queries for [`STORE`] that the simulator follows, each with a target of its own.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::error_code::INVALID_TOKEN;
use dht_core::{Id, QueryError};

use super::{echo::STORE, must, request, response};
use crate::sim::{Ended, Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros};

/// Who stores what, by its target.
type Key = (HostId, [u8; 32]);

/// What has passed between a host and a node about one target.
#[derive(Clone, Debug, Default)]
struct Talk {
    /// The transaction ids of requests that are not answered, and whether they are commits.
    open: Vec<(u16, bool)>,
    /// The last token that was given.
    token: Option<[u8; 32]>,
    /// Commits, and how the last one was answered.
    commits: u32,
    answer: Option<u64>,
}

/// All about one target.
#[derive(Clone, Debug)]
struct Store {
    begun: Micros,
    talks: BTreeMap<SocketAddrV4, Talk>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    stores: BTreeMap<Key, Store>,
    /// Whom a transaction id is about.
    targets: BTreeMap<(HostId, SocketAddrV4, u16), [u8; 32]>,
}

/// Stores that begun so long ago are forgotten, and how often it is looked for them.
const MEMORY: Micros = 120_000_000;
const TIDY: Micros = 15_000_000;
/// A commit goes once, and once more with a fresh token.
const COMMITS_MAX: u32 = 2;

impl Invariant for Commits {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Some(raw) = request(packet) else { return Ok(()) };
        let target = raw.target.and_then(|target| <[u8; 32]>::try_from(target).ok());
        let stores = !raw.internal && raw.command == STORE;
        let Some(target) = target.filter(|_| stores) else { return Ok(()) };
        let fresh = || Store { begun: sim.now(), talks: BTreeMap::new() };
        let store = self.stores.entry((host, target)).or_insert_with(fresh);
        let talk = store.talks.entry(packet.to).or_default();
        if talk.open.iter().any(|(tid, _)| *tid == raw.tid) {
            return Ok(()); // A retry: `requests` sees to it that it is the same.
        }
        self.targets.insert((host, packet.to, raw.tid), target);
        talk.open.push((raw.tid, raw.token.is_some()));
        must(raw.token == talk.token.as_ref().map(|token| &token[..]), || {
            let shown = if raw.token.is_some() { "another" } else { "no" };
            format!("{shown} token is shown to {}, not the one that it gave", packet.to)
        })?;
        talk.commits += u32::from(raw.token.is_some());
        let again = talk.commits > 1;
        must(!again || talk.answer == Some(INVALID_TOKEN), || {
            format!("a commit to {} again, after the answer {:?}", packet.to, talk.answer)
        })?;
        must(talk.commits <= COMMITS_MAX, || format!("commit {} to {}", talk.commits, packet.to))
    }

    fn received(&mut self, _: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Some(raw) = response(packet) else { return Ok(()) };
        let Some(target) = self.targets.remove(&(host, packet.from, raw.tid)) else {
            return Ok(());
        };
        let store = self.stores.get_mut(&(host, target));
        let talk = store.and_then(|store| store.talks.get_mut(&packet.from));
        let Some(talk) = talk else { return Ok(()) };
        let Some(at) = talk.open.iter().position(|(tid, _)| *tid == raw.tid) else {
            return Ok(());
        };
        let (_, is_commit) = talk.open.remove(at);
        talk.token = raw.token.and_then(|token| token.try_into().ok());
        if is_commit {
            talk.answer = Some(raw.error);
        }
        Ok(())
    }

    fn ended(&mut self, _: &Sim, host: HostId, target: &Id, result: Ended<'_>) -> Verdict {
        let Some(store) = self.stores.remove(&(host, target.0)) else { return Ok(()) };
        let commit = match result {
            Ok(outcome) => outcome.commit,
            Err(QueryError::Commit(commit)) => Some(*commit),
            Err(_) => None,
        };
        let Some(commit) = commit else {
            return must(result.is_err(), || "a store has ended well, without a commit".to_owned());
        };
        let answers = || store.talks.values().filter_map(|talk| talk.answer);
        let (taken, refused) =
            (answers().filter(|error| *error == 0), answers().filter(|e| *e > 0));
        let (taken, refused) = (taken.count(), refused.count());
        must(commit.succeeded as usize <= taken && commit.refused as usize <= refused, || {
            format!("{commit}, but {taken} said so, and {refused} refused")
        })
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.stores.retain(|(of, _), _| *of != host);
        self.targets.retain(|(of, ..), _| *of != host);
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        if sim.now().is_multiple_of(TIDY) {
            self.stores.retain(|_, store| sim.now() - store.begun < MEMORY);
            let Self { stores, targets } = self;
            targets.retain(|(host, ..), target| stores.contains_key(&(*host, *target)));
        }
        Ok(())
    }
}
