//! The command line: what can be asked, and in which words.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use dht_tokio::dht_core::hyperdht::RELAY_ADDRESSES_MAX;
use dht_tokio::{BootstrapNode, ConfigError, Exempt, Id};

/// A distributed hash table, as spoken by dht-rpc: try it, join it, run it.
#[derive(Debug, Parser)]
#[command(name = "dht", version, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Print results as JSON, one object per line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but results and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Form a network on this machine, store a value in it, and read it back: offline.
    Demo {
        /// The value to store.
        #[arg(default_value = "hello world")]
        value: String,
        /// How many nodes there are beside the bootstrap node.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=NODES_MAX))]
        nodes: u16,
    },
    /// Run a whole network on this machine, whose nodes store values.
    Testnet {
        /// How many nodes there are beside the bootstrap node.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=NODES_MAX))]
        nodes: u16,
        /// The bootstrap node's port; any free one if not given.
        #[arg(long, value_parser = port())]
        port: Option<u16>,
        #[command(flatten)]
        serving: Serving,
    },
    /// Run a bootstrap node, by which other nodes join; it stores values, too.
    Bootstrap {
        /// The port.
        #[arg(long, value_parser = port())]
        port: u16,
        /// The public address by which other nodes reach this one: of this machine, or of a router that forwards the
        /// port to it. It is told to other nodes; the sockets listen at all addresses of this machine. 127.0.0.1 makes
        /// a network on this machine only.
        #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
        host: Ipv4Addr,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        serving: Serving,
        #[command(flatten)]
        watching: Watching,
    },
    /// Join a network and store values for it, if other nodes can reach this one; waits for a network that is not there yet.
    Node {
        #[command(flatten)]
        join: Join,
        /// The port; the next four may stand in for it, or else any. 0: any.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Fail if that port is taken; needs a port.
        #[arg(long)]
        exact_port: bool,
        #[command(flatten)]
        serving: Serving,
        #[command(flatten)]
        watching: Watching,
    },
    /// Ask one node whether it is there.
    Ping {
        /// Whom to ask.
        #[arg(value_name = "HOST:PORT", value_parser = node)]
        to: BootstrapNode,
    },
    /// Find the nodes closest to an id.
    FindNode {
        /// An id of 64 hexadecimal digits, or an address, which stands for its id.
        #[arg(value_name = "ID|HOST:PORT")]
        target: Target,
        #[command(flatten)]
        join: Join,
    },
    /// Store a value, and print its key.
    Put {
        /// The value, at most 1,000 bytes; `-` reads it from standard input.
        value: String,
        #[command(flatten)]
        kind: Kind,
        /// With --mutable, the file of the key that signs it: 64 hexadecimal digits. If there is none, it is made.
        #[arg(long, value_name = "FILE", requires = "mutable", required_if_eq("mutable", "true"))]
        key: Option<PathBuf>,
        /// With --mutable, the version; one more than the latest if not given.
        #[arg(long, requires = "mutable")]
        seq: Option<u64>,
        #[command(flatten)]
        join: Join,
    },
    /// Find a value by its key, and print it as it is.
    Get {
        /// What `put` has printed: 64 hexadecimal digits.
        key: Key,
        #[command(flatten)]
        kind: Kind,
        #[command(flatten)]
        join: Join,
    },
    /// Announce a name to hyperdht's nodes, and keep that alive until stopped.
    Announce {
        /// The name, whose hash is the topic.
        name: String,
        /// The file of the key that announces: 64 hexadecimal digits. If there is none, it is made.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// An address that finders are told, of a node that relays or of a service; at most three.
        #[arg(long = "relay", value_name = "IP:PORT", value_parser = relay)]
        relays: Vec<SocketAddrV4>,
        #[command(flatten)]
        join: Join,
    },
    /// Find out who has announced a name.
    Lookup {
        /// The name.
        name: String,
        #[command(flatten)]
        join: Join,
    },
}

/// How to get into a network.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Join {
    /// A node to join by; may be repeated.
    #[arg(long, required = true, value_name = "HOST:PORT", value_parser = node)]
    pub(crate) bootstrap: Vec<BootstrapNode>,
    /// The address of this machine to listen at and to send from; 0.0.0.0 is all of them.
    #[arg(long, default_value_t = Ipv4Addr::UNSPECIFIED)]
    pub(crate) host: Ipv4Addr,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What a node does for others.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Serving {
    /// Serve the commands of hyperdht's nodes, instead of storing the values of `put` and `get` as they are without
    /// further options.
    #[arg(long)]
    pub(crate) hyperdht: bool,
}

/// What an operator is told.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Watching {
    /// Tell of signs of an attack; and once a minute how many datagrams were dropped, by reason.
    #[arg(long, short)]
    verbose: bool,
}

/// How hyperdht's nodes store a value. (Without, as the nodes of `dht` do that are run without `--hyperdht`.)
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Kind {
    /// As a value of hyperdht's that is found by its hash.
    #[arg(long, conflicts_with = "mutable")]
    pub(crate) immutable: bool,
    /// As a value of hyperdht's that can change, and is found by the key that has signed it.
    #[arg(long)]
    pub(crate) mutable: bool,
}

/// Whom limits apply to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Limits {
    /// Whom the limits per host and per /24 apply to: `public`, all but local addresses; `all`; `none`; or all
    /// `except:` ranges like 203.0.113.0/24, divided by commas, of which one may be `local`.
    #[arg(long = "limits", value_name = "WHOM", default_value = "public", value_parser = exempt)]
    pub(crate) exempt: Exempt,
}

fn exempt(text: &str) -> Result<Exempt, String> {
    match (text, text.strip_prefix("except:")) {
        ("public", _) => Ok(Exempt::Local),
        ("all", _) => Ok(Exempt::Nobody),
        ("none", _) => Ok(Exempt::everybody()),
        (_, Some(ranges)) => ranges.parse().map_err(|error: ConfigError| error.to_string()),
        _ => Err("it is none of public, all, none and except:RANGE,..".into()),
    }
}

/// More than this many nodes in one process is for a simulator.
const NODES_MAX: i64 = 5000;

impl Args {
    /// The arguments of this process; ends it if they make no sense.
    pub(crate) fn given() -> Self {
        let args = Self::parse();
        match &args.command {
            Command::Node { port: 0, exact_port: true, .. } => {
                let why = "--exact-port needs a --port from 1 to 65535";
                Self::command().error(ErrorKind::ArgumentConflict, why).exit();
            }
            Command::Announce { relays, .. } if relays.len() > RELAY_ADDRESSES_MAX => {
                let why = format!(
                    "--relay is given {} times: nodes keep at most {RELAY_ADDRESSES_MAX} addresses",
                    relays.len()
                );
                Self::command().error(ErrorKind::TooManyValues, why).exit();
            }
            _ => args,
        }
    }

    pub(crate) const fn is_verbose(&self) -> bool {
        match self.command {
            Command::Bootstrap { watching, .. } | Command::Node { watching, .. } => {
                watching.verbose
            }
            _ => false,
        }
    }
}

/// A node's address. What was given for it is in the message already.
fn node(text: &str) -> Result<BootstrapNode, String> {
    text.parse().map_err(|error| match error {
        ConfigError::BootstrapFormat { flaw, .. } => format!("it {flaw}; give it as host:port"),
        ConfigError::InvalidNode { node, .. } => node.to_string(),
        error => error.to_string(),
    })
}

/// An address that a finder can send to.
fn relay(text: &str) -> Result<SocketAddrV4, String> {
    let addr: SocketAddrV4 =
        text.parse().map_err(|_| "it is not an IPv4 address with a port, as 192.0.2.1:49737 is")?;
    if addr.port() == 0 || addr.ip().is_unspecified() {
        return Err("no node has the port 0 or the address 0.0.0.0".into());
    }
    Ok(addr)
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// Where a value is: its hash, or the key that has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) Id);

impl FromStr for Key {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = parse_hex(text).ok_or("a key has 64 hexadecimal digits")?;
        Ok(Self(Id(key)))
    }
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Id(Id),
    /// The id of the node at this address.
    Address(BootstrapNode),
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(id) = parse_hex(text) {
            return Ok(Self::Id(Id(id)));
        }
        let address = text.parse().map_err(|_| "neither 64 hexadecimal digits nor host:port")?;
        Ok(Self::Address(address))
    }
}

pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn keys_are_64_hexadecimal_digits() {
        let good = "00ff".repeat(16);
        assert_eq!(good.parse::<Key>().unwrap().0.to_string(), good);
        assert_eq!(good.to_uppercase().parse::<Key>(), good.parse());
        for bad in ["", "00", &good[1..], &format!("{good}0"), &good.replace("f", "g")] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
        // 64 bytes, but not 64 digits.
        assert!("é".repeat(32).parse::<Key>().is_err());
        assert!(format!("+{}", &good[1..]).parse::<Key>().is_err());
    }

    #[test]
    fn a_target_is_an_id_or_an_address() {
        let id = "ab".repeat(32);
        assert_eq!(id.parse(), Ok(Target::Id(Id([0xab; 32]))));
        let address = "127.0.0.1:1".parse().unwrap();
        assert_eq!("127.0.0.1:1".parse(), Ok(Target::Address(address)));
        for bad in ["abcd", "localhost", "localhost:0", ":1", "a:b"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
