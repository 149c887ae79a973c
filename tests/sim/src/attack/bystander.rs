//! A host that only receives: the victim of a reflection, or the host at an address that lies name.

use crate::sim::{Actor, ActorCx, Datagram, Spent};

/// It answers nothing and counts what arrives.
#[derive(Clone, Debug, Default)]
pub struct Bystander {
    received: Spent,
}

impl Bystander {
    /// Nothing has arrived yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has arrived: another host has spent it.
    pub fn received(&self) -> Spent {
        self.received
    }
}

impl Actor for Bystander {
    fn on_packet(&mut self, _: &mut ActorCx<'_>, Datagram { bytes, .. }: Datagram<'_>) {
        self.received.count(bytes);
    }
}
