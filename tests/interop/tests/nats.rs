//! Nodes behind real NATs, those of the Linux kernel: each takes itself for what the reference takes itself for
//! there, and that is what strangers find; and a machine that is carried to another network recovers.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::internet::{Internet, Kind, Machine, Router};
use dht_interop::stage::id_of;
use dht_interop::{Agent, Node, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// Public nodes, of both implementations in turn; each in a /24 of its own.
const PUBLIC_NODES: u8 = 12;

/// The number of a public host that takes no part.
const STRANGER: u8 = 200;

/// The port of all public nodes.
const PORT: u16 = 49737;

/// Rounds of ticks, and ticks in each, after which an adaptive node has looked whether it can be persistent.
const ROUNDS: usize = 40;
const TICKS: usize = 8;

/// The public nodes, the bootstrapper first.
fn public_nodes<'a>(internet: &Internet, agents: [&'a Agent; 2]) -> Vec<Node<'a>> {
    let first = internet.host(1);
    let options = json!({ "host": first });
    let own = json!({ "host": first, "port": PORT });
    let fields = json!({ "bootstrapper": own, "options": options });
    let bootstrapper = Node::create_as(agents[0], fields).unwrap();
    bootstrapper.ok("start", json!({}));
    bootstrapper.ok("bootstrapped", json!({}));
    let mut nodes = vec![bootstrapper];
    for number in 2..=PUBLIC_NODES {
        let options = json!({
            "host": internet.host(number), "port": PORT, "bootstrap": bootstrap(internet),
            "ephemeral": false, "firewalled": false,
        });
        nodes.push(Node::up(agents[usize::from(number % 2)], options));
    }
    for node in &nodes {
        node.until("an id", |info| info["ephemeral"] == false);
    }
    nodes
}

fn bootstrap(internet: &Internet) -> Value {
    json!([format!("{}:{PORT}", internet.host(1))])
}

/// What a node takes itself for, in words that are the same for all nodes of which that is true.
fn view(node: Node<'_>, public: &str) -> String {
    let info = node.info();
    let host = if info["host"] == public { "" } else { "elsewhere, " };
    let port = match &info["port"] {
        port if *port == 0 => "varying",
        port if *port == info["serverPort"] => "server",
        port if *port == info["clientPort"] => "client",
        _ => "another",
    };
    let open = info["firewalled"] == false;
    let firewall = if open { "open" } else { "firewalled" };
    let lasting = if info["ephemeral"] == true { "ephemeral" } else { "persistent" };
    let randomized = if info["randomized"] == true { ", randomized" } else { "" };
    let server = json!({ "host": public, "port": info["serverPort"] });
    let remote = info["remoteAddress"] == if open { server } else { json!(null) };
    let remote = if remote { "" } else { ", wrong remote address" };
    let own = id_of(public, &info["serverPort"]);
    let id = info["id"] == if lasting == "persistent" { own } else { json!(null) };
    let id = if id { "" } else { ", wrong id" };
    format!("{host}{port} port, {firewall}, {lasting}{randomized}{remote}{id}")
}

/// What nodes have to take themselves for: one that has just come, the same after 20 minutes, and one that has been
/// told not to be ephemeral.
fn truth(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::FullCone => [
            "server port, open, ephemeral",
            "server port, open, persistent",
            "server port, open, persistent",
        ],
        Kind::PortRestricted | Kind::Firewall => ["client port, firewalled, ephemeral"; 3],
        Kind::Symmetric => ["varying port, firewalled, ephemeral, randomized"; 3],
    }
}

/// A machine behind a NAT with an agent.
struct Subject {
    kind: Kind,
    agent: Agent,
    public: String,
}

impl Subject {
    fn new(router: &Router, machine: &Machine, place: u8, agent: Agent) -> Subject {
        router.plug(machine, place);
        Subject { kind: router.kind(), agent, public: router.public_of(place) }
    }

    fn start(&self, mut options: Value, bootstrap: &Value) -> Node<'_> {
        options["host"] = json!("0.0.0.0");
        options["bootstrap"] = bootstrap.clone();
        let node = Node::create(&self.agent, options).unwrap();
        node.ok("start", json!({}));
        node
    }

    /// An adaptive node, and one that has been told to be persistent. Their ports are the same everywhere, also where
    /// machines share an address.
    fn start_two(&self, bootstrap: &Value) -> [Node<'_>; 2] {
        let eager = json!({ "port": 41000, "ephemeral": false });
        [self.start(json!({ "port": 40000 }), bootstrap), self.start(eager, bootstrap)]
    }
}

/// A machine of each implementation behind each kind, and two behind one.
fn subjects(internet: &Internet) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let mut add = |router: &Router, place, js: bool| {
        let number = subjects.len();
        let machine = internet.machine(&format!("machine{number}"));
        let agent = if js { machine.js() } else { machine.rust(RUST) };
        subjects.push(Subject::new(router, &machine, place, agent));
    };
    let kinds = [Kind::FullCone, Kind::PortRestricted, Kind::Symmetric, Kind::Firewall];
    for (number, kind) in (0..).zip(kinds) {
        add(&internet.router(kind, 2 * number), 0, false);
        add(&internet.router(kind, 2 * number + 1), 0, true);
    }
    let both = internet.router(Kind::PortRestricted, 20);
    add(&both, 0, false);
    add(&both, 1, true);
    subjects
}

fn idle(node: Node<'_>) {
    node.until("no request under way", |info| info["stats"]["requests"]["active"] == 0);
}

#[test]
fn every_kind_is_taken_for_what_it_is_as_by_the_reference() {
    let Some(internet) = available() else { return };
    let [js, rust] = [Agent::js_in(internet.core()), Agent::rust_in(RUST, internet.core())];
    let all = public_nodes(&internet, [&js, &rust]);
    let bootstrap = bootstrap(&internet);
    let subjects = subjects(&internet);

    let nodes: Vec<_> = subjects.iter().map(|subject| subject.start_two(&bootstrap)).collect();
    let mut views = vec![[String::new(), String::new(), String::new()]; subjects.len()];
    for ((subject, [adaptive, eager]), views) in subjects.iter().zip(&nodes).zip(&mut views) {
        for node in [adaptive, eager] {
            node.ok("bootstrapped", json!({}));
            idle(*node);
        }
        views[0] = view(*adaptive, &subject.public);
        views[2] = view(*eager, &subject.public);
    }
    for _ in 0..ROUNDS {
        for [adaptive, _] in &nodes {
            (0..TICKS).for_each(|_| _ = adaptive.send("tick", json!({})));
        }
        nodes.iter().for_each(|[adaptive, _]| idle(*adaptive));
    }
    for ((subject, [adaptive, _]), views) in subjects.iter().zip(&nodes).zip(&mut views) {
        views[1] = view(*adaptive, &subject.public);
    }
    for (subject, views) in subjects.iter().zip(&views) {
        eprintln!("{:?} {} {views:?}", subject.kind, subject.agent.name());
    }
    for (subject, views) in subjects.iter().zip(&views) {
        assert_eq!(*views, truth(subject.kind), "{:?}, {}", subject.kind, subject.agent.name());
    }
    assert_eq!(all.len(), usize::from(PUBLIC_NODES));
}

fn available() -> Option<Internet> {
    if dht_interop::js::available() { Internet::new() } else { None }
}
