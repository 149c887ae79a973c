//! A service that is found by its name: `service [NAME [BOOTSTRAP]]`, in a network that serves hyperdht's commands, as `dht
//! testnet --hyperdht` does. It answers requests of a command of its own until Ctrl-C.
use std::net::Ipv4Addr;

use dht_tokio::dht_core::driver::Host;
use dht_tokio::hyperdht::{KeyPair, hash};
use dht_tokio::{Error, Tokio};

const GREET: u64 = 100; // hyperdht has 0 to 10

/// Serves until `end`.
pub(crate) async fn serve(name: &str, bootstrap: &str, end: impl Future) -> Result<(), Error> {
    let dht = dht_tokio::builder().host(Ipv4Addr::LOCALHOST).bootstrap([bootstrap]).spawn()?;
    let mut requests = dht.requests();
    dht.fully_bootstrapped().await?;
    let mut seed = [0; 32];
    Tokio.fill_random(&mut seed)?;
    let own: Vec<_> = dht.server_address().into_iter().collect();
    let announcer = dht.announcer(hash(name.as_bytes()), KeyPair::from_seed(seed), &own);
    announcer.announced().await?;
    println!("{name} is at {own:?}");
    let answer = async {
        while let Some(request) = requests.next().await {
            if request.command == GREET {
                request.reply_value(format!("hello from {own:?}")).ok();
            } // dropped, it is answered by "unknown command"
        }
    };
    tokio::select! { () = answer => {}, _ = end => {} }
    announcer.close().await; // it is found no more
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arg = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let (name, bootstrap) = (arg(1, "chess"), arg(2, "127.0.0.1:49737"));
    serve(&name, &bootstrap, tokio::signal::ctrl_c()).await
}
