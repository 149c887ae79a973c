//! What comes of a run: what is printed, and what is written.

use super::*;

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
fn lookups_that_did_not_end_well_are_counted() {
    let dir = Dir::new("lookups");
    let line = |more: &[&'static str]| {
        let table = dir.prints(&with(more));
        table.lines().find(|line| line.starts_with("lookups ")).unwrap().to_owned()
    };
    let all = line(&[]);
    assert!(all.contains(" 20; 100 % found") && all.ends_with("closest nodes"), "{all}");
    let hasty = line(&["--latency", "400ms"]);
    assert!(hasty.contains(" of 20; ") && hasty.ends_with(" under way at the end"), "{hasty}");
    // A node that is alone has no other to store at.
    let alone = r#"{"at_us": 0, "fault": "partition", "first": {"hosts": [7]}, "one_way": false,
        "for_us": 30000000, "flap": null}"#;
    let store = r#"{"at_us": 10000, "fault": "stores", "host": 7, "count": 5}"#;
    let failed = line(&["--checks", "--fault", alone, "--fault", store]);
    assert!(failed.contains(" of 25; ") && failed.contains("; 5 failed"), "{failed}");
    let crash = r#"{"at_us": 10000, "fault": "crash", "host": 7}"#;
    let many = r#"{"at_us": 0, "fault": "lookups", "host": 7, "count": 5, "cancel": 0}"#;
    let gone = line(&["--fault", many, "--fault", crash]);
    assert!(gone.contains(" of 25; ") && gone.contains("; 5 ended with their node"), "{gone}");
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
fn what_is_violated_is_said_and_can_be_run_again() {
    let dir = Dir::new("violated");
    // It is there, but does not answer, so it is not found.
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
