//! A deterministic simulator for networks of [`dht_core`] nodes.
#![forbid(unsafe_code)]

pub mod atomic_file;
pub mod describe;
pub mod histogram;
pub mod json_lines;
pub mod pcap;
pub mod report;
pub mod series;
pub mod stream;
pub mod text_table;
pub mod timeline;

/// Microseconds of virtual time since the simulation began.
pub type Micros = u64;
