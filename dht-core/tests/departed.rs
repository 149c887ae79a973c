//! What becomes of nodes that have left: who finds it out, who is told, and when they are out of all tables.

mod support;

use std::time::Duration;

use dht_core::Query;
use support::net::{Net, target};

/// When the last of `gone` was out of a table, after so much more time at most.
fn gone_after(net: &mut Net, at: &[usize], gone: &[usize], most: Duration) -> Option<Duration> {
    let start = net.now;
    while net.now.saturating_since(start) < most {
        let knows = |net: &mut Net, at: usize| {
            let addrs: Vec<_> = gone.iter().map(|gone| net.server(*gone)).collect();
            net.node(at).nodes().any(|addr| addrs.contains(&addr))
        };
        if !at.iter().any(|at| knows(net, *at)) {
            return Some(net.now.saturating_since(start));
        }
        net.run_for(Duration::from_millis(100));
    }
    None
}

#[test]
fn figures() {
    for seed in 1..4 {
        let mut net = Net::network(seed, 16);
        net.run_for(Duration::from_secs(60));
        let gone = [11, 12, 13, 14, 15];
        gone.iter().for_each(|at| net.kill(*at));
        let start = net.now;
        let sent = net.sent;
        for n in 0..5 {
            let s = net.now;
            net.walk(3, Query::find_node(target(n))).1.unwrap();
            println!("lookup {:?}", net.now.saturating_since(s));
        }
        println!("lookups over after {:?}", net.now.saturating_since(start));
        println!("asker {:?}", gone_after(&mut net, &[3], &gone, Duration::from_secs(300)));
        println!(
            "all {:?} since start {:?}",
            gone_after(
                &mut net,
                &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
                &gone,
                Duration::from_secs(300)
            ),
            net.now.saturating_since(start)
        );
        let hints: u64 = (0..11).map(|at| net.node(at).stats().commands.down_hint.tx).sum();
        println!("hints {hints} sent {}", net.sent - sent);
    }
}
