//! The serving half, beside the node: it has the first look at requests of other nodes.

use core::time::Duration;

use crate::driver::builder::Builder;
use crate::driver::dht::Dht;
use crate::driver::runtime::Runtime;
use crate::driver::state::State;
use crate::hyperdht::{Action, PublicKey, ServiceConfig, ServiceStats};
use crate::{Id, Incoming, Instant};

impl<R: Runtime> Builder<R> {
    /// Serves hyperdht's commands. Its limits exempt the addresses that the node's limits exempt, and its values are as long as the node's datagrams
    /// allow, whatever [`ServiceConfig::exempt`] and [`ServiceConfig::max_value`] say. Requests to plugins, and of other commands, are for
    /// [`Dht::requests`](crate::driver::Dht::requests).
    pub fn hyperdht(mut self, config: ServiceConfig) -> Self {
        self.service = Some(config);
        self
    }

    /// How the node will serve: as far as its own options allow.
    pub(crate) fn service(&self) -> Option<ServiceConfig> {
        let (exempt, max_value) = (self.config.exempt.clone(), self.config.max_value_answered());
        self.service.clone().map(|config| ServiceConfig { exempt, max_value, ..config })
    }
}

impl Dht {
    /// What the node keeps for its peers; `None` if it does not serve hyperdht's commands.
    #[must_use]
    pub fn service_stats(&self) -> Option<ServiceStats> {
        self.shared().look(|state| state.service.as_ref().map(|service| service.stats()))
    }

    /// Serves requests to a plugin, of this version only; they come by [`requests`](Self::requests). Nothing
    /// happens if the node does not serve hyperdht's commands.
    pub fn register_plugin(&self, name: &str, version: u64) {
        self.shared().act(|state, _| {
            state.service.iter_mut().for_each(|service| service.register(name, version));
        });
    }

    /// The node forgets that this key has announced a topic.
    pub(super) fn forget_own(&self, topic: &Id, public_key: &PublicKey) {
        self.shared().act(|state, _| {
            state.service.iter_mut().for_each(|service| service.unannounce(topic, public_key));
        });
    }
}

impl State {
    /// Deals with a request, if it is for hyperdht's nodes. Whether it was.
    pub(crate) fn serve(&mut self, now: Instant, incoming: &Incoming<'_>) -> bool {
        let Some(service) = &mut self.service else { return false };
        // If it can't be sent, the sender asks again.
        let _ = match service.handle_request(now, self.node.id(), incoming) {
            Action::Reply(answer) => self.node.reply(now, incoming.reply_to, answer),
            Action::Relay { to, value } => self.node.relay(now, incoming.reply_to, to, Some(value)),
            Action::Silent => Ok(()),
            Action::Plugin(_) | Action::NotMine => return false,
        };
        true
    }

    /// Lets the service know what time it is.
    pub(crate) fn tell_time(&mut self, now: Instant, since_1970: Option<Duration>) {
        let Some(service) = &mut self.service else { return };
        service.handle_timeout(now);
        since_1970.into_iter().for_each(|time| service.handle_wall_clock(now, time));
    }
}
