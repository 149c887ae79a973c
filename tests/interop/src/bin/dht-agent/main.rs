//! The agent: drives nodes of this library for a caller in another process, by JSON lines.
//!
//! The protocol is described in `agent-protocol.md`. The agent is single-threaded: all
//! complete lines at hand are taken before the nodes get to run again.
//! `--runtime tokio|smol`: which adapter its nodes have; tokio's if nothing is said.

mod agent;
mod failure;
mod fields;
mod node;
mod ops;
mod options;
mod say;

use std::io;

use tokio::io::AsyncReadExt;

use agent::{Adapter, Agent};

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 65_536;

fn main() -> io::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let adapter = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--runtime", "tokio"] => Adapter::Tokio,
        ["--runtime", "smol"] => Adapter::Smol,
        _ => return Err(io::Error::other("usage: dht-agent [--runtime tokio|smol]")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run(adapter))
}

async fn run(adapter: Adapter) -> io::Result<()> {
    let mut agent = Agent::new(adapter);
    let mut input = tokio::io::stdin();
    let mut unread = Vec::new();
    loop {
        unread.reserve(CHUNK);
        if input.read_buf(&mut unread).await? == 0 {
            break;
        }
        let Some(end) = unread.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        let rest = unread.split_off(end + 1);
        for line in unread.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
        {
            agent.take(line);
        }
        unread = rest;
    }
    agent.end().await;
    Ok(())
}
