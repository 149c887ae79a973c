//! What single nodes sent and received, for people: a timeline, captures for Wireshark.

use std::collections::BTreeSet;
use std::io;

use dht_core::Event;
use dht_sim::atomic_file::AtomicFile;
use dht_sim::pcap::Capture;
use dht_sim::timeline::{Sort, Timeline};
use dht_sim::{Direction, HostId, Run, Scenario, Tapped, What};

use crate::args::Output;
use crate::failure::{Failure, because, origin_text};

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
    /// Refuses hosts that there won't be.
    pub(crate) fn check(args: &Output, scenario: &Scenario) -> Result<(), Failure> {
        let HostId(last) = scenario.last_host();
        match tapped(args).last() {
            Some(HostId(host)) if *host > last => {
                Err(because(format!("there is no host {host}: the last one is {last}")))
            }
            _ => Ok(()),
        }
    }

    /// Opens all files.
    pub(crate) fn new(args: &Output) -> Result<Self, Failure> {
        let tapped = tapped(args);
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

    /// Ends all files, and gives the lines of the timeline.
    pub(crate) fn finish(self, scenario: &Scenario) -> io::Result<Vec<String>> {
        for (_, capture) in self.captures {
            capture.finish()?.commit()?;
        }
        let Some((HostId(host), timeline)) = self.timeline else { return Ok(Vec::new()) };
        let mut lines = vec![format!("Host {host}: {}.", origin_text(scenario))];
        lines.extend(timeline.lines(0));
        Ok(lines)
    }
}

fn tapped(args: &Output) -> BTreeSet<HostId> {
    let of_captures = args.pcap.iter().map(|(host, _)| *host);
    args.timeline.into_iter().chain(of_captures).collect()
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
