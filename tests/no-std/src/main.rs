//! The proof that the core needs no std: a binary that has none runs eight nodes.
//!
//! They live in memory and virtual time: one is the bootstrap node, the others join; one asks,
//! and stores a value that another looks up, and then all go on for ten minutes. The exit code
//! is 0 if all went well, else the number of what did not, or 101 for a panic. See `run`.
//!
//! Standard output gets a line for each datagram: when, from where, to where, its bytes. These
//! lines have to be the same on every machine, and when the nodes run in WebAssembly with their
//! datagrams carried by JavaScript: `wasm.mjs` tells the same story. See `targets`.

#![no_std]
#![no_main]

extern crate alloc;

mod bare;
mod heap;
mod net;
mod peer;

use core::time::Duration;

use bare::{ERR, OUT};
use net::{Line, Net};
use peer::server;

fn main() -> i32 {
    match story() {
        Ok(()) => 0,
        Err(step) => step,
    }
}

fn story() -> Result<(), i32> {
    let mut net = Net::new(|line| bare::write(OUT, line)).ok_or(1)?;
    net.run_until(|net| net.peers.iter().all(peer::Peer::settled)).ok_or(2)?;

    check(net.peers[1].echo(net.now, server(0), b"hello"), 3)?;
    let mut echoed = None;
    net.run_until(|net| {
        echoed = net.peers[1].echoed();
        echoed.is_some()
    });
    check(echoed.is_some_and(|value| value == "hello"), 4)?;

    check(net.peers[1].store(net.now, b"value"), 5)?;
    check(net.query(1) == Some(7), 6)?;
    check(net.peers[2].find(net.now), 7)?;
    check(net.query(2) == Some(0), 8)?;
    check(net.peers[2].found() == b"value", 9)?;

    let used = heap::used();
    let end = net.now + Duration::from_secs(600);
    net.run_until(|net| net.now >= end).ok_or(10)?;
    check(net.peers.iter().all(peer::Peer::settled), 11)?;
    check(heap::used() <= used + (16 << 10), 12)?;

    let mut line = Line::default();
    line.text("eight nodes, ").number(heap::used() as u64).text(" bytes of heap at most\n");
    bare::write(ERR, line.as_bytes());
    Ok(())
}

fn check(is_so: bool, step: i32) -> Result<(), i32> {
    if is_so { Ok(()) } else { Err(step) }
}
