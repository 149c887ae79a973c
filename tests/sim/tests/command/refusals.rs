//! What is refused before anything is run, and in which words.

use super::*;

#[test]
fn corrupt_scripts_are_refused_with_their_line() {
    let dir = Dir::new("corrupt");
    let refused = |content: &str| {
        dir.write("s.json", content);
        assert_eq!(dir.refuses(&["--script", "s.json"]), dir.refuses(&["replay", "s.json"]));
        dir.refuses(&["--script", "s.json"])
    };
    let said = refused("{\"version\": 1,\n \"nodez\": 5\n}");
    assert!(said.starts_with("error: s.json:2: unknown field `nodez`, expected one of"), "{said}");
    assert!(refused("nodes: 5").starts_with("error: s.json:1: this is no JSON"));
    let said = refused("{\"version\": 9}");
    assert!(said.starts_with("error: s.json: version 9, but only version 1 is known"), "{said}");
    assert!(refused("{\n\"nodes\": 5,\n").contains("s.json:3: the text ends here"));
    assert!(refused("").contains("cut short"));
    assert!(refused("{}").starts_with("error: s.json: no version: a scenario begins with"));
    let said = dir.refuses(&["replay", "/dev/zero"]);
    assert!(said.starts_with("error: /dev/zero: no scenario is longer than 16 MB"), "{said}");
    let stores = r#""faults": [{"at_us": 0, "fault": "stores", "host": 0, "count": 1}]"#;
    dir.write("s.json", format!(r#"{{"version": 1, {stores}}}"#));
    let said = dir.refuses(&["--script", "s.json"]);
    assert_eq!(
        said,
        "error: s.json: faults[0]: stores need checks: no node stores anything without\n"
    );
    dir.prints(&["--script", "s.json", "--checks", "--dry-run"]);
    let store = r#"{"at_us": 0, "fault": "stores", "host": 0, "count": 1}"#;
    assert!(dir.refuses(&["--fault", store]).contains("stores need checks"));
    dir.prints(&["--fault", store, "--checks", "--dry-run"]);
    let said = dir.refuses(&["--script", "missing.json"]);
    assert!(said.starts_with("error: missing.json: "), "{said}");
    // What is JSON but can't be.
    dir.write("s.json", "{\"version\": 1, \"nodes\": 1}");
    assert_eq!(refused_as_script(&dir), "error: s.json: nodes must be at least 2\n");
    // Of options, an option is to blame.
    let said = dir.refuses(&["--script", "s.json", "--nodes", "5", "--bootstraps", "7"]);
    assert_eq!(said, "error: --bootstraps must be fewer than nodes\n");
    dir.write(
        "s.json",
        r#"{"version": 1, "run_us": 5000000, "faults": [{"at_us": 6000000, "fault": "rebind_nats"}]}"#,
    );
    let said = dir.refuses(&["replay", "s.json"]);
    let late =
        "error: something happens at 6 s, but the run ends at 5 s: make run_us longer in s.json\n";
    assert_eq!(said, late);
    // A host that there won't be is not taken for another one.
    dir.write(
        "s.json",
        r#"{"version": 1, "faults": [{"at_us": 0, "fault": "crash", "host": 100}]}"#,
    );
    let said = refused_as_script(&dir);
    assert_eq!(said, "error: s.json: faults[0] names host 100, but the last one is 99\n");
    assert_eq!(dir.refuses(&["shrink", "s.json"]), said);
    // Nor is it run for ever.
    let length = r#"{"fixed": {"length_us": 1}}"#;
    dir.write(
        "s.json",
        format!(r#"{{"version": 1, "churn": {{"session": {length}, "downtime": {length}}}}}"#),
    );
    let said = refused_as_script(&dir);
    assert_eq!(said, "error: s.json: churn.session must last 1 s on average at least\n");
}

/// Whether it is run or replayed.
fn refused_as_script(dir: &Dir) -> String {
    let said = dir.refuses(&["--script", "s.json"]);
    assert_eq!(dir.refuses(&["replay", "s.json"]), said);
    said
}

#[test]
fn a_dry_run_refuses_what_the_run_would() {
    let dir = Dir::new("dry");
    dir.write("t.txt", "0 1 up\n");
    let cases: &[(&[&str], &str)] = &[
        (&["--report", "no/such.html"], "no/such.html: No such file or directory\n"),
        (&["--save", "."], ".: is a directory"),
        (&["--pcap", "3:no/such"], "no/such: "),
        (&["--pcap", "3:a", "--report", "./a"], "two outputs can't go to one file"),
        (&["--churn-trace", "t.txt", "--report", "t.txt"], "t.txt: this file is read"),
        (&["--pcap", "100:a"], "there is no host 100: the last one is 99"),
        (&["--timeline", "100"], "there is no host 100: the last one is 99"),
        (&["--fault", r#"{"at_us": 0, "fault": "crash", "host": 100}"#], "the last one is 99"),
    ];
    for (args, expected) in cases {
        let real = [args, &["--write-script", "s.json"][..]].concat();
        let said = dir.refuses(&real);
        assert!(said.contains(expected), "{args:?}: {said}");
        assert_eq!(dir.refuses(&[&real[..], &["--dry-run"]].concat()), said);
    }
    assert_eq!(dir.names(), ["t.txt"], "nothing was written");
    let fine = ["--dry-run", "--report", "r.html", "--pcap", "3:/dev/null", "--timeline", "100"];
    let said = dir.prints(&[&fine[..], &["--flash-crowd", "1", "--heal", "5m"]].concat());
    // 12 minutes, the healing, and the lookups after it.
    assert!(said.starts_with("100 nodes for 17 m 40 s of virtual time"), "{said}");
    assert_eq!(dir.names(), ["t.txt"]);
}

#[test]
fn wrong_usage_is_explained() {
    let dir = Dir::new("usage");
    let cases: &[(&[&str], &str)] = &[
        (&["--loss", "5"], "did you mean 5%?"),
        (&["--time", "60"], "`60` has no unit"),
        (&["--nodes", "ten"], "`ten` is no whole number"),
        (&["--nodes", "100M"], "--nodes must be at most"),
        (&["--nodes", "1"], "--nodes must be at least 2"),
        (&["--nodes", "-5"], "'-5' for '--nodes <N>': `-5` is negative"),
        (&["--time", "-5s"], "'-5s' for '--time <TIME>': `-5s` is negative"),
        (&["--loss", "-5%"], "`-5%` is negative"),
        (&["--seed", "-1"], "`-1` is negative"),
        (&["--concurrency", "-1"], "`-1` is negative"),
        (&["--concurrency", "0"], "'0' for '--concurrency <N>': `0` is not from 1 to 256"),
        (&["--seed", "x"], "`x` is no whole number from 0 to"),
        (&["--mtu", "28"], "`28` is not from 29 to"),
        (
            &["--clock-drift", "200000ppm"],
            "'--clock-drift <PPM>': `200000ppm` is more than a tenth",
        ),
        (&["--time", "0", "--lookups", "5"], "--time must not be 0"),
        (&["--time", "1h", "--lookups", "40M"], "--lookups must be at most 10,000 a second\n"),
        (&["--churn", "1us"], "'--churn <TIME>': session must last 1 s on average at least"),
        (&["--json", "--sample", "0s"], "'--sample <TIME>': `0s` is too often: 10ms at least"),
        (&["--heal", "1m", "--checks=off"], "it can't go with --checks=off"),
        (&["swarm", "--seeds", "0"], "--seeds must not be 0"),
        (&["swarm", "--for", "0s"], "--for must not be 0"),
        (&["--attack", "spoof:rate=5"], "`rate` makes no difference to spoof"),
        (&["swarm", "--seed", "-1"], "`-1` is negative"),
        (&["swarm", "--nodes", "5"], "`5` is not from 10 to 10,000"),
        (&["swarm", "--threads", "65"], "`65` is not from 1 to 64"),
        (&["swarm", "--out", "no/such"], "no/such is no directory"),
        (&["replay", "x", "--seed", "-1"], "`-1` is negative"),
        (&["results", "M8", "--write", "no/such"], "no/such: No such file or directory\n"),
        (&["--nodes", "10", "--bootstraps", "10"], "bootstraps must be fewer than nodes"),
        (&["--latency", "2s..1s"], "'2s..1s' for '--latency <TIME>': min must not be above max"),
        (&["--nat", "symmetric:60%", "--nat", "full-cone:50%"], "parts of --nat are more than 1"),
        (&["--nat", "cone:60%"], "expected full-cone"),
        (&["--churn", "60m", "--churn-trace", "x"], "cannot be used with"),
        (&["--downtime", "5m"], "--downtime is of no use without --churn"),
        (&["--partition", "50% at 5m"], "it has no end"),
        (&["--partition", "50% at 20m for 1m"], "at 20 m, but the run ends at 10 m"),
        (&["--lokups", "5"], "a similar argument exists: '--lookups'"),
        (&["--pcap", "100:a.pcap"], "there is no host 100: the last one is 99"),
        (&["--timeline", "x"], "`x` is no host"),
        (&["--json", "--timeline", "3"], "cannot be used with"),
        (&["--sample", "5s"], "--json"),
        (&["--report", "a", "--save", "a"], "two outputs can't go to one file"),
        (&["--report", "no/such/a.html"], "no/such/a.html: "),
        (&["--save", "a", "--join-over", "0", "--settle", "0"], "give it some --settle time"),
        (&["--nodes", "20", "replay", "x"], "cannot be used with '--nodes <N>'"),
        (&["hash", "--seeds", "1,x"], "invalid value 'x'"),
        (&["--fault", "{}"], "missing field"),
        (
            &["--fault", r#"{"at_us": 0, "fault": "flash_crowd", "nodes": 10, "over_us": 1e19}"#],
            "invalid",
        ),
    ];
    for (args, expected) in cases {
        let said = dir.refuses(args);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    assert_eq!(dir.names(), [""; 0], "nothing was written");
}

#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_into_memory_is_refused_unless_forced() {
    let dir = Dir::new("memory");
    let dry = ["--nodes", "1k", "--flash-crowd", "1M", "--flash-crowd", "1M"];
    let crowds: Vec<_> =
        dry.into_iter().chain(["--flash-crowd", "1M"].into_iter().cycle().take(6)).collect();
    let args = [&crowds[..], &["--dry-run"]].concat();
    let output = dir.run(&args);
    let said = text(&output.stderr);
    // 130 GB: few machines have them.
    if output.status.code() == Some(2) {
        assert!(said.contains("this takes about ") && said.contains("--force"), "{said}");
    }
    let output = dir.run(&[&args[..], &["--force"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).starts_with("this takes about "), "{output:?}");
}

#[test]
fn shrinking_spares_what_it_reads() {
    let dir = Dir::new("shrink");
    // It does not answer, so it is not found.
    let stall = r#"{"at_us": 0, "fault": "stall", "host": 1, "for_us": 600000000}"#;
    let script =
        format!(r#"{{"version": 1, "nodes": 5, "heal_us": 1000000, "faults": [{stall}]}}"#);
    dir.write("small.json", &script);
    let refused = "small.json: this file is read: name another to write\n";
    for args in [&["shrink", "small.json"][..], &["shrink", "small.json", "--out", "./small.json"]]
    {
        assert!(dir.refuses(args).ends_with(refused), "{args:?}");
    }
    assert_eq!(text(&dir.read("small.json")), script);
    let output = dir.run(&["shrink", "small.json", "--out", "s.json", "--for", "1s"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("made small in "), "{said}");
    assert!(said.contains(" attempts: faults and attackers 1 instead of 1, nodes "), "{said}");
    assert_eq!(dir.names(), ["s.json", "small.json"]);
}
