//! What single nodes sent and received, for people: a timeline, captures for Wireshark.

use std::collections::BTreeSet;
use std::io;

use dht_core::Event;
use dht_sim::atomic_file::AtomicFile;
use dht_sim::pcap::Capture;
use dht_sim::scenario::FaultKind;
use dht_sim::timeline::{Sort, Timeline};
use dht_sim::{Direction, HostId, Micros, Run, Scenario, Tapped, What};

use crate::args::Output;
use crate::failure::{Failure, because};

/// A timeline is for reading.
const ENTRIES: usize = 10_000;

/// All that is recorded of single nodes.
#[derive(Debug)]
pub(crate) struct Records {
    timeline: Option<(HostId, Timeline)>,
    captures: Vec<(HostId, Capture<AtomicFile>)>,
    tapped: BTreeSet<HostId>,
}

impl Records {
    /// Opens all files, so that what can't be written is said now and not after the run.
    pub(crate) fn new(args: &Output, scenario: &Scenario) -> Result<Self, Failure> {
        let crowds = scenario.faults.iter().map(|fault| match fault.what {
            FaultKind::FlashCrowd { nodes, .. } => nodes,
            _ => 0,
        });
        let hosts = crowds.fold(scenario.nodes, u32::saturating_add);
        let of_captures = args.pcap.iter().map(|(host, _)| *host);
        let tapped: BTreeSet<_> = args.timeline.into_iter().chain(of_captures).collect();
        if let Some(HostId(host)) = tapped.last().filter(|HostId(host)| *host >= hosts) {
            return Err(because(format!("there is no host {host}: the last one is {}", hosts - 1)));
        }
        let mut captures = Vec::new();
        for (host, path) in &args.pcap {
            captures.push((*host, Capture::new(AtomicFile::create(path)?)?));
        }
        let timeline = args.timeline.map(|host| (host, Timeline::new(ENTRIES)));
        Ok(Self { timeline, captures, tapped })
    }

    /// From now on all is recorded.
    pub(crate) fn begin(&self, run: &mut Run) {
        self.tapped.iter().for_each(|host| run.sim_mut().tap(*host));
    }

    /// Takes what was recorded since the last time.
    pub(crate) fn take(&mut self, run: &mut Run) -> io::Result<()> {
        for host in &self.tapped {
            for tapped in run.sim_mut().take_tapped(*host) {
                if let Some((_, timeline)) = self.timeline.as_mut().filter(|(of, _)| of == host) {
                    add(timeline, &tapped);
                }
                let What::Datagram { from, to, ref bytes, .. } = tapped.what else { continue };
                for (_, capture) in self.captures.iter_mut().filter(|(of, _)| of == host) {
                    capture.packet(tapped.at, from, to, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Ends all files, and gives the lines of the timeline, whose times count from `origin`.
    pub(crate) fn finish(self, origin: Micros) -> io::Result<Vec<String>> {
        for (_, capture) in self.captures {
            capture.finish()?.commit()?;
        }
        Ok(self.timeline.map_or_else(Vec::new, |(_, timeline)| timeline.lines(origin)))
    }
}

fn add(timeline: &mut Timeline, tapped: &Tapped) {
    match &tapped.what {
        What::Datagram { direction: Direction::Out, to, bytes, .. } => {
            timeline.datagram(tapped.at, Sort::Sent, *to, bytes);
        }
        What::Datagram { direction: Direction::In, from, bytes, .. } => {
            timeline.datagram(tapped.at, Sort::Received, *from, bytes);
        }
        What::Event(event) => timeline.event(tapped.at, event_text(event)),
    }
}

fn event_text(event: &Event) -> String {
    match event {
        Event::Listening => "listens".to_owned(),
        Event::Ready => "has bootstrapped".to_owned(),
        Event::BootstrapSilent { asked, .. } => format!("none of {asked} answered at first"),
        Event::Persistent => "is persistent: others may know it".to_owned(),
        Event::Ephemeral => "is ephemeral".to_owned(),
        Event::NatUpdate { host: Some(host), port } => {
            format!("sees itself at {host}, port {port}")
        }
        Event::NodeAdded(addr) => format!("knows {addr}"),
        Event::NodeRemoved(addr) => format!("forgets {addr}"),
        other => format!("{other:?}"),
    }
}
