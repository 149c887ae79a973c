//! A deterministic simulator for networks of [`dht_core`] nodes.
#![forbid(unsafe_code)]

pub mod atomic_file;
pub mod histogram;
pub mod pcap;
pub mod series;
pub mod stream;
pub mod text_table;

/// Microseconds of virtual time since the simulation began.
pub type Micros = u64;
