//! Pings a node: `ping [address:port]`, by default a node that it starts itself on loopback.
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let other = dht_smol::builder().host(Ipv4Addr::LOCALHOST).spawn()?;
    let node = dht_smol::builder().spawn()?;
    other.listening().await?;

    let to: SocketAddrV4 = match std::env::args().nth(1) {
        Some(addr) => addr.parse()?,
        None => other.server_address().ok_or("not bound")?,
    };
    for size in [0, 500, 1000] {
        let reply = node.ping_with(to, size, 0).await?;
        println!("{to} answered {size} bytes in {:?} and sees us at {}", reply.rtt, reply.seen_as);
    }
    Ok(())
}
