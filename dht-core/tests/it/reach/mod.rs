//! The own address: what a node believes of it, and when it becomes persistent.

mod ids;
mod looks;
mod own_address;
mod reachability;
mod survey;
mod survey_ids;
mod survey_rules;
mod views;

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::support::lab::Lab;

/// Where the node is not.
const ELSEWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(99, 9, 9, 9), 9);

/// What the node believes: host and port.
fn believed(lab: &Lab) -> (Option<Ipv4Addr>, u16) {
    (lab.node.host(), lab.node.port())
}
