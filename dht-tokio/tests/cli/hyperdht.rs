//! What the command does in networks that serve hyperdht's commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::ABSENT;
use crate::refusals::refused;
use crate::support::{Process, Running, dht, free_port, testnet};

fn network() -> Running {
    Running::start(&["testnet", "--hyperdht", "--nodes", "20"])
}

/// A file that is removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("dht-cli-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn an_immutable_value_is_found_by_its_hash() {
    let net = network();
    // What b2sum(1) --length 256 says of it.
    let hash = "324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf";
    let put = dht(&["put", "--immutable", "hello", "--bootstrap", &net.address]);
    assert_eq!((put.code, &*put.text()), (Some(0), &*format!("{hash}\n")), "{}", put.stderr);
    assert!(put.stderr.contains("stored with 20 nodes"), "{}", put.stderr);
    let get = dht(&["get", "--immutable", hash, "--bootstrap", &net.address]);
    assert_eq!((get.code, &*get.stdout), (Some(0), &b"hello"[..]), "{}", get.stderr);
    let get = dht(&["get", "--immutable", ABSENT, "--bootstrap", &net.address]);
    refused(&get, 1, "nobody has a value with the hash 0000");
}

#[test]
fn a_mutable_value_counts_its_versions() {
    let (net, key) = (network(), Scratch::new("versions"));
    let put = |value: &str, more: &[&str]| {
        let args = ["put", "--mutable", value, "--key", key.path(), "--bootstrap", &net.address];
        dht(&[&args, more].concat())
    };
    let first = put("one", &[]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stderr.contains("made a new key") && first.stderr.contains("version 0"));
    let second = put("two", &["--json"]).json();
    assert_eq!(second[0]["seq"], 1);
    let public_key = second[0]["public_key"].as_str().unwrap();
    assert_eq!(first.text().trim(), public_key);
    let get = dht(&["get", "--mutable", public_key, "--json", "--bootstrap", &net.address]).json();
    assert_eq!((&get[0]["value"], &get[0]["seq"]), (&"two".into(), &1.into()));
    refused(&put("other", &["--seq", "1"]), 1, "version 1 is another value already");
    refused(&put("late", &["--seq", "0"]), 1, "there is a later version than 0 already");
    let get = dht(&["get", "--mutable", ABSENT, "--bootstrap", &net.address]);
    refused(&get, 1, "nobody has a value of the key 0000");
}

#[test]
fn a_name_is_announced_until_the_command_is_stopped() {
    let (net, key) = (network(), Scratch::new("announce"));
    let lookup = || dht(&["lookup", "chess", "--json", "--bootstrap", &net.address]);
    let unknown = lookup();
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.text().contains(r#""event":"not-found""#), "{}", unknown.text());
    assert!(unknown.stderr.contains("nobody has announced chess"), "{}", unknown.stderr);
    let args = ["announce", "chess", "--key", key.path(), "--relay", "127.0.0.1:9", "--bootstrap"];
    let service = Running::start(&[&args, &[&*net.address][..]].concat());
    let found = lookup().json();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["public_key"], service.address);
    assert_eq!(found[0]["relay_addresses"][0], "127.0.0.1:9");
    if cfg!(unix) {
        assert_eq!(service.stop(), Some(0));
        assert_eq!(lookup().code, Some(1));
    }
}

#[test]
fn a_network_that_does_not_serve_a_command_is_named() {
    let (net, key) = (testnet(3), Scratch::new("unserved"));
    // Nor does it print that nothing was found, which it does not know.
    let refusal = |args: &[&str]| {
        let run = dht(&[args, &["-q", "--json", "--bootstrap", &net.address]].concat());
        refused(&run, 1, "no node serves this: of ");
        assert!(run.stderr.contains("(the last: 1, unknown command)"), "{}", run.stderr);
    };
    refusal(&["lookup", "chess"]);
    refusal(&["announce", "chess", "--key", key.path()]);
    refusal(&["put", "--immutable", "hello"]);
    refusal(&["get", "--immutable", ABSENT]);
    refusal(&["get", "--mutable", ABSENT]);
}

#[test]
fn what_to_try_next_is_for_hyperdht() {
    let mut net = Process::start(&["testnet", "--hyperdht", "--nodes", "3"]);
    net.says("put --immutable \"hello\" --bootstrap");
    let port = free_port().to_string();
    let mut node = Process::start(&["bootstrap", "--hyperdht", "--port", &port]);
    node.says("node --hyperdht --bootstrap");
}

#[test]
fn wrong_keys_and_options_are_named() {
    let at = ["--bootstrap", "127.0.0.1:1"];
    let bad = Scratch::new("bad");
    fs::write(bad.path(), "secret").unwrap();
    let put = ["put", "--mutable", "x", "--key", bad.path(), at[0], at[1]];
    refused(&dht(&put), 1, "is no key: that has 64 hexadecimal digits");
    let put = ["put", "--mutable", "x", "--key", "/", at[0], at[1]];
    refused(&dht(&put), 1, "/: ");
    refused(&dht(&["put", "--mutable", "x", at[0], at[1]]), 2, "--key");
    refused(&dht(&["put", "x", "--seq", "1", at[0], at[1]]), 2, "--mutable");
    let both = ["get", ABSENT, "--mutable", "--immutable", at[0], at[1]];
    refused(&dht(&both), 2, "cannot be used with");
    refused(&dht(&["announce", "x", at[0], at[1]]), 2, "--key");
    let relay = ["announce", "x", "--key", bad.path(), "--relay", "here", at[0], at[1]];
    refused(&dht(&relay), 2, "it is not an IPv4 address with a port");
    for nowhere in ["127.0.0.1:0", "0.0.0.0:9"] {
        let relay = ["announce", "x", "--key", bad.path(), "--relay", nowhere, at[0], at[1]];
        refused(&dht(&relay), 2, "no node has the port 0");
    }
}

#[test]
fn a_fourth_relay_address_is_refused_before_a_key_is_made() {
    let key = Scratch::new("relays");
    let announce = |relays: usize| {
        let relays = ["--relay", "127.0.0.1:9"].repeat(relays);
        let args = ["announce", "x", "--key", key.path(), "--bootstrap", "127.0.0.1:1"];
        dht(&[&args, &relays[..]].concat())
    };
    refused(&announce(4), 2, "--relay is given 4 times: nodes keep at most 3 addresses");
    assert!(!key.0.exists());
    // Three are none too many: it fails since nobody is there.
    let three = announce(3);
    assert_eq!(three.code, Some(1), "{}", three.stderr);
    assert!(key.0.exists());
}

#[test]
fn commands_that_make_the_same_key_at_once_end_up_with_one() {
    let key = Scratch::new("race");
    let net = network();
    let put = |value: &str| {
        let args = ["put", "--mutable", value, "--seq", "0", "--json", "--key", key.path()];
        Process::start(&[&args[..], &["--bootstrap", &net.address]].concat())
    };
    // The same value of the same version, so that all succeed.
    let runs: Vec<_> = (0..8).map(|_| put("x")).collect();
    let runs: Vec<_> = runs.into_iter().map(Process::end).collect();
    let keys: BTreeSet<_> =
        runs.iter().map(|run| run.json()[0]["public_key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 1);
    let makers = runs.iter().filter(|run| run.stderr.contains("made a new key")).count();
    assert_eq!(makers, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key.0).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Nothing else is left beside it.
    let name = key.0.file_name().unwrap().to_str().unwrap();
    let beside = fs::read_dir(key.0.parent().unwrap()).unwrap();
    let beside = beside.filter(|it| {
        it.as_ref().is_ok_and(|it| it.file_name().to_string_lossy().starts_with(name))
    });
    assert_eq!(beside.count(), 1);
}
