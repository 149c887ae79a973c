//! Nodes behind real NATs, those of the Linux kernel: each takes itself for what the reference takes itself for
//! there, and that is what strangers find; and a machine that is carried to another network recovers.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::internet::{Internet, Kind, Machine, Router};
use dht_interop::stage::{id_of, target};
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

/// Ticks in which a node recovers: ten minutes.
const RECOVERY_TICKS: usize = 120;

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

/// Waits until nothing is under way.
fn idle(node: Node<'_>) {
    node.until("no request under way", |info| info["stats"]["requests"]["active"] == 0);
}

fn available() -> Option<Internet> {
    if dht_interop::js::available() { Internet::new() } else { None }
}

/// A public node that nobody behind a NAT has ever asked anything.
fn stranger<'a>(internet: &Internet, agent: &'a Agent) -> Node<'a> {
    Node::up(agent, json!({ "host": internet.host(STRANGER), "ephemeral": true }))
}

/// Whether a stranger gets an answer from each of the two sockets of these nodes.
fn reached(stranger: Node<'_>, nodes: &[(Node<'_>, &str)]) -> Vec<[bool; 2]> {
    let ask = |(node, host): &(Node<'_>, &str)| {
        let info = node.info();
        ["serverPort", "clientPort"].map(|port| {
            let to = json!({ "host": host, "port": info[port] });
            stranger.send("ping", json!({ "to": to, "retry": false }))
        })
    };
    let asked: Vec<_> = nodes.iter().map(ask).collect();
    asked.into_iter().map(|pings| pings.map(|op| stranger.agent().answer(op).is_ok())).collect()
}

/// Asks all public nodes, as a walk does.
fn asks_all(node: Node<'_>) {
    let found = node.ok("findNode", json!({ "target": target(9) }));
    assert!(found["successes"].as_u64() >= Some(PUBLIC_NODES.into()), "{found}");
}

#[test]
fn each_kind_is_taken_for_what_the_reference_takes_it_for() {
    let Some(internet) = available() else { return };
    let [js, rust] = [Agent::js_in(internet.core()), Agent::rust_in(RUST, internet.core())];
    let public = public_nodes(&internet, [&js, &rust]);
    let subjects = subjects(&internet);
    // The first walk of a node that has just come lasts until this one is given up, so that the answer of the node
    // that is asked to reach it is in time. On a network without delay either may come first.
    let silent = internet.router(Kind::Firewall, 30).public_of(0);
    public[0].ok("addNode", json!({ "host": silent, "port": PORT }));

    let bootstrap = bootstrap(&internet);
    let nodes: Vec<_> = subjects.iter().map(|subject| subject.start_two(&bootstrap)).collect();
    let look = |which: usize| -> Vec<_> {
        let views = subjects.iter().zip(&nodes);
        views.map(|(subject, nodes)| view(nodes[which], &subject.public)).collect()
    };
    for node in nodes.iter().flatten() {
        node.ok("bootstrapped", json!({}));
        idle(*node);
    }
    let (new, eager) = (look(0), look(1));
    for _ in 0..ROUNDS {
        for [adaptive, _] in &nodes {
            (0..TICKS).for_each(|_| _ = adaptive.send("tick", json!({})));
        }
        nodes.iter().for_each(|[adaptive, _]| idle(*adaptive));
    }
    let settled = look(0);

    let stranger = stranger(&internet, &js);
    for (n, subject) in subjects.iter().enumerate() {
        let views = [&new, &settled, &eager].map(|views| views[n].as_str());
        let (kind, name) = (subject.kind, subject.agent.name());
        assert_eq!(views, truth(kind), "{kind:?}, {name}");
        let two = nodes[n].map(|node| (node, subject.public.as_str()));
        let open = kind == Kind::FullCone;
        assert_eq!(reached(stranger, &two), [[open; 2]; 2], "{kind:?}, {name}");
        asks_all(nodes[n][0]);
    }
}

/// Lets time pass until a node takes itself for what it is; returns the ticks of 5 s that have passed.
fn recover(node: Node<'_>, public: &str, truth: &str) -> usize {
    for ticks in 0..RECOVERY_TICKS {
        let view = view(node, public);
        if view == truth {
            return ticks;
        }
        node.ok("tick", json!({}));
        idle(node);
    }
    panic!("after {RECOVERY_TICKS} ticks: {}, instead of {truth}", view(node, public));
}

#[test]
fn a_laptop_that_changes_networks_recovers() {
    let Some(internet) = available() else { return };
    let [js, rust] = [Agent::js_in(internet.core()), Agent::rust_in(RUST, internet.core())];
    public_nodes(&internet, [&js, &rust]);
    let kinds = [Kind::FullCone, Kind::FullCone, Kind::PortRestricted, Kind::FullCone];
    let routers: Vec<_> = (0..).zip(kinds).map(|(n, kind)| internet.router(kind, n)).collect();
    let machine = internet.machine("laptop");
    let agent = machine.rust(RUST);
    let laptop = Subject::new(&routers[0], &machine, 0, agent);
    let bootstrap = bootstrap(&internet);
    let [adaptive, eager] = laptop.start_two(&bootstrap);
    for node in [adaptive, eager] {
        node.ok("bootstrapped", json!({}));
        idle(node);
    }
    assert_eq!(view(eager, &laptop.public), truth(Kind::FullCone)[2]);
    let stranger = stranger(&internet, &js);
    for router in &routers[1..] {
        let before = laptop.agent.now();
        machine.unplug();
        router.plug(&machine, 0);
        let t=std::time::Instant::now();
        eager.event(before, "network-change");
        adaptive.event(before, "network-change");
        eprintln!("change {:?}", t.elapsed());
        let public = router.public_of(0);
        let n = recover(eager, &public, truth(router.kind())[2]);
        eprintln!("{:?}: eager {n} {:?} adaptive {}", router.kind(), t.elapsed(), view(adaptive, &public));
        for _ in 0..60 { adaptive.ok("tick", json!({})); idle(adaptive); }
        eprintln!("{:?}: eager {n} {:?} adaptive {}", router.kind(), t.elapsed(), view(adaptive, &public));
        eprintln!("{:?}", reached(stranger, &[(eager, &public), (adaptive, &public)]));
        asks_all(eager);
        asks_all(adaptive);
    }
}
