//! A peer in WebAssembly, and what JavaScript needs to drive it: see `wasm.mjs`.
//!
//! Numbers go in and out as such, bytes through the one `buffer`. Times are in microseconds.

#![no_std]

extern crate alloc;

mod heap;
mod peer;

use core::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{DATAGRAM_MAX, Instant, Via};

use heap::OneThread;
use peer::Peer;

static PEER: OneThread<Option<Peer>> = OneThread::new(None);
static BUFFER: OneThread<[u8; DATAGRAM_MAX]> = OneThread::new([0; DATAGRAM_MAX]);

/// "Not yet", where a length or a number is expected.
const PENDING: i32 = -1;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What `call` makes of the peer and the buffer, or a trap if there is no peer.
fn with<T>(call: impl FnOnce(&mut Peer, &mut [u8; DATAGRAM_MAX]) -> T) -> T {
    // SAFETY: one thread, and no export calls another one.
    let (peer, buffer) = unsafe { (&mut *PEER.get(), &mut *BUFFER.get()) };
    match peer {
        Some(peer) => call(peer, buffer),
        None => core::arch::wasm32::unreachable(),
    }
}

/// Puts `value` into the buffer: its length.
fn put(buffer: &mut [u8; DATAGRAM_MAX], value: &[u8]) -> i32 {
    let len = value.len().min(buffer.len());
    buffer[..len].copy_from_slice(&value[..len]);
    len as i32
}

#[unsafe(no_mangle)]
extern "C" fn buffer() -> *mut u8 {
    BUFFER.get().cast()
}

#[unsafe(no_mangle)]
extern "C" fn heap_used() -> usize {
    heap::used()
}

/// The peer of this instance, its sockets bound.
#[unsafe(no_mangle)]
extern "C" fn make(n: u8) {
    let now = Instant::ZERO;
    let mut peer = Peer::new(n, now);
    if let Some(peer) = &mut peer {
        peer.bound(n, now);
    }
    // SAFETY: one thread, and no export calls another one.
    unsafe { *PEER.get() = peer }
}

#[unsafe(no_mangle)]
extern "C" fn datagram(now: u64, server: bool, ip: u32, port: u16, len: usize) {
    let via = if server { Via::Server } else { Via::Client };
    let from = SocketAddrV4::new(Ipv4Addr::from_bits(ip), port);
    with(|peer, buffer| peer.datagram(Instant::from_micros(now), via, from, &buffer[..len]));
}

#[unsafe(no_mangle)]
extern "C" fn timeout(now: u64) {
    with(|peer, _| peer.timeout(Instant::from_micros(now)));
}

/// From the top: 32 bits of address, 16 of port, one that is set if the server socket sends, and
/// 15 of length. 0 if there is nothing to send.
#[unsafe(no_mangle)]
extern "C" fn poll_transmit(now: u64) -> u64 {
    with(|peer, buffer| {
        let Some(transmit) = peer.poll_transmit(Instant::from_micros(now), buffer) else {
            return 0;
        };
        let server = u64::from(transmit.via == Via::Server);
        let (ip, port) = (transmit.to.ip().to_bits(), transmit.to.port());
        u64::from(ip) << 32 | u64::from(port) << 16 | server << 15 | transmit.len as u64
    })
}

/// All bits set if there is nothing to wait for.
#[unsafe(no_mangle)]
extern "C" fn poll_timeout() -> u64 {
    with(|peer, _| peer.poll_timeout().map_or(u64::MAX, Instant::as_micros))
}

#[unsafe(no_mangle)]
extern "C" fn settled() -> bool {
    with(|peer, _| peer.settled())
}

#[unsafe(no_mangle)]
extern "C" fn echo(now: u64, ip: u32, port: u16, len: usize) -> bool {
    let to = SocketAddrV4::new(Ipv4Addr::from_bits(ip), port);
    with(|peer, buffer| peer.echo(Instant::from_micros(now), to, &buffer[..len]))
}

#[unsafe(no_mangle)]
extern "C" fn echoed() -> i32 {
    with(|peer, buffer| peer.echoed().map_or(PENDING, |value| put(buffer, &value)))
}

#[unsafe(no_mangle)]
extern "C" fn store(now: u64, len: usize) -> bool {
    with(|peer, buffer| peer.store(Instant::from_micros(now), &buffer[..len]))
}

#[unsafe(no_mangle)]
extern "C" fn find(now: u64) -> bool {
    with(|peer, _| peer.find(Instant::from_micros(now)))
}

#[unsafe(no_mangle)]
extern "C" fn committed() -> i32 {
    with(|peer, _| peer.committed().map_or(PENDING, |count| count as i32))
}

#[unsafe(no_mangle)]
extern "C" fn found() -> i32 {
    with(|peer, buffer| put(buffer, peer.found()))
}
