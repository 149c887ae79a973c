//! What happens to a datagram under way: it takes a while, and may be lost, doubled, overtaken or
//! damaged.
//!
//! A [`Link`] is one set of rules for a whole network; what it has to remember of a sender is a
//! [`LinkState`] of one byte, kept by the caller. Each datagram takes exactly one number from the
//! sender's stream and draws all else from what that splits off, each feature in a place of its
//! own: to turn one off (as a shrinker does) leaves the fate of all datagrams as it was in every
//! other respect.
//!
//! Not for who may talk to whom: that is [`partition`](crate::partition) and [`nat`](crate::nat).

use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::world::{Micros, Purpose, Stream, check, stream};

/// No datagram is under way for longer, whatever is drawn: the two minutes that RFC 793 gives a
/// segment.
pub const DELAY_MAX_US: Micros = 120_000_000;

/// IPv4 and UDP headers, in bytes.
const HEADERS: usize = 28;

/// The rules for datagrams under way. The default: 40 ms one way, an MTU of 1500, and no faults.
///
/// ```
/// use dht_sim::Sim;
/// use dht_sim::link::{Latency, Link, Loss};
///
/// let latency = Latency::Uniform { min_us: 20_000, max_us: 80_000 };
/// let link = Link { latency, loss: Loss::Independent(0.05), ..Link::default() };
/// link.check()?;
/// Sim::new(1).set_link(link);
/// # Ok::<_, String>(())
/// ```
#[derive(SmartDefault, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// How long it takes.
    #[default(Latency::Constant { delay_us: 40_000 })]
    pub latency: Latency,
    /// What does not arrive.
    #[default(Loss::None)]
    pub loss: Loss,
    /// The probability that a datagram arrives twice. Each copy has a delay and damage of its own.
    pub duplicate: f64,
    /// What is overtaken.
    pub reorder: Reorder,
    /// The probability that one byte, or only one bit of it, arrives changed. (Real networks rarely let a changed
    /// datagram through the checksum of UDP, which is 16 bits wide and may be left out.)
    pub corrupt: f64,
    /// The probability that a datagram arrives cut short, down to nothing. It goes before
    /// `corrupt`: no copy has both.
    pub truncate: f64,
    /// Datagrams that are longer in bytes, with 28 of headers, are lost: nothing is fragmented.
    #[default(1500)]
    pub mtu: usize,
}

/// How long a datagram takes, one way. Never more than [`DELAY_MAX_US`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Latency {
    /// Always the same.
    Constant {
        /// One way, in microseconds.
        delay_us: Micros,
    },
    /// Anything between the two with the same probability, each time anew.
    Uniform {
        /// The least, in microseconds.
        min_us: Micros,
        /// The most, in microseconds.
        max_us: Micros,
    },
    /// Log-normal, as measured between hosts of the internet.
    LogNormal {
        /// Half of the delays are below, in microseconds.
        median_us: Micros,
        /// The deviation of the delay's logarithm: among datagrams, or with `per_pair` among pairs
        /// of hosts. With 0.5 one in 40 takes 2.7 times the median.
        sigma: f64,
        /// What is drawn below, in microseconds, takes this long.
        min_us: Micros,
        /// Whether each pair of hosts has a median of its own, the same both ways and for as long
        /// as the simulation lasts. It is derived from the seed and the two numbers, so nothing is
        /// stored.
        ///
        /// Without it all datagrams are alike, so that no host is near another one: choosing hosts by round-trip time
        /// cannot pay off then, and most datagrams overtake earlier ones.
        per_pair: bool,
        /// With `per_pair`, the deviation of the logarithm around the pair's median, among its
        /// datagrams. Must be 0 without it.
        #[serde(default)]
        jitter_sigma: f64,
    },
    /// Between regions of the world.
    Regions {
        /// The median from region (row) to region (column), in microseconds; need not be the same
        /// both ways.
        median_us: Vec<Vec<Micros>>,
        /// The deviation of the delay's logarithm among datagrams.
        jitter_sigma: f64,
        /// What is drawn below, in microseconds, takes this long.
        min_us: Micros,
    },
}

/// What is lost. Whether a datagram was too long is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Loss {
    /// Nothing.
    None,
    /// Each datagram with this probability, independently of other datagrams.
    Independent(f64),
    /// In bursts (Gilbert and Elliott): each sender has good and bad spells, which change with its
    /// datagrams, not with time. A spell is `1 / p` datagrams long on average, `p` being the
    /// probability that it ends.
    GilbertElliott {
        /// The probability, at each datagram, that a good spell ends before it.
        p_good_to_bad: f64,
        /// The probability, at each datagram, that a bad spell ends before it.
        p_bad_to_good: f64,
        /// The probability of loss in a good spell.
        loss_good: f64,
        /// The probability of loss in a bad spell.
        loss_bad: f64,
    },
}

/// What is overtaken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// The probability that a datagram (or a copy) is held up.
    pub probability: f64,
    /// For how long at most, in microseconds; anything from 1 on is as likely.
    pub extra_us: Micros,
}

/// What a link remembers of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    bad: bool,
}

/// From where to where. Hosts are numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The simulation's seed: with the two hosts, it decides how far they are from each other.
    pub seed: u64,
    /// The sender.
    pub from: u32,
    /// The receiver.
    pub to: u32,
    /// The sender's region. Beyond the last region they start over, so any number does.
    pub from_region: u8,
    /// The receiver's region.
    pub to_region: u8,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It was lost.
    Lost,
    /// It was longer than the MTU.
    TooLong,
    /// It arrives.
    Once(Delivery),
    /// It arrives, and so does a copy of it, not necessarily later.
    Twice(Delivery, Delivery),
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How long after sending, in microseconds.
    pub delay_us: Micros,
    /// What arrives changed.
    pub damage: Damage,
}

/// What is done to a datagram's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// One byte is changed.
    FlipByte {
        /// Which, from 0.
        at: u16,
        /// What it is combined with by exclusive or; not 0.
        xor: u8,
    },
    /// Only this many bytes arrive, fewer than were sent.
    Truncate(u16),
}

impl Link {
    /// What becomes of a datagram of `len` bytes, headers not counted. `state` is the sender's, and
    /// so is `rng`, of which it takes one number.
    ///
    /// With rules that [`check`](Self::check) refuses, the delays are of no use, but nothing
    /// breaks.
    #[inline]
    pub fn carry(
        &self,
        state: &mut LinkState,
        rng: &mut Stream,
        path: Path,
        len: usize,
    ) -> Carried {
        let draws = rng.split();
        if self.loss.takes(state, &draws) {
            return Carried::Lost;
        }
        if len.saturating_add(HEADERS) > self.mtu {
            return Carried::TooLong;
        }
        let original = self.deliver(&draws, path, len);
        if happens(&draws, place::DUPLICATE, self.duplicate) {
            let copy = draws.ahead(place::COPY).split();
            Carried::Twice(original, self.deliver(&copy, path, len))
        } else {
            Carried::Once(original)
        }
    }

    /// Refuses impossible rules, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.latency.check()?;
        self.loss.check()?;
        check::probability("duplicate", self.duplicate)?;
        check::probability("reorder.probability", self.reorder.probability)?;
        check::duration("reorder.extra_us", self.reorder.extra_us, 0, DELAY_MAX_US)?;
        let moves = self.reorder.probability == 0.0 || self.reorder.extra_us > 0;
        check::that(moves, "reorder.extra_us", "not be 0 if reorder.probability is not")?;
        check::probability("corrupt", self.corrupt)?;
        check::probability("truncate", self.truncate)?;
        check::that(self.mtu > HEADERS, "mtu", "be above 28, the length of the headers")
    }

    #[inline]
    fn deliver(&self, draws: &Stream, path: Path, len: usize) -> Delivery {
        let mut delay_us = self.latency.draw(draws, path);
        if happens(draws, place::HOLD, self.reorder.probability) {
            let extra_us = 1 + draws.ahead(place::EXTRA).below(self.reorder.extra_us);
            delay_us = delay_us.saturating_add(extra_us);
        }
        Delivery { delay_us: delay_us.min(DELAY_MAX_US), damage: self.damage(draws, len) }
    }

    #[inline]
    fn damage(&self, draws: &Stream, len: usize) -> Damage {
        // The offset fits: without jumbograms, no datagram has more than 65,535 bytes.
        let at = || draws.ahead(place::AT).below(len as u64).min(u16::MAX.into()) as u16;
        if len == 0 {
            Damage::None
        } else if happens(draws, place::CUT, self.truncate) {
            Damage::Truncate(at())
        } else if happens(draws, place::FLIP, self.corrupt) {
            let how = draws.ahead(place::HOW).next();
            let byte = 1 + (how >> 8) % 255;
            let xor = if how & 1 == 0 { byte as u8 } else { 1 << (how >> 1 & 7) };
            Damage::FlipByte { at: at(), xor }
        } else {
            Damage::None
        }
    }
}

/// Which draw of a datagram (or of its copy) is for what. What is not needed is not drawn.
mod place {
    pub(super) const LOSS: u64 = 0;
    pub(super) const SPELL: u64 = 1;
    pub(super) const DUPLICATE: u64 = 2;
    pub(super) const COPY: u64 = 3;
    pub(super) const DELAY: u64 = 4;
    pub(super) const HOLD: u64 = 5;
    pub(super) const EXTRA: u64 = 6;
    pub(super) const CUT: u64 = 7;
    pub(super) const FLIP: u64 = 8;
    pub(super) const AT: u64 = 9;
    pub(super) const HOW: u64 = 10;
}

#[inline]
fn happens(draws: &Stream, place: u64, probability: f64) -> bool {
    probability > 0.0 && draws.ahead(place).chance(probability)
}

impl Latency {
    /// A delay in microseconds, which may be above [`DELAY_MAX_US`]. One draw at most.
    #[inline]
    fn draw(&self, draws: &Stream, path: Path) -> Micros {
        let mut rng = draws.ahead(place::DELAY);
        match self {
            Self::Constant { delay_us } => *delay_us,
            Self::Uniform { min_us, max_us } => {
                min_us.saturating_add(rng.below(max_us.saturating_sub(*min_us).saturating_add(1)))
            }
            Self::LogNormal { median_us, sigma, min_us, per_pair, jitter_sigma } => {
                // The logarithms of the pair's factor and of the datagram's add up: one exponential
                // does.
                let exponent = if *per_pair {
                    path.deviation() * sigma + rng.normal() * jitter_sigma
                } else {
                    rng.normal() * sigma
                };
                stream::micros(*median_us as f64 * libm::exp(exponent)).max(*min_us)
            }
            Self::Regions { median_us, jitter_sigma, min_us } => {
                let region = |n: u8| usize::from(n) % median_us.len().max(1);
                let row = median_us.get(region(path.from_region));
                let median = row.and_then(|row| row.get(region(path.to_region))).copied();
                let median = median.unwrap_or_default() as f64;
                stream::micros(rng.log_normal(median, *jitter_sigma)).max(*min_us)
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        // With 3, one draw in a thousand is 10,000 times the median.
        const SIGMA_MAX: f64 = 3.0;
        let delay = |field, us| check::duration(field, us, 0, DELAY_MAX_US);
        match self {
            Self::Constant { delay_us } => delay("latency.delay_us", *delay_us),
            Self::Uniform { min_us, max_us } => {
                delay("latency.max_us", *max_us)?;
                check::that(min_us <= max_us, "latency.min_us", "not be above latency.max_us")
            }
            Self::LogNormal { median_us, sigma, min_us, per_pair, jitter_sigma } => {
                check::duration("latency.median_us", *median_us, 1, DELAY_MAX_US)?;
                check::between("latency.sigma", *sigma, 0.0, SIGMA_MAX)?;
                check::between("latency.jitter_sigma", *jitter_sigma, 0.0, SIGMA_MAX)?;
                let used = *per_pair || *jitter_sigma == 0.0;
                check::that(used, "latency.jitter_sigma", "be 0 without latency.per_pair")?;
                check::that(min_us <= median_us, "latency.min_us", "not be above latency.median_us")
            }
            Self::Regions { median_us, jitter_sigma, min_us } => {
                let regions = median_us.len();
                check::that(
                    (1..=256).contains(&regions),
                    "latency.median_us",
                    "have 1 to 256 rows",
                )?;
                for (from, row) in median_us.iter().enumerate() {
                    let field = format!("latency.median_us[{from}]");
                    check::that(row.len() == regions, &field, "be as long as there are rows")?;
                    for (to, median) in row.iter().enumerate() {
                        let least = (*min_us).max(1);
                        check::duration(&format!("{field}[{to}]"), *median, least, DELAY_MAX_US)?;
                    }
                }
                check::between("latency.jitter_sigma", *jitter_sigma, 0.0, SIGMA_MAX)
            }
        }
    }
}

impl Loss {
    /// The share of all datagrams that are lost in the long run, from 0 to 1.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::Independent(p) => p,
            Self::GilbertElliott { loss_good, loss_bad, .. } => {
                loss_good + (loss_bad - loss_good) * self.bad_share()
            }
        }
    }

    /// The share of datagrams in bad spells.
    fn bad_share(&self) -> f64 {
        match *self {
            Self::GilbertElliott { p_good_to_bad, p_bad_to_good, .. } if p_good_to_bad > 0.0 => {
                p_good_to_bad / (p_good_to_bad + p_bad_to_good)
            }
            _ => 0.0,
        }
    }

    #[inline]
    fn takes(&self, state: &mut LinkState, draws: &Stream) -> bool {
        match *self {
            Self::None => false,
            Self::Independent(p) => happens(draws, place::LOSS, p),
            Self::GilbertElliott { p_good_to_bad, p_bad_to_good, loss_good, loss_bad } => {
                let change = if state.bad { p_bad_to_good } else { p_good_to_bad };
                state.bad ^= happens(draws, place::SPELL, change);
                happens(draws, place::LOSS, if state.bad { loss_bad } else { loss_good })
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match *self {
            Self::None => Ok(()),
            Self::Independent(p) => check::probability("loss.independent", p),
            Self::GilbertElliott { p_good_to_bad, p_bad_to_good, loss_good, loss_bad } => {
                check::probability("loss.p_good_to_bad", p_good_to_bad)?;
                check::probability("loss.p_bad_to_good", p_bad_to_good)?;
                check::probability("loss.loss_good", loss_good)?;
                check::probability("loss.loss_bad", loss_bad)?;
                let ordered = loss_good <= loss_bad;
                check::that(ordered, "loss.loss_good", "not be above loss.loss_bad")
            }
        }
    }
}

impl Path {
    /// How far from the median the pair's is: from a normal distribution, the same both ways.
    #[inline]
    fn deviation(&self) -> f64 {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        Stream::of_pair(self.seed, Purpose::Link, low, high).normal()
    }
}

impl Damage {
    /// Does it to `bytes`, in place, and returns how many of them arrive.
    pub fn apply(self, bytes: &mut [u8]) -> usize {
        match self {
            Self::None => bytes.len(),
            Self::FlipByte { at, xor } => {
                if let Some(byte) = bytes.get_mut(usize::from(at)) {
                    *byte ^= xor;
                }
                bytes.len()
            }
            Self::Truncate(len) => bytes.len().min(len.into()),
        }
    }
}

#[cfg(test)]
mod tests;
