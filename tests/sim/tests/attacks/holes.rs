//! Black holes: hosts that answer PINGs, so that they enter tables, and nothing of what a table is for.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use dht_core::{Id, wire};
use dht_sim::{Actor, ActorCx, Datagram, HostId};

use super::network::*;

/// The number of hosts, each in a /24 of its own.
const HOLES: u8 = 15;

/// Introduces all of its nodes to all of the honest ones, one after the other, again and again.
#[derive(Clone)]
struct Holes {
    nodes: Vec<SocketAddrV4>,
    targets: Vec<SocketAddrV4>,
    turn: usize,
}

impl Actor for Holes {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        cx.wake_after(1, 0);
    }

    fn on_packet(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        let Ok(wire::Message::Request(request)) = wire::decode(bytes) else { return };
        if !request.internal || request.command != 0 {
            return;
        }
        let id = Id::of(to).0;
        let response = wire::Response {
            tid: request.tid,
            to: from,
            id: Some(&id),
            token: None,
            closer_nodes: None,
            error: 0,
            value: None,
        };
        let mut buf = vec![0; response.encoded_len()];
        response.encode(&mut buf).unwrap();
        cx.send(to, from, buf);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        let count = self.nodes.len();
        let (node, to) =
            (self.nodes[self.turn % count], self.targets[self.turn / count % self.targets.len()]);
        self.turn += 1;
        let id = Id::of(node).0;
        let request = wire::Request {
            tid: cx.rng.next() as u16,
            to,
            id: Some(&id),
            token: None,
            internal: true,
            command: 0,
            target: None,
            value: None,
        };
        let mut buf = vec![0; request.encoded_len()];
        request.encode(&mut buf).unwrap();
        cx.send(node, to, buf);
        cx.wake_after(20_000, 0);
    }
}

#[test]
fn black_holes_are_found_out_and_do_not_come_back() {
    let mut sim = settled();
    let ips: Vec<_> = (1..=HOLES).map(ip).collect();
    let nodes: Vec<_> = ips.iter().map(|ip| SocketAddrV4::new(*ip, 4_000)).collect();
    let evil: BTreeSet<_> = nodes.iter().copied().collect();
    let targets = addrs(&sim);
    sim.add_actor(&ips, Holes { nodes, targets, turn: 0 });
    let mut share = |after| {
        sim.run_for(SECOND * after).unwrap();
        let known = (0..NODES).flat_map(|n| table(&sim, HostId(n)));
        let (bad, good): (Vec<_>, Vec<_>) = known.partition(|addr| evil.contains(addr));
        (bad.len(), good.len())
    };
    let (first, last) = (share(60), share(2 * 3_600 - 60));
    eprintln!("{HOLES} black holes have {first:?}, and after two hours {last:?} of all places");
    assert!(first.0 > 60, "they were in tables: {first:?}");
    assert!(last.0 * 100 <= last.1 && last.1 >= first.1, "{last:?}");
}
