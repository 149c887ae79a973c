//! Nodes from the user: bootstrap nodes, by address or by name, and nodes that were given one by one. They are
//! always used, whatever the filter says.

pub(crate) mod given;
pub(crate) mod names;

use core::net::SocketAddrV4;

use crate::api::config::{BootstrapNode, Config};
use crate::bounded::memory::Heap;
use given::Given;
use names::NameLookups;

#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) names: NameLookups,
    pub(crate) given: Given,
}

impl Sources {
    pub(crate) fn new(config: &Config, tick: u32) -> Self {
        let mut given = Given::default();
        for addr in config.nodes.iter().take(config.given()) {
            given.add(config.given(), tick, *addr);
        }
        Self { names: NameLookups::new(&config.bootstrap), given }
    }

    /// What both take of the heap, at most.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        Given::add_to(heap, config.given());
        NameLookups::add_to(heap, config.bootstrap.len());
    }

    /// Whether there is any.
    pub(crate) fn any(&self, config: &Config) -> bool {
        !config.bootstrap.is_empty() || !self.given.is_empty()
    }

    /// All addresses of bootstrap nodes known by now, but for the node's `own`.
    pub(crate) fn bootstrap<'a>(
        &'a self,
        config: &'a Config,
        own: Option<SocketAddrV4>,
    ) -> impl Iterator<Item = SocketAddrV4> + 'a {
        let told = config.bootstrap.iter().flat_map(BootstrapNode::addrs);
        let all = told.chain(self.names.known(&config.bootstrap));
        Once(all.filter(move |addr| Some(*addr) != own))
    }
}

/// An iterator that is compiled once: `any`, `find` and the like go through [`next`](Iterator::next) here, where a chain
/// would have its own of each for every caller (2 KB of code in all).
struct Once<I>(I);

impl<I: Iterator> Iterator for Once<I> {
    type Item = I::Item;

    #[inline(never)]
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}
