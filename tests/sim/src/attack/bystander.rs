//! Somebody who only receives: the victim of a reflection, or the host at an address that others
//! are sent to.

use std::net::SocketAddrV4;

use super::Spent;
use crate::sim::{Actor, ActorCx};

/// It answers nothing and counts what arrives.
#[derive(Clone, Debug, Default)]
pub struct Bystander {
    received: Spent,
}

impl Bystander {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has arrived: somebody else has spent it.
    #[must_use]
    pub fn received(&self) -> Spent {
        self.received
    }
}

impl Actor for Bystander {
    fn on_packet(&mut self, _: &mut ActorCx<'_>, _: SocketAddrV4, _: SocketAddrV4, bytes: &[u8]) {
        self.received.count(bytes);
    }

    fn fork(&self) -> Box<dyn Actor> {
        Box::new(self.clone())
    }
}
