//! Attackers as code: what a stranger can do to a network, one file for each.
//!
//! Each is an [`Actor`](crate::Actor) made of a plain configuration that can be read from a file. They are off
//! the path: they see only what is sent to addresses of their own, but send with any source address.
//! Only those that [`Sim::overhear`](crate::Sim::overhear) puts in the path of a host see more; they can't
//! hold datagrams back. All that is random in them comes from the stream of their host, so an
//! attack on a fork of a settled network is the same each time.
//!
//! | who | tries to | is stopped by |
//! |---|---|---|
//! | [`Spoofer`] | have forged answers believed | unpredictable ids of requests, exact sources |
//! | [`Grinder`] | be all that is found near a key | limits per host and network |
//! | [`Liar`] | have victims ask nobody, or take another address for theirs | bounds on what is believed |
//! | [`HintAbuser`] | have live nodes forgotten | hints are checked, not believed |
//! | [`Flooder`] | fill tables and queues, or have others flooded | verification, bounds, budgets |
//! | [`Replayer`] | use again what was said before | tokens of one host that age, one answer per request |
//!
//! What an attack achieved is for the caller to see, from outside: in the victims' tables, counters and
//! lookups. Attackers count what they spent on it: [`Spent`].

mod bystander;
mod flooder;
mod grinder;
mod hints;
mod liar;
mod minimal;
mod pace;
mod puppet;
mod replayer;
mod sources;
mod spoofer;

pub use bystander::Bystander;
pub use flooder::{Flood, Flooder, FlooderConfig};
pub use grinder::{Grinder, GrinderConfig};
pub use hints::{HintAbuser, HintAbuserConfig};
pub use liar::{Liar, LiarConfig, Names, Sees};
pub use pace::{Pace, Spent};
pub use puppet::{Puppet, addresses, closest_addresses};
pub use replayer::{Replayer, ReplayerConfig};
pub use sources::Sources;
pub use spoofer::{Spoofer, SpooferConfig};

/// The value in whatever attackers forge: who finds it in an answer has been deceived.
pub const MARK: &[u8] = b"forged";
