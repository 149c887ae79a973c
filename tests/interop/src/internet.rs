//! A small internet in [namespaces](crate::netns): a core where public hosts live, routers at its edge, and machines
//! behind these. A router is a NAT of some [`Kind`].
//!
//! Public addresses are of 198.18.0.0/15, the range for tests of networks (RFC 2544). Nodes treat it as public, unlike
//! the ranges of private networks.

use std::cell::Cell;

use crate::agent::Agent;
use crate::netns::{Lab, Space};

/// The address of the core itself, where routers send what is not for them.
const CORE: &str = "198.18.0.1";

/// The first machine behind a router has this address, and each further one the next.
const FIRST_MACHINE: u8 = 10;

/// What a router does with the datagrams of the machines behind it, and with those that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The public port is that of the machine; every host gets in by it. Forwards to the machine in place 0.
    FullCone,
    /// The public port is that of the machine; only addresses to which it has sent from this port get in.
    PortRestricted,
    /// The public port is another one for each destination; only the destination gets in by it.
    Symmetric,
    /// No NAT: machines have public addresses. Who gets in is as for `PortRestricted`.
    Firewall,
}

/// The core, and all that is connected to it.
#[derive(Debug)]
pub struct Internet {
    lab: Lab,
    core: Space,
    routers: Cell<u8>,
    machines: Cell<u8>,
}

/// A router at its edge.
#[derive(Debug)]
pub struct Router {
    kind: Kind,
    number: u8,
    space: Space,
}

/// A machine. Its one network interface is `eth`.
#[derive(Debug)]
pub struct Machine {
    space: Space,
}

impl Internet {
    /// A core alone; `None` if this machine can't have one, which is said loudly.
    #[must_use]
    pub fn new() -> Option<Internet> {
        let lab = Lab::new()?;
        let core = lab.space("core");
        core.ip(&format!("address add {CORE}/32 dev lo"));
        core.forward();
        Some(Internet { lab, core, routers: Cell::new(0), machines: Cell::new(0) })
    }

    /// The address of the public host with this number, each in another /24. All live in the core.
    #[must_use]
    pub fn host(&self, number: u8) -> String {
        let host = format!("198.18.{number}.1");
        self.core.ip(&format!("address replace {host}/32 dev lo"));
        host
    }

    /// The machine of all public hosts.
    #[must_use]
    pub fn core(&self) -> &Space {
        &self.core
    }

    /// Another router.
    #[must_use]
    pub fn router(&self, kind: Kind) -> Router {
        let number = next(&self.routers);
        let space = self.lab.space(&format!("router{number}"));
        let router = Router { kind, number, space };
        let (edge, public) = (format!("edge{number}"), router.public());
        self.core.connect(&edge, &router.space, "wan");
        router.space.ip(&format!("address add {public}/32 dev wan"));
        router.space.ip(&format!("route add default via {CORE} dev wan onlink"));
        router.space.forward();
        router.space.filter(&router.rules());
        self.core.ip(&format!("route add {public}/32 dev {edge}"));
        if kind == Kind::Firewall {
            let inside = router.inside(0);
            self.core.ip(&format!("route add {inside}/24 via {public} dev {edge}"));
        }
        router
    }

    /// Another machine, which is connected to nothing.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine { space: self.lab.space(&format!("machine{}", next(&self.machines))) }
    }
}

fn next(number: &Cell<u8>) -> u8 {
    number.replace(number.get() + 1)
}

impl Router {
    /// What it does.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its own address.
    fn public(&self) -> String {
        format!("198.19.{}.1", self.number)
    }

    /// Where the internet sees the machine in this place.
    #[must_use]
    pub fn public_of(&self, place: u8) -> String {
        match self.kind {
            Kind::Firewall => self.inside(FIRST_MACHINE + place),
            _ => self.public(),
        }
    }

    /// An address of the network behind it.
    fn inside(&self, last: u8) -> String {
        let network = self.number;
        match self.kind {
            Kind::Firewall => format!("198.19.{}.{last}", network + 100),
            _ => format!("192.168.{network}.{last}"),
        }
    }

    /// Plugs a machine in, which is connected to nothing else, in a place of its own.
    pub fn plug(&self, machine: &Machine, place: u8) {
        let port = format!("lan{place}");
        let (gateway, address) = (self.inside(1), self.inside(FIRST_MACHINE + place));
        self.space.connect(&port, &machine.space, "eth");
        self.space.ip(&format!("address add {gateway}/32 dev {port}"));
        self.space.ip(&format!("route add {address}/32 dev {port}"));
        machine.space.ip_batch(&format!(
            "address add {address}/32 dev eth\nroute add default via {gateway} dev eth onlink\n"
        ));
    }

    /// The rules of its packet filter.
    ///
    /// Datagrams that nobody behind it has asked for are dropped before the router takes them for its own. Otherwise the
    /// kernel makes an entry for the port, and maps the machine's port to another one for that sender.
    fn rules(&self) -> String {
        let (inside, public) = (self.inside(FIRST_MACHINE), self.public());
        let (outbound, inbound, strangers) = match self.kind {
            // The machine reaches itself by its public address.
            Kind::FullCone => (
                format!("ip saddr {inside} snat to {public}"),
                format!("ip daddr {public} udp dport 1024-65535 dnat to {inside}"),
                true,
            ),
            Kind::PortRestricted => ("oifname wan masquerade".to_owned(), String::new(), false),
            Kind::Symmetric => {
                let rule = "oifname wan masquerade random,fully-random";
                (rule.to_owned(), String::new(), false)
            }
            Kind::Firewall => (String::new(), String::new(), false),
        };
        let strangers = if strangers { "accept" } else { "drop" };
        format!(
            "table ip nat {{
               chain out {{
                 type nat hook postrouting priority 100
                 {outbound}
               }}
               chain in {{
                 type nat hook prerouting priority -100
                 {inbound}
               }}
             }}
             table ip edge {{
               chain pass {{
                 type filter hook forward priority 0
                 ct state established,related accept
                 iifname wan {strangers}
               }}
               chain own {{
                 type filter hook input priority 0
                 iifname wan drop
               }}
             }}"
        )
    }
}

impl Machine {
    /// Pulls the plug.
    pub fn unplug(&self) {
        self.space.ip("link delete eth");
    }

    /// An agent on it, over the JavaScript package.
    #[must_use]
    pub fn js(&self) -> Agent {
        Agent::js_in(&self.space)
    }

    /// An agent on it, over this project's library; see [`Agent::rust`].
    #[must_use]
    pub fn rust(&self, path: Option<&str>) -> Agent {
        Agent::rust_in(path, &self.space)
    }
}
