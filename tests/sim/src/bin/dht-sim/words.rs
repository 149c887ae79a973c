//! What options can say, and their small languages: `lognormal:80ms,0.5`, `burst:5%,10`, `symmetric:20%x16`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use dht_sim::addresses::{Addresses, Sharing};
use dht_sim::churn::{Churn, Length};
use dht_sim::link::{Latency, Link, Loss, Reorder};
use dht_sim::nat::{Kind, Nat, Ports};
use dht_sim::scenario::{Attack, AttackKind, NatGroup, Stands};
use dht_sim::{HostId, Micros, Sim};

use crate::units::{count, count_between, duration, number, part};

/// `80ms`, `20ms..120ms`, `lognormal:80ms,0.5,per-pair`, `regions`.
pub(crate) fn latency(text: &str) -> Result<Latency, String> {
    let latency = any_latency(text)?;
    checked(latency.clone(), Link { latency, ..Link::default() }.check())
}

fn any_latency(text: &str) -> Result<Latency, String> {
    if let Some((min, max)) = text.split_once("..") {
        return Ok(Latency::Uniform { min_us: duration(min)?, max_us: duration(max)? });
    }
    let (kind, options) = text.split_once(':').unwrap_or((text, ""));
    let mut options = options.split(',').filter(|option| !option.is_empty());
    match kind {
        "lognormal" => {
            let shape = "write lognormal:MEDIAN,SIGMA, such as lognormal:80ms,0.5";
            let (Some(median), Some(sigma)) = (options.next(), options.next()) else {
                return Err(shape.to_owned());
            };
            let (median_us, sigma) = (duration(median)?, number(sigma)?);
            let (mut min_us, mut per_pair, mut jitter_sigma) = (median_us / 10, false, 0.0);
            for option in options {
                match option.split_once('=') {
                    None if option == "per-pair" => per_pair = true,
                    Some(("jitter", sigma)) => jitter_sigma = number(sigma)?,
                    Some(("min", min)) => min_us = duration(min)?,
                    _ => return unknown(option, "per-pair, jitter=SIGMA or min=TIME"),
                }
            }
            Ok(Latency::LogNormal { median_us, sigma, min_us, per_pair, jitter_sigma })
        }
        "regions" => {
            let jitter_sigma = options.next().map_or(Ok(REGION_JITTER), number)?;
            let row = |row: [Micros; 5]| row.map(|ms| ms * 1_000).to_vec();
            let median_us = REGIONS.map(row).to_vec();
            Ok(Latency::Regions { median_us, jitter_sigma, min_us: 2_000 })
        }
        _ if text.contains(':') => unknown(kind, "lognormal or regions"),
        _ => Ok(Latency::Constant { delay_us: duration(text)? }),
    }
}

/// One way, in ms: North America, South America, Europe, Asia, Oceania. About half of what round trips
/// between the data centres of large providers take, and some ms for the last mile.
const REGIONS: [[Micros; 5]; 5] = [
    [25, 70, 50, 90, 95],
    [70, 20, 100, 150, 150],
    [50, 100, 15, 95, 135],
    [90, 150, 95, 35, 65],
    [95, 150, 135, 65, 15],
];
const REGION_JITTER: f64 = 0.2;

/// `5%`, or in bursts: `burst:5%,10` for 10 datagrams in a row on average.
pub(crate) fn loss(text: &str) -> Result<Loss, String> {
    let Some(options) = text.strip_prefix("burst:") else {
        let loss = part(text)?;
        return Ok(if loss > 0.0 { Loss::Independent(loss) } else { Loss::None });
    };
    let options: Vec<_> = options.split(',').collect();
    let (mean, length, bad) = match *options {
        [mean, length] => (mean, length, "100%"),
        [mean, length, bad] => (mean, length, bad),
        _ => return Err("write burst:LOSS,LENGTH, such as burst:5%,10".to_owned()),
    };
    let (mean, length, loss_bad) = (part(mean)?, number(length)?, part(bad)?);
    if length < 1.0 {
        return Err(format!("bursts are at least 1 datagram long, not {length}"));
    }
    if mean >= loss_bad {
        return Err("the loss in bursts must be more than that on the whole".to_owned());
    }
    let bad_share = mean / loss_bad;
    let (p_bad_to_good, loss_good) = (1.0 / length, 0.0);
    let p_good_to_bad = p_bad_to_good * bad_share / (1.0 - bad_share);
    if p_good_to_bad > 1.0 {
        return Err("bursts of that length can't be so frequent: make them longer".to_owned());
    }
    Ok(Loss::GilbertElliott { p_good_to_bad, p_bad_to_good, loss_good, loss_bad })
}

/// `1%,100ms`.
pub(crate) fn reorder(text: &str) -> Result<Reorder, String> {
    let Some((probability, extra)) = text.split_once(',') else {
        return Err("write PART,TIME, such as 1%,100ms".to_owned());
    };
    let reorder = Reorder { probability: part(probability)?, extra_us: duration(extra)? };
    checked(reorder, Link { reorder, ..Link::default() }.check())
}

/// `symmetric:20%`, `port-restricted:30%x16,timeout=30s`.
pub(crate) fn nat(text: &str) -> Result<NatGroup, String> {
    let Some((kind, options)) = text.split_once(':') else {
        return Err("write KIND:PART, such as symmetric:20%".to_owned());
    };
    let kinds = "full-cone, address-restricted, port-restricted, symmetric or firewall";
    let kind = Kind::from_str(kind).or_else(|_| unknown(kind, kinds))?;
    let mut options = options.split(',');
    let who = options.next().unwrap_or_default();
    let (who, share) = who.split_once('x').map_or(Ok((who, 1)), |(who, share)| {
        count_between(1, u32::MAX)(share).map(|share| (who, share))
    })?;
    let mut nat = Nat { kind, ..Nat::default() };
    for option in options {
        match option.split_once('=') {
            None if option == "no-hairpin" => nat.hairpin = false,
            None if option == "random-ports" => nat.ports = Ports::Random,
            Some(("timeout", time)) => nat.timeout_us = duration(time)?,
            _ => return unknown(option, "timeout=TIME, no-hairpin or random-ports"),
        }
    }
    checked(NatGroup { part: part(who)?, share, nat }, nat.check())
}

/// `usual`, `alone`, `networks=20%x40,servers=5%x50,nats=30%x20`.
pub(crate) fn addresses(text: &str) -> Result<Sharers, String> {
    match text {
        "usual" => return Ok(Sharers(Some(Addresses::default()))),
        "alone" => return Ok(Sharers(None)),
        _ => {}
    }
    let none = Sharing::NONE;
    let mut addresses = Addresses { networks: none, servers: none, nats: none };
    for option in text.split(',') {
        let (field, sharing) = match option.split_once('=') {
            Some(("networks", sharing)) => (&mut addresses.networks, sharing),
            Some(("servers", sharing)) => (&mut addresses.servers, sharing),
            Some(("nats", sharing)) => (&mut addresses.nats, sharing),
            _ => {
                let expected = "usual, alone, networks=PARTxN, servers=PARTxN or nats=PARTxN";
                return unknown(option, expected);
            }
        };
        let Some((of, most)) = sharing.split_once('x') else {
            return Err(format!("write {option}xN: shared by 2 up to N, such as 20%x40"));
        };
        *field = Sharing { part: part(of)?, most: count(most)? };
    }
    checked(Sharers(Some(addresses)), addresses.check())
}

/// The model of shared addresses; `None`: each host stands alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sharers(pub(crate) Option<Addresses>);

/// `grind`, `flood-ids:victim=3,at=1m,for=30s,rate=1000,hosts=4`.
pub(crate) fn attack(text: &str) -> Result<Attack, String> {
    let (kind, options) = text.split_once(':').unwrap_or((text, ""));
    let Ok(known) = AttackKind::from_str(kind) else {
        let kinds: Vec<_> = AttackKind::ALL.iter().map(ToString::to_string).collect();
        return unknown(kind, &kinds.join(", "));
    };
    let mut attack = Attack::from(known);
    let mut said = BTreeSet::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let name = option.split('=').next().unwrap_or_default();
        // Who stands beside a node has to say which.
        let placed = name == "victim" && options.contains("stands=beside");
        if known.unused().contains(&name) && !placed {
            return Err(format!("`{name}` makes no difference to {kind}"));
        }
        if !said.insert(name) {
            return Err(format!("`{name}` is there twice"));
        }
        match option.split_once('=') {
            Some(("at", time)) => attack.at_us = duration(time)?,
            Some(("for", time)) => attack.for_us = duration(time)?,
            Some(("victim", node)) => attack.victim = host(node)?.0,
            Some(("rate", rate)) => attack.rate = count(rate)?,
            Some(("hosts", hosts)) => attack.hosts = count(hosts)?,
            Some(("stands", place)) => {
                let known = Stands::from_str(place);
                attack.stands = known.or_else(|_| unknown(place, "apart, together or beside"))?;
            }
            _ => {
                let expected = "victim=NODE, at=TIME, for=TIME, rate=N, hosts=N or stands=WHERE";
                return unknown(option, expected);
            }
        }
    }
    Ok(attack)
}

/// `60m`, `weibull:60m,0.5`, `pareto:20m,1.5`, `fixed:60m`.
fn length(text: &str) -> Result<Length, String> {
    let two = |options: &str| match options.split_once(',') {
        Some((time, shape)) => Ok((duration(time)?, number(shape)?)),
        None => Err("write weibull:SCALE,SHAPE or pareto:LEAST,SHAPE".to_owned()),
    };
    match text.split_once(':') {
        None => Ok(Length::Exponential { mean_us: duration(text)? }),
        Some(("fixed", time)) => Ok(Length::Fixed { length_us: duration(time)? }),
        Some(("weibull", options)) => {
            two(options).map(|(scale_us, shape)| Length::Weibull { scale_us, shape })
        }
        Some(("pareto", options)) => {
            two(options).map(|(min_us, shape)| Length::Pareto { min_us, shape })
        }
        Some((kind, _)) => unknown(kind, "weibull, pareto or fixed"),
    }
}

/// How long nodes stay, or `off`.
pub(crate) fn churn(text: &str) -> Result<Churning, String> {
    if text == "off" {
        return Ok(Churning::Off);
    }
    let session = length(text)?;
    checked(Churning::For(session), Churn { session, ..CHURN }.check())
}

/// How long they stay away.
pub(crate) fn downtime(text: &str) -> Result<Length, String> {
    let downtime = length(text)?;
    checked(downtime, Churn { downtime, ..CHURN }.check())
}

const HOUR: Length = Length::Fixed { length_us: 3_600_000_000 };
const CHURN: Churn = Churn::new(HOUR, HOUR);

/// A value, unless there is something wrong with it: then the fault, in words of options instead of scripts,
/// `mean` instead of `session.mean_us`.
pub(crate) fn checked<T>(value: T, check: Result<(), String>) -> Result<T, String> {
    check.map(|()| value).map_err(|wrong| {
        let plain = |word: &str| match word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => {
                let field = word.rsplit('.').next().unwrap_or(word);
                field.trim_end_matches("_us").replace('_', " ")
            }
            false => word.to_owned(),
        };
        wrong.split(' ').map(plain).collect::<Vec<_>>().join(" ")
    })
}

/// An unknown word, and the known ones.
pub(crate) fn unknown<T>(word: &str, known: &str) -> Result<T, String> {
    Err(format!("`{word}` is not known here: expected {known}"))
}

/// Whether something is so.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

/// Whether and how long nodes stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Churning {
    /// For ever.
    Off,
    /// For so long.
    For(Length),
}

/// A host by its number, or by its address.
pub(crate) fn host(text: &str) -> Result<HostId, String> {
    let known = count(text).ok().map(HostId);
    let known = known.or_else(|| text.parse().ok().and_then(Sim::host_at));
    known.ok_or_else(|| format!("`{text}` is no host: write 17, or its address, 11.0.17.1"))
}

/// A host, and where to write what it does.
pub(crate) fn host_and_file(text: &str) -> Result<(HostId, PathBuf), String> {
    match text.split_once(':') {
        Some((node, file)) if !file.is_empty() => Ok((host(node)?, file.into())),
        _ => Err("write HOST:FILE, such as 17:17.pcap".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1_000;
    const MINUTE: Micros = 60_000_000;

    #[test]
    fn latencies() {
        assert_eq!(latency("80ms"), Ok(Latency::Constant { delay_us: 80 * MS }));
        let uniform = Latency::Uniform { min_us: 20 * MS, max_us: 120 * MS };
        assert_eq!(latency("20ms..120ms"), Ok(uniform));
        let log_normal = |min_us, per_pair, jitter_sigma| Latency::LogNormal {
            median_us: 80 * MS,
            sigma: 0.5,
            min_us,
            per_pair,
            jitter_sigma,
        };
        assert_eq!(latency("lognormal:80ms,0.5"), Ok(log_normal(8 * MS, false, 0.0)));
        let all = latency("lognormal:80ms,0.5,per-pair,jitter=0.1,min=5ms");
        assert_eq!(all, Ok(log_normal(5 * MS, true, 0.1)));
        for good in ["regions", "regions:0.1"] {
            latency(good).unwrap();
        }
        for (bad, said) in [
            ("4000s", "delay is 4000 s, but must be between 0 s and 2 min"),
            ("2s..1s", "min must not be above max"),
            ("lognormal:80ms,0.5,jitter=0.1", "jitter sigma must be 0 without per pair"),
        ] {
            assert_eq!(latency(bad), Err(said.to_owned()));
        }
        for bad in ["", "80", "lognormal", "lognormal:80ms", "lognormal:80ms,0.5,x", "normal:1s"] {
            latency(bad).unwrap_err();
        }
    }

    #[test]
    fn losses() {
        assert_eq!(loss("5%"), Ok(Loss::Independent(0.05)));
        assert_eq!(loss("0"), Ok(Loss::None));
        for (text, mean) in [("burst:5%,10", 0.05), ("burst:5%,10,50%", 0.05)] {
            let loss = loss(text).unwrap();
            assert!((loss.mean() - mean).abs() < 1e-12, "{loss:?}");
        }
        for bad in ["burst:", "burst:5%", "burst:5%,0", "burst:50%,10,50%", "burst:90%,1", "5"] {
            loss(bad).unwrap_err();
        }
        let held = Reorder { probability: 0.01, extra_us: 100 * MS };
        assert_eq!(reorder("1%,100ms"), Ok(held));
        for bad in ["1%", "1%,0", "1%,9999h"] {
            reorder(bad).unwrap_err();
        }
    }

    #[test]
    fn nats() {
        let group = nat("symmetric:20%x16,timeout=30s,no-hairpin,random-ports").unwrap();
        assert_eq!((group.part, group.share, group.nat.kind), (0.2, 16, Kind::Symmetric));
        assert_eq!((group.nat.timeout_us, group.nat.hairpin), (30_000 * MS, false));
        assert_eq!(group.nat.ports, Ports::Random);
        assert_eq!(nat("full-cone:0.5").unwrap().share, 1);
        for bad in ["symmetric", "cone:5%", "symmetric:20%y", "symmetric:20%x", "symmetric:5%x0"] {
            nat(bad).unwrap_err();
        }
        assert_eq!(nat("symmetric:5%,timeout=0"), Err("timeout must not be 0".to_owned()));
    }

    #[test]
    fn who_shares_addresses() {
        assert_eq!(addresses("usual"), Ok(Sharers(Some(Addresses::default()))));
        assert_eq!(addresses("alone"), Ok(Sharers(None)));
        let Sharers(some) = addresses("networks=20%x40,nats=0.3x20").unwrap();
        let usual = Addresses::default();
        assert_eq!(some, Some(Addresses { servers: Sharing::NONE, ..usual }));
        for bad in ["", "networks", "networks=20%", "hosts=5%x2", "servers=5%x1", "servers=5%x101"]
        {
            addresses(bad).unwrap_err();
        }
    }

    #[test]
    fn attacks() {
        let plain = Attack::from(AttackKind::FloodIds);
        assert_eq!(attack("flood-ids"), Ok(plain));
        let all = attack("flood-ids:victim=11.0.17.1,at=1m,for=30s,rate=1k,hosts=4").unwrap();
        let (at_us, for_us) = (MINUTE, 30_000 * MS);
        assert_eq!(all, Attack { victim: 17, at_us, for_us, rate: 1_000, hosts: 4, ..plain });
        let beside = attack("lie-near:stands=beside,victim=5").unwrap();
        assert_eq!((beside.stands, beside.victim), (Stands::Beside, 5));
        for bad in ["", "lie", "lie_doors", "grind:5", "grind:port=1", "grind:at=5", "grind:rate=x"]
        {
            attack(bad).unwrap_err();
        }
        for (text, said) in [
            ("grind:victim=3,victim=4", "`victim` is there twice"),
            ("spoof:rate=5", "`rate` makes no difference to spoof"),
            ("replay:hosts=5", "`hosts` makes no difference to replay"),
            ("guess:hosts=5", "`hosts` makes no difference to guess"),
            ("lie-dead:victim=5", "`victim` makes no difference to lie-dead"),
            ("guess:stands=beside", "`stands` makes no difference to guess"),
        ] {
            assert_eq!(attack(text), Err(said.to_owned()));
        }
        assert!(attack("lie").unwrap_err().contains("expected guess, spoof, grind, grind-dead,"));
    }

    #[test]
    fn lengths() {
        assert_eq!(length("60m"), Ok(Length::Exponential { mean_us: 60 * MINUTE }));
        let weibull = Length::Weibull { scale_us: 60 * MINUTE, shape: 0.5 };
        assert_eq!(length("weibull:60m,0.5"), Ok(weibull));
        let pareto = Length::Pareto { min_us: 20 * MINUTE, shape: 1.5 };
        assert_eq!(length("pareto:20m,1.5"), Ok(pareto));
        assert_eq!(churn("off"), Ok(Churning::Off));
        for bad in ["60", "weibull:60m", "gamma:60m,1", "off"] {
            length(bad).unwrap_err();
        }
        assert_eq!(churn("1s"), Ok(Churning::For(Length::Exponential { mean_us: 1_000 * MS })));
        for (bad, said) in [
            ("999ms", "session must last 1 s on average at least"),
            ("pareto:400ms,2", "session must last 1 s on average at least"),
            ("weibull:60m,0.01", "shape is 0.01, but must be between 0.2 and 20"),
        ] {
            assert_eq!(churn(bad), Err(said.to_owned()), "{bad}");
        }
        assert_eq!(downtime("1us"), Ok(Length::Exponential { mean_us: 1 }));
        let said = "mean is 0 s, but must be between 1 µs and 36600 d";
        assert_eq!(downtime("0"), Err(said.to_owned()));
    }

    #[test]
    fn hosts_have_numbers_and_addresses() {
        for text in ["17", "11.0.17.1"] {
            assert_eq!(host(text), Ok(HostId(17)));
        }
        assert_eq!(host_and_file("3:a:b.pcap"), Ok((HostId(3), "a:b.pcap".into())));
        for bad in ["", "x", "11.0.17.2", "-1"] {
            host(bad).unwrap_err();
        }
        for bad in ["3", "3:", ":x", "x:y"] {
            host_and_file(bad).unwrap_err();
        }
    }
}
