use proptest::prelude::*;

use super::*;

impl Carried {
    /// The arrivals: none, one or two.
    fn deliveries(self) -> impl Iterator<Item = Delivery> {
        let (first, second) = match self {
            Self::Lost | Self::TooLong => (None, None),
            Self::Once(first) => (Some(first), None),
            Self::Twice(first, second) => (Some(first), Some(second)),
        };
        first.into_iter().chain(second)
    }
}

const N: u32 = 50_000;

fn path(from: u32, to: u32) -> Path {
    Path { seed: 7, from, to, from_region: 0, to_region: 0 }
}

fn stream() -> Stream {
    Stream::new(7, Purpose::Link, 1)
}

/// What becomes of `N` datagrams of 100 bytes from host 1 to host 2.
fn carried(link: &Link) -> Vec<Carried> {
    link.check().unwrap();
    let (mut state, mut rng) = (LinkState::default(), stream());
    (0..N).map(|_| link.carry(&mut state, &mut rng, path(1, 2), 100)).collect()
}

fn with_latency(latency: Latency) -> Link {
    Link { latency, ..Link::default() }
}

fn world() -> Latency {
    Latency::Regions {
        median_us: vec![vec![5_000, 80_000], vec![90_000, 6_000]],
        jitter_sigma: 0.1,
        min_us: 3_000,
    }
}

/// The share of `N` that `count` is.
fn share(count: usize) -> f64 {
    count as f64 / f64::from(N)
}

/// The delays of `count` datagrams between two hosts, sorted.
fn delays(link: &Link, path: Path, count: usize) -> Vec<Micros> {
    link.check().unwrap();
    let (mut state, mut rng) = (LinkState::default(), stream());
    let mut delays: Vec<_> = (0..count)
        .flat_map(|_| link.carry(&mut state, &mut rng, path, 100).deliveries())
        .map(|delivery| delivery.delay_us)
        .collect();
    delays.sort_unstable();
    delays
}

/// No datagram arrives sooner.
fn least(link: &Link) -> Micros {
    match link.latency {
        Latency::Constant { delay_us } => delay_us,
        Latency::Uniform { min_us, .. }
        | Latency::LogNormal { min_us, .. }
        | Latency::Regions { min_us, .. } => min_us,
    }
    .min(DELAY_MAX_US)
}

#[test]
fn the_default_only_takes_time() {
    let link = Link::default();
    let once = Carried::Once(Delivery { delay_us: 40_000, damage: Damage::None });
    assert!(carried(&link).iter().all(|carried| *carried == once));
    assert_eq!(link.loss.mean(), 0.0);
}

#[test]
fn each_probability_is_kept_to() {
    let link = Link {
        loss: Loss::Independent(0.1),
        duplicate: 0.2,
        reorder: Reorder { probability: 0.3, extra_us: 1_000 },
        corrupt: 0.25,
        truncate: 0.5,
        ..Link::default()
    };
    let carried = carried(&link);
    let lost = carried.iter().filter(|c| **c == Carried::Lost).count();
    let twice = carried.iter().filter(|c| matches!(c, Carried::Twice(..))).count();
    assert!((share(lost) - 0.1).abs() < 0.01);
    assert!((share(twice) - 0.9 * 0.2).abs() < 0.01);
    let deliveries: Vec<_> = carried.iter().flat_map(|c| c.deliveries()).collect();
    let of_all = |test: fn(&Delivery) -> bool| {
        deliveries.iter().filter(|d| test(d)).count() as f64 / deliveries.len() as f64
    };
    assert!((of_all(|d| d.delay_us > 40_000) - 0.3).abs() < 0.01);
    assert!((of_all(|d| matches!(d.damage, Damage::Truncate(_))) - 0.5).abs() < 0.01);
    assert!((of_all(|d| matches!(d.damage, Damage::FlipByte { .. })) - 0.5 * 0.25).abs() < 0.01);
    assert!(deliveries.iter().all(|d| (40_000..=41_000).contains(&d.delay_us)));
    assert!(deliveries.iter().any(|d| d.delay_us == 41_000));
}

#[test]
fn to_turn_a_feature_off_leaves_the_others_as_they_were() {
    let all = Link {
        latency: Latency::Uniform { min_us: 1, max_us: 1_000_000 },
        loss: Loss::Independent(0.1),
        duplicate: 0.2,
        reorder: Reorder { probability: 0.3, extra_us: 1_000 },
        corrupt: 0.2,
        truncate: 0.2,
        ..Link::default()
    };
    let before = carried(&all);
    let original = |c: &Carried| c.deliveries().next();
    for (now, without) in [
        Link { duplicate: 0.0, ..all.clone() },
        Link { loss: Loss::None, ..all.clone() },
        Link { reorder: Reorder::default(), ..all.clone() },
        Link { truncate: 0.0, corrupt: 0.0, ..all.clone() },
    ]
    .iter()
    .map(carried)
    .zip(["duplicate", "loss", "reorder", "damage"])
    {
        for (before, now) in before.iter().zip(&now) {
            match (original(before), original(now)) {
                (None, now) => assert_eq!(now.is_some(), without == "loss"),
                (Some(before), Some(now)) => {
                    let same_delay = before.delay_us == now.delay_us || without == "reorder";
                    assert!(same_delay && now.delay_us <= before.delay_us, "{without}");
                    assert!(before.damage == now.damage || without == "damage");
                }
                (Some(_), None) => panic!("lost without {without}"),
            }
        }
    }
}

#[test]
fn a_copy_has_a_delay_and_damage_of_its_own() {
    let latency = Latency::Uniform { min_us: 0, max_us: 1_000 };
    let link = Link { latency, duplicate: 1.0, truncate: 0.5, ..Link::default() };
    let (mut sooner, mut both_whole) = (0, 0);
    for carried in carried(&link) {
        let Carried::Twice(original, copy) = carried else { panic!("{carried:?}") };
        sooner += usize::from(copy.delay_us < original.delay_us);
        both_whole += usize::from([original, copy].map(|d| d.damage) == [Damage::None; 2]);
    }
    assert!((share(sooner) - 0.5).abs() < 0.01);
    assert!((share(both_whole) - 0.25).abs() < 0.01);
}

#[test]
fn one_number_of_the_stream_per_datagram() {
    let mut link = Link { latency: world(), loss: Loss::Independent(0.5), ..Link::default() };
    for duplicate in [0.0, 1.0] {
        link.duplicate = duplicate;
        let (mut state, mut rng, mut other) = (LinkState::default(), stream(), stream());
        for len in 0..2_000 {
            link.carry(&mut state, &mut rng, path(1, 2), len);
            other.next();
            assert_eq!(rng, other);
        }
    }
}

#[test]
fn the_mtu_counts_headers() {
    let link = Link { mtu: 1_228, ..Link::default() };
    let (mut state, mut rng) = (LinkState::default(), stream());
    let mut carry = |len| link.carry(&mut state, &mut rng, path(1, 2), len);
    assert!(matches!(carry(1_200), Carried::Once(_)));
    assert_eq!(carry(1_201), Carried::TooLong);
    assert_eq!(carry(usize::MAX), Carried::TooLong);
}

#[test]
fn losses_come_in_bursts() {
    let loss = Loss::GilbertElliott {
        p_good_to_bad: 0.02,
        p_bad_to_good: 0.2,
        loss_good: 0.0,
        loss_bad: 0.9,
    };
    let link = Link { loss, ..Link::default() };
    let lost: Vec<bool> = carried(&link).iter().map(|c| *c == Carried::Lost).collect();
    let (all, in_a_row) = (
        lost.iter().filter(|lost| **lost).count(),
        lost.windows(2).filter(|pair| pair == &[true, true]).count(),
    );
    // Bad: 0.02 / 0.22 of the time.
    assert!((loss.mean() - 0.9 * 0.02 / 0.22).abs() < 1e-12);
    assert!((share(all) - loss.mean()).abs() < 0.01, "{}", share(all));
    // After a loss the spell goes on with 0.8, and the next one is lost with 0.9 then.
    let follows = in_a_row as f64 / all as f64;
    assert!((follows - 0.72).abs() < 0.03, "{follows}");
    assert!((link.loss.bad_share() - 0.02 / 0.22).abs() < 1e-12);
}

#[test]
fn a_spell_may_last_for_ever() {
    let never = Loss::GilbertElliott {
        p_good_to_bad: 0.0,
        p_bad_to_good: 0.0,
        loss_good: 0.0,
        loss_bad: 1.0,
    };
    let link = Link { loss: never, ..Link::default() };
    assert!(carried(&link).iter().all(|c| *c != Carried::Lost));
    assert_eq!((never.mean(), never.bad_share()), (0.0, 0.0));
}

#[test]
fn a_log_normal_delay_has_its_median_and_least() {
    let link = with_latency(Latency::LogNormal {
        median_us: 40_000,
        sigma: 0.5,
        min_us: 20_000,
        per_pair: false,
        jitter_sigma: 0.0,
    });
    let delays = delays(&link, path(1, 2), 10_000);
    assert!((39_000..41_000).contains(&delays[5_000]), "{}", delays[5_000]);
    // One in 40 is 1.96 deviations up: 40 ms * e^0.98.
    assert!((103_000..111_000).contains(&delays[9_750]), "{}", delays[9_750]);
    assert_eq!(delays[0], least(&link));
}

#[test]
fn a_pair_of_hosts_keeps_its_median_both_ways() {
    let link = with_latency(Latency::LogNormal {
        median_us: 40_000,
        sigma: 0.5,
        min_us: 1,
        per_pair: true,
        jitter_sigma: 0.05,
    });
    let median = |from, to| delays(&link, path(from, to), 999)[499];
    for (from, to) in [(1, 2), (2, 3), (1, 3), (4, 4)] {
        let there = delays(&link, path(from, to), 999);
        assert_eq!(there, delays(&link, path(to, from), 999));
        assert!(there[998] < there[0] * 2, "{there:?}");
    }
    let mut medians: Vec<_> = (0..500).map(|to| median(1_000, to)).collect();
    medians.sort_unstable();
    assert!((37_000..43_000).contains(&medians[250]), "{}", medians[250]);
    assert!(medians[499] > 2 * medians[250]);
    let other_seed = Path { seed: 8, ..path(1, 2) };
    assert_ne!(delays(&link, other_seed, 1), delays(&link, path(1, 2), 1));
}

#[test]
fn regions_are_as_far_as_the_matrix_says() {
    let link = with_latency(world());
    assert_eq!(least(&link), 3_000);
    // Region 3 is region 1.
    for (from_region, to_region, expected) in
        [(0, 0, 5_000), (0, 1, 80_000), (1, 0, 90_000), (1, 1, 6_000), (3, 2, 90_000)]
    {
        let median = delays(&link, Path { from_region, to_region, ..path(1, 2) }, 999)[499];
        assert!((expected * 98 / 100..expected * 102 / 100).contains(&median), "{median}");
    }
}

/// Sums of 1,000 delays, and so on every machine, in debug and in release.
#[test]
fn the_same_on_every_machine() {
    let log_normal = |per_pair, jitter_sigma| Latency::LogNormal {
        median_us: 40_000,
        sigma: 0.5,
        min_us: 2_000,
        per_pair,
        jitter_sigma,
    };
    let sums = [
        Latency::Uniform { min_us: 1_000, max_us: 99_000 },
        log_normal(false, 0.0),
        log_normal(true, 0.05),
        world(),
    ]
    .map(|latency| delays(&with_latency(latency), path(1, 2), 1_000).iter().sum::<Micros>());
    assert_eq!(sums, [48_803_557, 44_427_656, 30_167_514, 4_998_081]);
}

#[test]
fn damage_is_done_in_place() {
    let sent = [1, 2, 3, 4];
    for (damage, arrives) in [
        (Damage::None, &[1, 2, 3, 4][..]),
        (Damage::FlipByte { at: 1, xor: 0xff }, &[1, 0xfd, 3, 4]),
        (Damage::FlipByte { at: 4, xor: 1 }, &[1, 2, 3, 4]),
        (Damage::Truncate(3), &[1, 2, 3]),
        (Damage::Truncate(0), &[]),
        (Damage::Truncate(5), &[1, 2, 3, 4]),
    ] {
        let mut bytes = sent;
        let len = damage.apply(&mut bytes);
        assert_eq!(&bytes[..len], arrives, "{damage:?}");
    }
}

#[test]
fn both_bits_and_bytes_are_flipped() {
    let link = Link { corrupt: 1.0, ..Link::default() };
    let flips: Vec<u8> = carried(&link)
        .iter()
        .flat_map(|c| c.deliveries())
        .map(|delivery| match delivery.damage {
            Damage::FlipByte { at, xor } => {
                assert!(at < 100);
                xor
            }
            damage => panic!("{damage:?}"),
        })
        .collect();
    assert!(flips.iter().all(|xor| *xor != 0));
    assert!((1..=255).all(|xor| flips.contains(&xor)));
    // Half of them, and 8 of the 255 other values.
    let bits = flips.iter().filter(|xor| xor.count_ones() == 1).count();
    assert!((share(bits) - 0.516).abs() < 0.01);
}

#[test]
fn the_rules_say_which_number_is_wrong() {
    let ok = Link::default();
    let pairs = |min_us, per_pair, jitter_sigma| {
        with_latency(Latency::LogNormal {
            median_us: 10,
            sigma: 0.5,
            min_us,
            per_pair,
            jitter_sigma,
        })
    };
    let regions = |rows: &[&[Micros]], jitter_sigma| {
        with_latency(Latency::Regions {
            median_us: rows.iter().map(|row| row.to_vec()).collect(),
            jitter_sigma,
            min_us: 5,
        })
    };
    let bursts = |p_good_to_bad, loss_good| Link {
        loss: Loss::GilbertElliott { p_good_to_bad, p_bad_to_good: 0.1, loss_good, loss_bad: 0.5 },
        ..Link::default()
    };
    for (link, field) in [
        (Link { mtu: 28, ..ok.clone() }, "mtu"),
        (Link { duplicate: 1.5, ..ok.clone() }, "duplicate"),
        (Link { corrupt: f64::NAN, ..ok.clone() }, "corrupt"),
        (Link { truncate: -0.1, ..ok.clone() }, "truncate"),
        (Link { loss: Loss::Independent(2.0), ..ok.clone() }, "loss.independent"),
        (bursts(-1.0, 0.0), "loss.p_good_to_bad"),
        (bursts(0.1, 0.6), "loss.loss_good"),
        (
            Link { reorder: Reorder { probability: 0.1, extra_us: 0 }, ..ok.clone() },
            "reorder.extra_us",
        ),
        (
            Link { reorder: Reorder { probability: 7.0, extra_us: 1 }, ..ok.clone() },
            "reorder.probability",
        ),
        (with_latency(Latency::Constant { delay_us: DELAY_MAX_US + 1 }), "latency.delay_us"),
        (with_latency(Latency::Uniform { min_us: 2, max_us: 1 }), "latency.min_us"),
        (with_latency(Latency::Uniform { min_us: 2, max_us: u64::MAX }), "latency.max_us"),
        (pairs(11, false, 0.0), "latency.min_us"),
        (pairs(1, false, 0.1), "latency.jitter_sigma"),
        (pairs(1, true, f64::INFINITY), "latency.jitter_sigma"),
        (regions(&[], 0.1), "latency.median_us "),
        (regions(&[&[9, 9], &[9]], 0.1), "latency.median_us[1] "),
        (regions(&[&[9, 9], &[9, 4]], 0.1), "latency.median_us[1][1] "),
        (regions(&[&[9]], -0.1), "latency.jitter_sigma"),
    ] {
        let error = link.check().unwrap_err();
        assert!(error.starts_with(field), "{error}");
    }
    for link in [ok, pairs(10, true, 0.1), regions(&[&[9, 9], &[9, 5]], 0.0), bursts(0.0, 0.5)] {
        assert_eq!(link.check(), Ok(()));
    }
}

#[test]
fn rules_are_read_from_json() {
    let json = r#"{
        "latency": {"log_normal": {
            "median_us": 40000, "sigma": 0.5, "min_us": 2000, "per_pair": true, "jitter_sigma": 0.05
        }},
        "loss": {"independent": 0.05}
    }"#;
    let link: Link = serde_json::from_str(json).unwrap();
    assert_eq!((link.loss, link.mtu), (Loss::Independent(0.05), 1500));
    let again = serde_json::from_str(&serde_json::to_string(&link).unwrap()).unwrap();
    assert_eq!(link, again);
    for unknown in [
        r#"{"lost": 0.1}"#,
        r#"{"latency": {"constant": {"delay": 1}}}"#,
        r#"{"reorder": {"probability": 0.1, "extra_us": 1, "more": 1}}"#,
    ] {
        let error = serde_json::from_str::<Link>(unknown).unwrap_err().to_string();
        assert!(error.starts_with("unknown field"), "{error}");
    }
}

fn latency() -> impl Strategy<Value = Latency> {
    let micros = || 1..=DELAY_MAX_US;
    prop_oneof![
        micros().prop_map(|delay_us| Latency::Constant { delay_us }),
        (micros(), micros())
            .prop_map(|(a, b)| Latency::Uniform { min_us: a.min(b), max_us: a.max(b) }),
        (micros(), micros(), 0.0..3.0, 0.0..3.0, any::<bool>()).prop_map(
            |(a, b, sigma, jitter_sigma, per_pair)| Latency::LogNormal {
                median_us: a.max(b),
                sigma,
                min_us: a.min(b),
                per_pair,
                jitter_sigma: if per_pair { jitter_sigma } else { 0.0 },
            }
        ),
        (micros(), 0.0..3.0).prop_map(|(min_us, jitter_sigma)| Latency::Regions {
            median_us: vec![vec![min_us, DELAY_MAX_US], vec![DELAY_MAX_US, min_us]],
            jitter_sigma,
            min_us,
        }),
    ]
}

proptest! {
    #[test]
    fn what_arrives_is_within_the_rules(
        latency in latency(),
        faults: (u8, u8, u8, u8, u8),
        seed: u64,
        hosts: (u32, u32),
        regions: (u8, u8),
        len in 0..2_000_usize,
    ) {
        let p = |n: u8| f64::from(n) / 255.0;
        let link = Link {
            latency,
            loss: Loss::Independent(p(faults.0)),
            duplicate: p(faults.1),
            reorder: Reorder { probability: p(faults.2), extra_us: DELAY_MAX_US },
            corrupt: p(faults.3),
            truncate: p(faults.4),
            ..Link::default()
        };
        prop_assert_eq!(link.check(), Ok(()));
        let path = Path {
            seed,
            from: hosts.0,
            to: hosts.1,
            from_region: regions.0,
            to_region: regions.1,
        };
        let mut rng = Stream::new(seed, Purpose::Link, hosts.0);
        let carried = link.carry(&mut LinkState::default(), &mut rng, path, len);
        prop_assert!(carried != Carried::TooLong || len > 1_472);
        for delivery in carried.deliveries() {
            prop_assert!((least(&link)..=DELAY_MAX_US).contains(&delivery.delay_us));
            match delivery.damage {
                Damage::None => {}
                Damage::FlipByte { at, xor } => prop_assert!(usize::from(at) < len && xor != 0),
                Damage::Truncate(left) => prop_assert!(usize::from(left) < len),
            }
        }
    }
}
