//! NAT placeholder.
use crate::{Micros, stream::Stream};
use std::net::{Ipv4Addr, SocketAddrV4};
#[derive(Clone, Debug)]
pub struct NatConfig {
    pub kind: NatKind,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    Firewall,
    Symmetric,
}
#[derive(Clone, Debug)]
pub struct NatBox(NatConfig, Ipv4Addr);
pub enum Outbound {
    Public(SocketAddrV4),
    Hairpin(SocketAddrV4),
    Drop,
}
impl NatBox {
    pub fn new(c: NatConfig, ip: Ipv4Addr, _s: Stream) -> Self {
        Self(c, ip)
    }
    pub fn config(&self) -> &NatConfig {
        &self.0
    }
    pub fn public_ip(&self) -> Ipv4Addr {
        self.1
    }
    pub fn rebind(&mut self) {}
    pub fn outbound(&mut self, _n: Micros, f: SocketAddrV4, _t: SocketAddrV4) -> Outbound {
        Outbound::Public(f)
    }
    pub fn inbound(
        &mut self,
        _n: Micros,
        _f: SocketAddrV4,
        t: SocketAddrV4,
    ) -> Option<SocketAddrV4> {
        Some(t)
    }
}
