//! The front-end over sockets that are none, in time that stands still.

mod debug;
mod helpers;
#[cfg(feature = "hyperdht")]
mod hyperdht;
mod incoming;
mod items;
mod life;
mod lock;
mod lost;
mod panics;
mod queries;
mod requests;
mod sim;
mod sockets;
mod world;
