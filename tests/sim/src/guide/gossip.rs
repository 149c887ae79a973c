use std::time::Duration;

use dht_core::{Answer, ConfigError, Event, Incoming, Request};
use dht_sim::{App, Cx, HostId, Return, Sim, Spec};

/// A command of our own.
pub const RUMOUR: u64 = 7;

/// A node that hears the rumour for the first time tells it to some of the nodes in its table, once.
#[derive(Clone)]
pub struct Gossip {
    /// To how many.
    pub tell: usize,
    pub heard: bool,
}

impl Gossip {
    pub fn hear(&mut self, cx: &mut Cx<'_>) {
        if self.heard {
            return;
        }
        self.heard = true;
        let mut listeners: Vec<_> = cx.node.nodes().collect();
        while listeners.len() > self.tell {
            listeners.swap_remove(cx.rng.below(listeners.len() as u64) as usize);
        }
        for addr in listeners {
            // What the node is too busy for is not told.
            let _ = cx.node.request(cx.now, Request::new(addr, RUMOUR).retries(0));
        }
    }
}

impl App for Gossip {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        cx.reply(request, Answer::empty());
        if request.command == RUMOUR {
            self.hear(cx);
        }
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {
        if let Event::Response(id) = event {
            // Whether they answered does not matter, but what is not taken is kept.
            let _ = cx.node.take_response(*id);
        }
    }

    fn on_restart(&mut self, how: Return) {
        // The rumour is on disk, unless it is another machine that takes the place.
        self.heard = self.heard && how != Return::Anew;
    }
}

/// A bootstrap node and nodes that have joined through it, all with the application.
pub fn network(seed: u64, hosts: u32, tell: usize) -> Result<Sim, ConfigError> {
    let mut sim = Sim::new(seed);
    let bootstrap = sim.next_address();
    sim.add(Spec::bootstrapper(bootstrap)?.app(Gossip { tell, heard: false }))?;
    for n in 1..hosts {
        // One after the other, ten per second.
        let spec = Spec::joining(&[bootstrap]).after(u64::from(n) * 100_000);
        sim.add(spec.app(Gossip { tell, heard: false }))?;
    }
    Ok(sim)
}

/// The user of host 3 types the rumour.
pub fn begin(sim: &mut Sim) {
    sim.with_app(HostId(3), |gossip: &mut Gossip, cx| gossip.hear(cx));
}

/// How many hosts have heard it.
pub fn heard(sim: &Sim) -> usize {
    let hosts = (0..sim.hosts()).map(HostId);
    hosts.filter(|host| sim.app(*host).is_some_and(|gossip: &Gossip| gossip.heard)).count()
}

/// Long enough for everybody to join.
pub const JOINED: Duration = Duration::from_secs(20);
