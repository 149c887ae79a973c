//! Randomness: one stream per seed, purpose and node.
//!
//! A stream is a counter run through a mixing function, so it is eight bytes large, costs a few
//! instructions, and what one node draws never shifts what another one gets. Adding a node, or a
//! new use of randomness under a purpose of its own, leaves all other streams as they are.
//!
//! Not for secrets: it simulates a network. The nodes' own secrets come from it as well, so a
//! simulated attacker must not be given a stream of the node that it attacks.

use core::convert::Infallible;

use dht_core::Id;
use rand_core::{TryCryptoRng, TryRng};

use super::Micros;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// The seed of a node's own generator.
    Node = 1,
    /// What happens to the datagrams that a node sends.
    Link = 2,
    /// When nodes come and go.
    Churn = 3,
    /// What nodes are asked to do, and when.
    Workload = 4,
    /// Ports of a NAT.
    Nat = 5,
    /// What a user's application draws.
    App = 7,
    /// What an attacker draws.
    Actor = 8,
    /// The faults of a random scenario.
    Scenario = 9,
    /// Who shares a network, an address, a NAT.
    Addresses = 10,
}

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood, 2014).
///
/// ```
/// use dht_sim::stream::{Purpose, Stream};
///
/// let draw = |host| Stream::new(7, Purpose::Workload, host).below(100);
/// assert_eq!(draw(3), draw(3));
/// assert_ne!(draw(3), draw(4));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `node` (or of whatever else is numbered) for `purpose`.
    pub const fn new(seed: u64, purpose: Purpose, node: u32) -> Self {
        let which = (purpose as u64) << 32 | node as u64;
        Self(mix(mix(seed) ^ mix(which.wrapping_mul(0xd1b5_4a32_d192_ed03))))
    }

    /// The stream of two numbers, in this order: whatever is decided by its first draws is decided
    /// the same way each time, without a table.
    #[inline]
    pub const fn of_pair(seed: u64, purpose: Purpose, a: u32, b: u32) -> Self {
        let Self(state) = Self::new(seed, purpose, a);
        Self(mix(mix(state) ^ (b as u64).wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }

    /// 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number in `0..n`; 0 if `n` is 0. (The bias is below `n` in 2^64.)
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// A number in `0.0..1.0`, one of 2^53.
    pub const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with this probability; always or never at the ends.
    pub const fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// 32 random bytes, for four draws.
    pub(crate) fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_le_bytes()));
        key
    }

    /// A random id, for four draws.
    pub(crate) fn id(&mut self) -> Id {
        let mut id = self.key();
        id.chunks_mut(8).for_each(<[u8]>::reverse);
        Id(id)
    }

    /// A stream of its own, for one draw of this one: however much is drawn from it, this one stays
    /// where it is.
    pub const fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// This stream after `n` draws, at the price of none: a draw that is not needed can be left out without shifting the
    /// next ones.
    #[inline]
    pub const fn ahead(&self, n: u64) -> Self {
        Self(self.0.wrapping_add(STEP.wrapping_mul(n)))
    }

    /// A number strictly between 0.0 and 1.0, one of 2^52: its logarithm is finite.
    #[inline]
    pub const fn open_unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Exponential: how long until something happens that does so every `mean_us` microseconds, at
    /// any time alike.
    pub fn exponential(&mut self, mean_us: Micros) -> Micros {
        micros(-libm::log(self.open_unit()) * mean_us as f64)
    }

    /// Normal, of mean 0 and deviation 1. Always one draw, and the larger the draw, the larger the
    /// result.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        normal_quantile(self.open_unit())
    }

    /// Log-normal: half of the results are below `median`, in its unit; `sigma` is the deviation
    /// of their logarithm.
    #[inline]
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Weibull, in the unit of `scale`. With a `shape` below 1, what has lasted for long lasts for
    /// longer; with 1 it is exponential.
    pub fn weibull(&mut self, scale: f64, shape: f64) -> f64 {
        scale * libm::pow(-libm::log(self.open_unit()), 1.0 / shape)
    }

    /// Pareto, in the unit of `min`, the least result. The mean is infinite with a `shape` up to 1.
    pub fn pareto(&mut self, min: f64, shape: f64) -> f64 {
        min * libm::pow(self.open_unit(), -1.0 / shape)
    }

    /// Gamma, of scale 1, for a `shape` of at least 1 (Marsaglia and Tsang, 2000). Draws as often
    /// as it needs to.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            let v = root * root * root;
            // Not the other way round: with a shape that is no number, it must end as well.
            if !(root <= 0.0
                || libm::log(self.open_unit()) >= x * x / 2.0 + d - d * v + d * libm::log(v))
            {
                return d * v;
            }
        }
    }
}

/// Whole microseconds, rounded down; 0 for what is negative or no number.
#[inline]
pub const fn micros(us: f64) -> Micros {
    us as Micros
}

/// The number that a normal variable is below with probability `p`, to 9 digits (Acklam, 2003).
///
/// Nineteen times in twenty it is a fraction of two polynomials: no logarithm, no second draw and
/// no rejection, all of which a datagram would pay for.
#[inline]
fn normal_quantile(p: f64) -> f64 {
    const TAIL: f64 = 0.02425;
    if p < TAIL {
        normal_tail(p)
    } else if p > 1.0 - TAIL {
        -normal_tail(1.0 - p)
    } else {
        const A: [f64; 6] = [
            -39.696_830_286_653_76,
            220.946_098_424_520_5,
            -275.928_510_446_968_7,
            138.357_751_867_269,
            -30.664_798_066_147_16,
            2.506_628_277_459_239,
        ];
        const B: [f64; 6] = [
            -54.476_098_798_224_06,
            161.585_836_858_040_9,
            -155.698_979_859_886_6,
            66.801_311_887_719_72,
            -13.280_681_552_885_72,
            1.0,
        ];
        let q = p - 0.5;
        let r = q * q;
        q * polynomial(&A, r) / polynomial(&B, r)
    }
}

/// The lower tail of [`normal_quantile`].
#[cold]
fn normal_tail(p: f64) -> f64 {
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let q = libm::sqrt(-2.0 * libm::log(p));
    polynomial(&C, q) / polynomial(&D, q)
}

/// The value at `x`, the coefficient of the highest power first.
#[inline]
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// What a draw moves the counter by: 2^64 over the golden ratio, as an odd number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// So that a node can be seeded from it.
impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// In a simulation the seed is known.
impl TryCryptoRng for Stream {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const N: usize = 200_000;

    const QUANTILES: [(f64, f64); 8] = [
        (1e-10, -6.361340902404056),
        (0.0001, -3.71901648545568),
        (0.01, -2.3263478740408408),
        (0.024, -1.9773684281819468),
        (0.0243, -1.9720841590292884),
        (0.1, -1.2815515655446008),
        (0.25, -0.6744897501960817),
        (0.4, -0.2533471031357998),
    ];

    /// Three draws of each distribution.
    const GOLDEN: [[f64; 3]; 6] = [
        [0.9838334239986121, 0.2576940969250496, -1.0150365256193636],
        [66245.27134292263, 74915.0355231185, 25447.33826983582],
        [185283004.64273334, 3997144063.6455064, 2448843337.9049516],
        [73772956.04463322, 109948191.40723427, 255131967.4257226],
        [2.3572773024857465, 0.49868703283217086, 6.222339572250915],
        [297817.0, 156299.0, 2876459.0],
    ];
    const GOLDEN_NEXT: u64 = 9_382_764_011_435_870_887;
    const GOLDEN_PAIR: u64 = 7_077_686_717_089_895_718;

    fn stream() -> Stream {
        Stream::new(7, Purpose::Link, 3)
    }

    /// The mean of what `draw` draws, and the deviation.
    fn moments(mut draw: impl FnMut(&mut Stream) -> f64) -> (f64, f64) {
        let mut stream = stream();
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..N {
            let x = draw(&mut stream);
            sum += x;
            squares += x * x;
        }
        let mean = sum / N as f64;
        (mean, libm::sqrt(squares / N as f64 - mean * mean))
    }

    #[test]
    #[rustfmt::skip]
    fn the_same_on_every_machine() {
        let mut s = stream();
        let mut three = |draw: fn(&mut Stream) -> f64| [(); 3].map(|()| draw(&mut s));
        let drawn = [
            three(Stream::normal),
            three(|s| s.log_normal(40_000.0, 0.4)),
            three(|s| s.weibull(3_600e6, 0.5)),
            three(|s| s.pareto(60e6, 1.5)),
            three(|s| s.gamma(3.0)),
            three(|s| s.exponential(1_000_000) as f64),
        ];
        assert_eq!(drawn, GOLDEN);
        assert_eq!(s.next(), GOLDEN_NEXT, "as many draws as ever");
        assert_eq!(Stream::of_pair(7, Purpose::Link, 3, 4).next(), GOLDEN_PAIR);
    }

    #[test]
    fn mean_and_deviation_are_right() {
        // (drawn, mean, deviation, the error allowed in either, about five times the usual one)
        for ((mean, deviation), expected_mean, expected_deviation, error) in [
            (moments(Stream::normal), 0.0, 1.0, 0.012),
            (moments(|s| libm::log(s.log_normal(2.0, 0.5))), libm::log(2.0), 0.5, 0.006),
            (moments(|s| s.exponential(1_000_000) as f64 / 1e6), 1.0, 1.0, 0.02),
            (moments(|s| s.weibull(1.0, 2.0)), 0.886_227, 0.463_251, 0.006),
            (moments(|s| s.pareto(1.0, 5.0)), 1.25, 0.322_749, 0.02),
            (moments(|s| s.gamma(3.0)), 3.0, 1.732_051, 0.03),
            (moments(|s| s.gamma(1.0)), 1.0, 1.0, 0.02),
            (moments(Stream::open_unit), 0.5, 0.288_675, 0.004),
        ] {
            assert!((mean - expected_mean).abs() < error, "mean {mean}, not {expected_mean}");
            assert!(
                (deviation - expected_deviation).abs() < error,
                "deviation {deviation}, not {expected_deviation}"
            );
        }
    }

    /// The expected values are from Python's `statistics.NormalDist().inv_cdf`.
    #[test]
    fn the_normal_quantile_is_right_to_nine_digits() {
        for (p, expected) in QUANTILES {
            let (low, high) = (normal_quantile(p), normal_quantile(1.0 - p));
            assert!((low / expected - 1.0).abs() < 2e-9, "{low}, not {expected}");
            assert!((low + high).abs() < 1e-6, "{low} and {high}");
        }
        assert_eq!(normal_quantile(0.5), 0.0);
    }

    #[test]
    fn the_ends_of_the_unit_are_finite() {
        let (least, most) = (0.5 / (1u64 << 52) as f64, 1.0 - 0.5 / (1u64 << 52) as f64);
        assert!(least > 0.0 && most < 1.0);
        assert!((-9.0..-8.0).contains(&normal_quantile(least)));
        assert!((8.0..9.0).contains(&normal_quantile(most)));
    }

    #[test]
    fn microseconds_are_cut_to_what_there_is() {
        let cut = [-1.0, f64::NAN, 1.9, f64::INFINITY].map(micros);
        assert_eq!(cut, [0, 0, 1, u64::MAX]);
    }

    #[test]
    fn a_split_off_stream_does_not_disturb() {
        let (mut one, mut other) = (stream(), stream());
        let mut split = one.split();
        (0..9).for_each(|_| _ = split.next());
        _ = other.next();
        assert_eq!(one, other);
    }

    #[test]
    fn ahead_is_where_draws_lead() {
        let mut drawn = stream();
        for n in 0..20 {
            assert_eq!(stream().ahead(n), drawn);
            drawn.next();
        }
        assert_eq!(stream().ahead(u64::MAX).ahead(1), stream(), "it starts over");
    }

    proptest! {
        #[test]
        fn lengths_are_never_negative(
            seed: u64,
            mean in 1..1_000_000_000_000_u64,
            shape in 0.1..10.0_f64,
        ) {
            let mut stream = Stream::new(seed, Purpose::Churn, 0);
            let scale = mean as f64;
            prop_assert!(stream.weibull(scale, shape) >= 0.0);
            prop_assert!(stream.pareto(scale, shape) >= scale);
            prop_assert!(stream.log_normal(scale, shape) > 0.0);
            prop_assert!(stream.exponential(mean) <= mean * 37);
        }

        #[test]
        fn the_normal_quantile_rises(a in 1e-15..1.0_f64, b in 1e-15..1.0_f64) {
            // Where its two parts meet it may be off by its error.
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(normal_quantile(low) <= normal_quantile(high) + 1e-8);
        }
    }
}
