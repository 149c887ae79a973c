//! A settled network as a file: the routing table of each node, as a node saves it in production, and the scenario
//! that it was a part of. A run that loads it spares the time of joining.
//!
//! It is no picture of a process: nodes that are loaded start anew, with new secrets and nothing
//! under way; see [`Run::load`]. For an exact copy, clone a [`Run`].
//!
//! The format: 8 bytes that say what it is, the version (4 bytes, least first as all numbers), how
//! long the rest is (8), the scenario as JSON after its length (4), the number of hosts (4), for each
//! host the number of its table's entries and these, and at the end the XXH3 of all that (8). An entry
//! is an address (4 bytes and 2) and how many seconds ago it was heard of and added. Numbers within
//! tables have seven bits per byte, the last of which is below 128.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::SavedNode;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::Run;
use crate::scenario::{Impossible, Scenario};
use crate::world::HostId;

/// The version that is written, and the only version that is read.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"dht-snap";
/// What is there before the rest whose length is known.
const HEAD: usize = 8 + 4 + 8;
const CHECKSUM: usize = 8;

/// The tables of all nodes, packed: some 9 bytes per entry.
///
/// ```
/// use dht_sim::{Run, Scenario, Snapshot};
///
/// let scenario = Scenario { nodes: 20, lookups: 0, run_us: 0, ..Scenario::default() };
/// let mut run = Run::new(scenario.clone())?;
/// run.finish()?;
/// let mut file = Vec::new();
/// Snapshot::of(&run).write(&mut file)?;
/// let mut again = Run::load(scenario, Snapshot::parse(&file)?)?;
/// again.finish()?;
/// assert_eq!(again.sim().persistent_count(), 20);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    scenario: Scenario,
    tables: Vec<u8>,
    /// Where the table of each host ends.
    ends: Vec<usize>,
}

/// Why something is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is something else.
    #[error("this is no snapshot of a network")]
    Other,
    /// It is a snapshot of another version.
    #[error("a snapshot of version {0}, but only version {VERSION} is known")]
    Version(u32),
    /// Its end is missing.
    #[error("the snapshot is cut short: {has} bytes of {needs}")]
    Short {
        /// How many bytes there are.
        has: u64,
        /// How many there should be.
        needs: u64,
    },
    /// There is more than there should be.
    #[error("something else follows the snapshot")]
    Long,
    /// Its checksum does not fit.
    #[error("the snapshot is damaged: its checksum does not fit")]
    Damaged,
    /// Its checksum fits, but what it says makes no sense.
    #[error("the snapshot makes no sense: {0}")]
    Nonsense(&'static str),
}

impl Snapshot {
    /// Saves the tables of a run's nodes. Best at the end of settling, before the third phase: nodes
    /// that came back with new addresses meanwhile won't be found there again.
    pub fn of(run: &Run) -> Self {
        let (scenario, sim) = (run.scenario().clone(), run.sim());
        let (mut tables, mut ends) = (Vec::new(), Vec::new());
        for host in (0..scenario.nodes.min(sim.hosts())).map(HostId) {
            let table = sim.saved_table(host);
            put(&mut tables, table.len() as u64);
            for node in table {
                tables.extend_from_slice(&node.addr.ip().octets());
                tables.extend_from_slice(&node.addr.port().to_le_bytes());
                put(&mut tables, node.pinged.as_secs());
                put(&mut tables, node.added.as_secs());
            }
            ends.push(tables.len());
        }
        Self { scenario, tables, ends }
    }

    /// The scenario that it was saved in.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The table of a host; empty if there is no such host.
    pub fn table(&self, host: HostId) -> Vec<SavedNode> {
        let end = self.ends.get(host.index()).copied().unwrap_or(0);
        let start = host.index().checked_sub(1).and_then(|at| self.ends.get(at)).copied();
        let mut from = self.tables.get(start.unwrap_or(0)..end).unwrap_or_default();
        // What was read was looked at.
        let count = take(&mut from).unwrap_or(0);
        (0..count).map_while(|_| take_node(&mut from)).collect()
    }

    /// Refuses a scenario whose nodes have other addresses.
    ///
    /// # Errors
    /// What is different.
    pub fn check_fits(&self, scenario: &Scenario) -> Result<(), Impossible> {
        let Scenario { seed, nodes, bootstraps, ref nats, addresses, .. } = self.scenario;
        let other_seed = seed != scenario.seed;
        let (wants, wants_bootstraps) = (scenario.nodes, scenario.bootstraps);
        let what = if nodes != wants {
            format!("has {nodes} nodes, not {wants}")
        } else if bootstraps != wants_bootstraps {
            format!("has {bootstraps} bootstrap nodes, not {wants_bootstraps}")
        } else if *nats != scenario.nats {
            "has other NATs".to_owned()
        } else if addresses != scenario.addresses {
            "has addresses from another model".to_owned()
        } else if other_seed && !nats.is_empty() {
            format!("has NATs where seed {seed} puts them: use that seed")
        } else if other_seed && addresses.is_some() {
            format!("has hosts where seed {seed} puts them: use that seed")
        } else {
            return Ok(());
        };
        Err(Impossible(format!("the snapshot {what}")))
    }

    /// Writes it.
    ///
    /// # Errors
    /// Errors of `to`.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let header = serde_json::to_vec(&self.scenario).map_err(io::Error::other)?;
        let rest = 4 + header.len() + 4 + self.tables.len() + CHECKSUM;
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((rest as u64).to_le_bytes());
        head.extend((header.len() as u32).to_le_bytes());
        head.extend(header);
        head.extend((self.ends.len() as u32).to_le_bytes());
        let mut hash = Xxh3::new();
        for part in [&head, &self.tables] {
            hash.update(part);
            to.write_all(part)?;
        }
        to.write_all(&hash.digest().to_le_bytes())?;
        to.flush()
    }

    /// Reads one from all bytes of a file.
    ///
    /// # Errors
    /// If it is not one, or not as it was written.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let magic = bytes.len().min(MAGIC.len());
        if bytes.get(..magic) != MAGIC.get(..magic) || bytes.is_empty() {
            return Err(SnapshotError::Other);
        }
        let has = bytes.len() as u64;
        let short = |needs: u64| SnapshotError::Short { has, needs };
        let least = HEAD as u64;
        let mut rest = bytes.get(MAGIC.len()..).ok_or(short(least))?;
        let version = fixed(&mut rest).map(u32::from_le_bytes).ok_or(short(least))?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let len = fixed(&mut rest).map(u64::from_le_bytes).ok_or(short(least))?;
        let needs = least.saturating_add(len);
        match has.cmp(&needs) {
            std::cmp::Ordering::Less => return Err(short(needs)),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return Err(SnapshotError::Long),
        }
        let (hashed, checksum) =
            bytes.split_last_chunk::<CHECKSUM>().ok_or(SnapshotError::Damaged)?;
        if xxh3_64(hashed) != u64::from_le_bytes(*checksum) {
            return Err(SnapshotError::Damaged);
        }
        hashed
            .get(HEAD..)
            .and_then(parse_rest)
            .ok_or(SnapshotError::Nonsense("somebody has made its checksum fit"))?
    }
}

/// What follows the length. `None`: it ends too soon.
fn parse_rest(mut rest: &[u8]) -> Option<Result<Snapshot, SnapshotError>> {
    let header = u32::from_le_bytes(fixed(&mut rest)?) as usize;
    let header = rest.split_off(..header)?;
    let Ok(scenario) = serde_json::from_slice::<Scenario>(header) else {
        return Some(Err(SnapshotError::Nonsense("its scenario can't be read")));
    };
    let hosts = u32::from_le_bytes(fixed(&mut rest)?);
    if hosts != scenario.nodes {
        return Some(Err(SnapshotError::Nonsense("it has not as many tables as nodes")));
    }
    let tables = rest;
    let mut ends = Vec::new();
    for _ in 0..hosts {
        for _ in 0..take(&mut rest)? {
            take_node(&mut rest)?;
        }
        ends.push(tables.len() - rest.len());
    }
    if !rest.is_empty() {
        return Some(Err(SnapshotError::Nonsense("something follows its last table")));
    }
    Some(Ok(Snapshot { scenario, tables: tables.to_vec(), ends }))
}

fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        to.push(number as u8 | 128);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

fn take_node(from: &mut &[u8]) -> Option<SavedNode> {
    let ip = Ipv4Addr::from(fixed::<4>(from)?);
    let addr = SocketAddrV4::new(ip, u16::from_le_bytes(fixed(from)?));
    let (pinged, added) = (take(from)?, take(from)?);
    let [pinged, added] = [pinged, added].map(Duration::from_secs);
    Some(SavedNode { addr, pinged, added })
}

fn fixed<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::NatGroup;
    use crate::world::SECOND;
    use crate::world::nat::Nat;

    fn scenario() -> Scenario {
        Scenario {
            nodes: 12,
            join_over_us: 12 * SECOND,
            settle_us: 300 * SECOND,
            run_us: 30 * SECOND,
            lookups: 30,
            ..Scenario::default()
        }
    }

    fn settled(scenario: Scenario) -> Run {
        let mut run = Run::new(scenario).unwrap();
        run.run_to(run.scenario().run_from() - 1).unwrap();
        run
    }

    fn written(snapshot: &Snapshot) -> Vec<u8> {
        let mut bytes = Vec::new();
        snapshot.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let run = settled(scenario());
        let snapshot = Snapshot::of(&run);
        let bytes = written(&snapshot);
        let read = Snapshot::parse(&bytes).unwrap();
        assert_eq!(read, snapshot);
        for host in (0..12).map(HostId) {
            assert_eq!(read.table(host), run.sim().saved_table(host));
            assert_eq!(read.table(host).len(), 11);
        }
        assert_eq!(read.table(HostId(12)), []);
        // Ages of more than two minutes take more than a byte.
        assert!(read.table(HostId(3)).iter().any(|node| node.added.as_secs() > 128));
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = written(&Snapshot::of(&settled(scenario())));
        for len in 1..bytes.len() {
            let error = Snapshot::parse(&bytes[..len]).unwrap_err();
            assert!(matches!(error, SnapshotError::Short { .. }), "{len}: {error}");
        }
        assert_eq!(Snapshot::parse(&[]), Err(SnapshotError::Other));
        let more = [&bytes[..], b"\n"].concat();
        assert_eq!(Snapshot::parse(&more), Err(SnapshotError::Long));
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let bytes = written(&Snapshot::of(&settled(scenario())));
        for at in 0..bytes.len() {
            for xor in [1, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= xor;
                Snapshot::parse(&bytes).unwrap_err();
            }
        }
        let mut other = bytes.clone();
        other[8] = 2;
        assert_eq!(Snapshot::parse(&other), Err(SnapshotError::Version(2)));
        assert_eq!(Snapshot::parse(b"#!/bin/sh\nexit\n"), Err(SnapshotError::Other));
    }

    /// A file made on purpose, with a checksum that fits, may give an error or a snapshot, but nothing worse.
    #[test]
    fn no_bytes_do_harm() {
        let bytes = written(&Snapshot::of(&settled(Scenario { nodes: 3, ..scenario() })));
        for at in 0..bytes.len() - CHECKSUM {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                let end = bytes.len() - CHECKSUM;
                let hash = xxh3_64(&bytes[..end]);
                bytes[end..].copy_from_slice(&hash.to_le_bytes());
                if let Ok(snapshot) = Snapshot::parse(&bytes) {
                    (0..4).map(HostId).for_each(|host| drop(snapshot.table(host)));
                }
            }
        }
    }

    #[test]
    fn a_loaded_network_is_as_good() {
        let snapshot = Snapshot::of(&settled(Scenario { nodes: 200, ..scenario() }));
        let loaded = Scenario {
            nodes: 200,
            seed: 2,
            join_over_us: SECOND,
            settle_us: 4 * SECOND,
            ..scenario()
        };
        let mut run = Run::load(loaded.clone(), snapshot.clone()).unwrap();
        run.run_to(5 * SECOND).unwrap();
        let size = |host| run.sim().node(host).map_or(0, dht_core::Node::table_len);
        for host in (0..200).map(HostId) {
            let saved = snapshot.table(host).len();
            assert!(size(host) * 10 >= saved * 9, "{host:?}: {} of {saved}", size(host));
        }
        assert_eq!(run.sim().persistent_count(), 200);
        let sent = run.sim().counts().sent;
        assert!(sent < 2_000, "{sent}: joining would be much more");
        run.finish().unwrap();
        assert!(run.tally().recall() > 0.99, "{}", run.tally().recall());
        let mut again = Run::load(loaded, snapshot).unwrap();
        again.finish().unwrap();
        assert_eq!(run.sim().trace_hash(), again.sim().trace_hash());
    }

    #[test]
    fn another_network_is_refused() {
        let nats = vec![NatGroup { part: 0.3, share: 1, nat: Nat::default() }];
        let plain = Snapshot::of(&settled(scenario()));
        let behind = Snapshot::of(&settled(Scenario { nats: nats.clone(), ..scenario() }));
        let refused = |snapshot: &Snapshot, scenario| {
            Run::load(scenario, snapshot.clone()).unwrap_err().to_string()
        };
        let nodes = Scenario { nodes: 13, ..scenario() };
        assert_eq!(refused(&plain, nodes), "the snapshot has 12 nodes, not 13");
        let bootstraps = Scenario { bootstraps: 2, ..scenario() };
        assert_eq!(refused(&plain, bootstraps), "the snapshot has 1 bootstrap nodes, not 2");
        assert_eq!(refused(&behind, scenario()), "the snapshot has other NATs");
        let addresses = Some(crate::world::addresses::Addresses::default());
        let shared = Scenario { addresses, ..scenario() };
        let said = "the snapshot has addresses from another model";
        assert_eq!(refused(&plain, shared.clone()), said);
        let saved = Snapshot::of(&settled(shared.clone()));
        let said = "the snapshot has hosts where seed 1 puts them: use that seed";
        assert_eq!(refused(&saved, Scenario { seed: 2, ..shared.clone() }), said);
        Run::load(shared, saved).unwrap();
        let seed = Scenario { nats: nats.clone(), seed: 2, ..scenario() };
        let said = "the snapshot has NATs where seed 1 puts them: use that seed";
        assert_eq!(refused(&behind, seed), said);
        Run::load(Scenario { nats, ..scenario() }, behind).unwrap();
        Run::load(Scenario { seed: 2, ..scenario() }, plain).unwrap();
    }
}
