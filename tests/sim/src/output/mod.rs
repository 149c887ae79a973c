//! What people get to see of a run beside its report: a node's timeline, captures for Wireshark, records as JSON
//! lines; and files that are there as a whole or not at all.

pub mod atomic_file;
pub mod describe;
pub mod pcap;
pub mod timeline;
