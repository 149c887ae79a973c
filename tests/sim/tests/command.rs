//! The command itself: what it prints, writes and returns, for good input and bad.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// A small network that takes no time worth mentioning.
const SMALL: &[&str] = &["--nodes", "25", "--settle", "20s", "--time", "30s", "--lookups", "20"];

/// What is said about times in such a network.
const ORIGIN: &str = "times are since the first node's start; the network had settled at 1 m 20 s, \
                      from where `at` counts";

/// A directory of a test's own, empty at first, in which commands run.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let dir = env::temp_dir().join(format!("dht-sim-command-{}-{test}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dht-sim"));
        command.args(args).current_dir(&self.0);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command that must succeed prints.
    fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{args:?}");
        text(&output.stdout)
    }

    /// What a command that must be refused says: in one line, unless it is about the options.
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let errors = text(&output.stderr);
        assert!(errors.starts_with("error: "), "{args:?}: {errors}");
        let usage = errors.contains("For more information, try '--help'.");
        assert!(usage || errors.lines().count() == 1, "{args:?}: {errors}");
        errors
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [SMALL, more].concat()
}

fn trace(table: &str) -> String {
    let line = table.lines().find_map(|line| line.strip_prefix("trace hash")).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_run_prints_a_table_and_how_to_run_it_again() {
    let dir = Dir::new("table");
    let args = with(&["--loss", "5%", "--churn", "5m", "--report", "a.html"]);
    let table = dir.prints(&args);
    for name in ["nodes", "time", "datagrams", "recall", "lookup time", "upkeep", "trace hash"] {
        assert!(table.lines().any(|line| line.starts_with(&format!("{name} "))), "{table}");
    }
    // In words, without the names of fields and statistics.
    let said = |words: &str| assert!(table.contains(words), "{words}: {table}");
    said(" lost, ");
    said(" to nodes down or out of reach");
    said("half within ");
    said(" found at least one of the 20 closest nodes");
    assert!(!table.contains("p99") && !table.contains("persistent"), "{table}");
    let again = table.lines().find_map(|line| line.strip_prefix("The same again: cargo sim "));
    let again: Vec<_> = again.unwrap().split(' ').collect();
    assert!(again.ends_with(&["--seed", "1"]) && !again.contains(&"--report"), "{table}");
    assert_eq!(trace(&dir.prints(&again)), trace(&table));
    let other = [&again[..again.len() - 1], &["2"]].concat();
    assert_ne!(trace(&dir.prints(&other)), trace(&table));
    assert_eq!(dir.names(), ["a.html"]);
}

#[test]
fn json_is_one_object_per_line() {
    let dir = Dir::new("json");
    let out = dir.prints(&with(&["--json", "--sample", "60s"]));
    let records: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sample", "sample", "summary"]);
    assert_eq!((records[0]["at"].as_f64(), records[1]["at"].as_f64()), (Some(60.0), Some(110.0)));
    let summary = &records[2];
    assert_eq!((summary["nodes"].as_u64(), summary["recall"].as_f64()), (Some(25), Some(1.0)));
    assert_eq!(summary["violation"], serde_json::Value::Null);
    assert_eq!(summary["trace"].as_str().unwrap(), trace(&dir.prints(SMALL)));
}

#[test]
fn files_are_written_as_a_whole() {
    let dir = Dir::new("files");
    let args = with(&["--report", "r.html", "--pcap", "3:3.pcap", "--pcap", "4:4.pcap"]);
    dir.prints(&args);
    assert_eq!(dir.names(), ["3.pcap", "4.pcap", "r.html"]);
    let html = text(&dir.read("r.html"));
    assert!(
        html.to_lowercase().starts_with("<!doctype html>") && html.trim_end().ends_with("</html>")
    );
    for plot in ["Recall over time", "Hops", "Time of lookups", "Traffic", "Table sizes"] {
        assert!(html.contains(plot), "{plot}");
    }
    assert_eq!(dir.read("3.pcap")[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    assert!(dir.read("3.pcap").len() > 1_000);
}

#[test]
fn a_timeline_tells_what_a_node_did() {
    let dir = Dir::new("timeline");
    let [number, address] = ["5", "11.0.5.1"].map(|host| dir.prints(&with(&["--timeline", host])));
    let lines = |out: &str| {
        let lines = out.lines().take_while(|line| !line.starts_with("nodes "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&number), lines(&address));
    assert!(number.contains("• listens") && number.contains("FIND_NODE"), "{number}");
    let (first, rest) = (lines(&number)[0].clone(), &lines(&number)[1..]);
    assert_eq!(first, format!("Host 5: {ORIGIN}."));
    assert!(rest.iter().all(|line| line.starts_with(['+', ' '])), "{number}");
    // It is the fifth of 24 that join within a minute.
    assert!(rest[0].trim_start().starts_with("+10.0"), "{number}");
}

#[test]
fn a_script_is_the_same_run() {
    let dir = Dir::new("script");
    let nat = "symmetric:20%x4";
    let partition = "50%,at=5s,for=10s,flap=4s";
    let args = with(&[
        "--loss",
        "burst:5%,10",
        "--latency",
        "regions",
        "--nat",
        nat,
        "--partition",
        partition,
        "--write-script",
        "s.json",
    ]);
    let table = dir.prints(&args);
    assert!(text(&dir.read("s.json")).starts_with("{\n  \"version\": 1,"));
    assert_eq!(trace(&dir.prints(&["--script", "s.json"])), trace(&table));
    let other = dir.prints(&["--script", "s.json", "--loss", "0", "--write-script", "t.json"]);
    assert_ne!(trace(&other), trace(&table));
    let [old, new] = ["s.json", "t.json"].map(|name| text(&dir.read(name)));
    assert!(old.contains("gilbert_elliott") && !new.contains("gilbert_elliott"), "{new}");
    let verdict = dir.prints(&["replay", "s.json"]);
    assert!(verdict.starts_with("ok: nothing was violated in 1 m 50 s"), "{verdict}");
    let nothing = dir.prints(&["--script", "s.json", "--dry-run", "--nodes", "1000"]);
    assert!(nothing.starts_with("1,000 nodes for 1 m 50 s"), "{nothing}");
}

#[test]
fn a_trace_of_nodes_is_followed() {
    let dir = Dir::new("trace");
    dir.write("t.txt", "# two nodes\n0 17 up\n10 900 down\n12.5 17 down\n20 900 up\n");
    let args = ["--nodes", "20", "--settle", "10s", "--churn-trace", "t.txt"];
    let table = dir.prints(&[&args[..], &["--write-script", "s.json"]].concat());
    assert!(table.contains("20 at first, 19 up at the end"), "{table}");
    let script: serde_json::Value = serde_json::from_slice(&dir.read("s.json")).unwrap();
    let faults: Vec<_> = script["faults"].as_array().unwrap().iter().collect();
    let seen: Vec<_> = faults
        .iter()
        .map(|fault| (fault["at_us"].as_u64(), fault["fault"].as_str(), fault["host"].as_u64()))
        .collect();
    let fault = |at: u64, what, host| (Some(at), Some(what), Some(host));
    let expected = [
        fault(0, "crash", 1),
        fault(0, "restart", 1),
        fault(10_000_000, "crash", 2),
        fault(12_500_000, "crash", 1),
        fault(20_000_000, "restart", 2),
    ];
    assert_eq!(seen, expected);
    assert_eq!(script["run_us"].as_u64(), Some(80_000_000), "and a minute more");
    dir.write("bad.txt", "0 1 up\n\n5 1 sideways\n");
    let said = dir.refuses(&["--churn-trace", "bad.txt"]);
    assert_eq!(said, "error: bad.txt:3: expected up or down\n");
    let said = dir.refuses(&["--nodes", "2", "--churn-trace", "t.txt"]);
    assert!(said.contains("2 nodes in it, but 1") && said.contains("add --nodes 3"), "{said}");
}

#[test]
fn a_settled_network_is_saved_and_loaded() {
    let dir = Dir::new("snapshot");
    let args = ["--nodes", "50", "--bootstraps", "2", "--time", "0", "--save", "a.snap"];
    dir.prints(&args);
    let load = ["--load", "a.snap", "--time", "30s", "--lookups", "20", "--checks"];
    let table = dir.prints(&load);
    assert!(table.contains("100 % of the 20 closest"), "{table}");
    assert!(table.contains(" 40 s simulated"), "{table}");
    assert!(table.contains("all passed"), "{table}");
    assert_eq!(trace(&dir.prints(&load)), trace(&table));

    // What is in the script alone is another run.
    let output = dir.run(&[&load[..], &["--settle", "7s", "--write-script", "s.json"]].concat());
    let needs = "s.json needs the network too: cargo sim --script s.json --load a.snap --settle 7s";
    assert_eq!(text(&output.stderr), format!("{needs}\n"));
    let again = needs.split(' ').skip_while(|word| *word != "--script").collect::<Vec<_>>();
    assert_eq!(trace(&dir.prints(&again)), trace(&text(&output.stdout)));

    let refused = |more: &[&str]| dir.refuses(&[&["--load", "a.snap"], more].concat());
    let said = refused(&["--nodes", "51"]);
    assert_eq!(said, "error: a.snap: the snapshot has 50 nodes, not 51\n");
    assert!(refused(&["--bootstraps", "1"]).contains("bootstrap nodes"));
    assert!(refused(&["--nat", "symmetric:5%"]).contains("has other NATs"));
    assert!(refused(&["--join-over", "5s"]).contains("cannot be used with"));
    let said = refused(&["--save", "./a.snap"]);
    assert_eq!(said, "error: ./a.snap: this file is read: name another to write\n");

    let whole = dir.read("a.snap");
    dir.write("a.snap", &whole[..whole.len() / 2]);
    assert!(refused(&[]).starts_with("error: a.snap: the snapshot is cut short"));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    dir.write("a.snap", flipped);
    assert!(refused(&[]).starts_with("error: a.snap: the snapshot is damaged"));
    dir.write("a.snap", "{}");
    assert!(refused(&[]).starts_with("error: a.snap: this is no snapshot"));
}

#[test]
fn corrupt_scripts_are_refused_with_their_line() {
    let dir = Dir::new("corrupt");
    let refused = |content: &str| {
        dir.write("s.json", content);
        assert_eq!(dir.refuses(&["--script", "s.json"]), dir.refuses(&["replay", "s.json"]));
        dir.refuses(&["--script", "s.json"])
    };
    let said = refused("{\n \"nodez\": 5\n}");
    assert!(said.starts_with("error: s.json:2: unknown field `nodez`, expected one of"), "{said}");
    assert!(refused("nodes: 5").starts_with("error: s.json:1: this is no JSON"));
    let said = refused("{\"version\": 9}");
    assert!(said.starts_with("error: s.json: version 9, but only version 1 is known"), "{said}");
    assert!(refused("{\n\"nodes\": 5,\n").contains("s.json:3: the text ends here"));
    assert!(refused("").contains("cut short"));
    let said = dir.refuses(&["--script", "missing.json"]);
    assert!(said.starts_with("error: missing.json: "), "{said}");
    // What is JSON but can't be.
    dir.write("s.json", "{\"nodes\": 1}");
    assert_eq!(refused_as_script(&dir), "error: s.json: nodes must be at least 2\n");
    // Of options, an option is to blame.
    let said = dir.refuses(&["--script", "s.json", "--nodes", "5", "--bootstraps", "7"]);
    assert_eq!(said, "error: --bootstraps must be fewer than nodes\n");
    dir.write(
        "s.json",
        r#"{"run_us": 5000000, "faults": [{"at_us": 6000000, "fault": "rebind_nats"}]}"#,
    );
    let said = dir.refuses(&["replay", "s.json"]);
    let late =
        "error: something happens at 6 s, but the run ends at 5 s: make run_us longer in s.json\n";
    assert_eq!(said, late);
    // A host that there won't be is not taken for another one.
    dir.write("s.json", r#"{"faults": [{"at_us": 0, "fault": "crash", "host": 100}]}"#);
    let said = refused_as_script(&dir);
    assert_eq!(said, "error: s.json: faults[0] names host 100, but the last one is 99\n");
    assert_eq!(dir.refuses(&["shrink", "s.json"]), said);
    // Nor is it run for ever.
    let length = r#"{"fixed": {"length_us": 1}}"#;
    dir.write("s.json", format!(r#"{{"churn": {{"session": {length}, "downtime": {length}}}}}"#));
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
    dir.prints(&[&fine[..], &["--flash-crowd", "1"]].concat());
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
        (&["--churn", "1us"], "'--churn <TIME>': session must last 1 s on average at least"),
        (&["--json", "--sample", "0s"], "'--sample <TIME>': `0s` is too often: 10ms at least"),
        (&["--heal", "1m", "--checks=off"], "it can't go with --checks=off"),
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
fn what_is_violated_is_said_and_can_be_run_again() {
    let dir = Dir::new("violated");
    // It is there, but does not answer, and so nobody finds it.
    let stall = r#"{"at_us": 0, "fault": "stall", "host": 1, "for_us": 600000000}"#;
    let args = [
        "--nodes",
        "5",
        "--settle",
        "20s",
        "--time",
        "30s",
        "--fault",
        stall,
        "--heal",
        "1s",
        "--timeline",
        "0",
        "--report",
        "r.html",
        "--write-script",
        "s.json",
    ];
    let output = dir.run(&args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("violated: healing violated at "), "{said}");
    let again = format!(
        "run it again: cargo sim --nodes 5 --settle 20s --time 30s --fault '{stall}' --heal 1s \
         --seed 1\n"
    );
    assert!(said.contains(&again), "{said}");
    // Of both the times count from one moment.
    assert!(said.contains(&format!("\n{ORIGIN}\n")), "{said}");
    assert!(text(&output.stdout).starts_with(&format!("Host 0: {ORIGIN}.\n")), "{output:?}");
    // To heal is checked like everything else.
    assert!(text(&dir.read("s.json")).contains("\"checks\": true"));
    assert!(said.ends_with("the scenario is in s.json\n"), "{said}");
    assert!(text(&dir.read("r.html")).contains("healing violated at"));
    let output = dir.run(&["replay", "s.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("run it again: cargo sim replay s.json --seed 1"));
    let without: Vec<_> =
        { args.iter() }.filter(|arg| !["--timeline", "0"].contains(arg)).collect();
    let output = dir.run(&without.into_iter().copied().chain(["--json"]).collect::<Vec<_>>());
    let last = text(&output.stdout).lines().last().unwrap().to_owned();
    let summary: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert!(summary["violation"].as_str().unwrap().starts_with("healing violated"), "{summary}");
}

#[test]
fn hashes_are_those_of_every_other_machine() {
    let dir = Dir::new("hash");
    let out = dir.prints(&["hash", "--seeds", "1,2"]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("1 ") && lines[1].starts_with("2 "), "{out}");
    assert_eq!(dir.prints(&["hash", "--seeds", "2"]), format!("{}\n", lines[1]));
}

#[test]
fn a_reader_may_leave_at_any_time() {
    let dir = Dir::new("pipe");
    let mut child = dir
        .command(&with(&["--json", "--sample", "100ms"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), ""));
}

#[cfg(unix)]
fn signal(name: &str, child: &process::Child) {
    let killed = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_in_one_line_and_leaves_nothing_behind() {
    let dir = Dir::new("signal");
    for (name, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut child = dir
            .command(&[
                "--nodes", "50", "--time", "2d", "--json", "--report", "r.html", "--pcap", "3:p",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It is under way.
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
        assert_eq!(dir.names().len(), 2);
        signal(name, &child);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("interrupted at ") && said.lines().count() == 1, "{said}");
        assert!(said.ends_with(" of 2 d of virtual time\n"), "{said}");
        assert_eq!(dir.names(), [""; 0]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_is_gone_is_ignored_if_asked_for() {
    let dir = Dir::new("nohup");
    let mut child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_dht-sim"))
        .args(["--nodes", "25", "--time", "10m", "--json"])
        .current_dir(&dir.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    signal("-HUP", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_swarm_that_is_stopped_says_what_it_did() {
    let dir = Dir::new("stopped");
    // One seed of these takes minutes.
    let args = ["swarm", "--for", "1h", "--nodes", "1000", "--virtual-time", "30d"];
    let child = dir.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    signal("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    // A second, and some for a machine that has other things to do.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(text(&output.stdout), "0 seeds, 0 failed; 0 seeds per hour and thread\n");
    assert_eq!(text(&output.stderr), "interrupted after 0 seeds\n");
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn shrinking_spares_what_it_reads() {
    let dir = Dir::new("shrink");
    // It does not answer, and so nobody finds it.
    let stall = r#"{"at_us": 0, "fault": "stall", "host": 1, "for_us": 600000000}"#;
    let script = format!(r#"{{"nodes": 5, "heal_us": 1000000, "faults": [{stall}]}}"#);
    dir.write("small.json", &script);
    let refused = "small.json: this file is read: name another to write\n";
    for args in [&["shrink", "small.json"][..], &["shrink", "small.json", "--out", "./small.json"]]
    {
        assert!(dir.refuses(args).ends_with(refused), "{args:?}");
    }
    assert_eq!(text(&dir.read("small.json")), script);
    let output = dir.run(&["shrink", "small.json", "--out", "s.json", "--for", "1s"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("made small in "), "{output:?}");
    assert_eq!(dir.names(), ["s.json", "small.json"]);
}

#[test]
fn help_fits_and_has_examples_that_work() {
    let dir = Dir::new("help");
    let help = dir.prints(&["--help"]);
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let examples: Vec<_> =
        help.lines().filter_map(|line| line.strip_prefix("  cargo sim ")).collect();
    assert!(examples.len() >= 4, "{help}");
    for example in examples.iter().filter(|example| !example.contains("--load")) {
        // The quotes are for a shell.
        let mut words: Vec<&str> = Vec::new();
        for (at, piece) in example.split('\'').enumerate() {
            if at % 2 == 1 { words.push(piece) } else { words.extend(piece.split_whitespace()) }
        }
        words.push("--dry-run");
        words.push("--force");
        assert_eq!(dir.run(&words).status.code(), Some(0), "{example}");
    }
}
