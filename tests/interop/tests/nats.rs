//! Nodes behind real NATs, those of the Linux kernel: each takes itself for what the reference takes itself for
//! there, strangers find it as it says, and a machine that is carried to another network recovers.

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

/// Ticks, of 5 s each, after which an adaptive node has looked whether it can be persistent: in the 240th or soon after.
const SETTLED: usize = 320;
/// Ticks in which a node recovers: ten minutes.
const RECOVERED: usize = 120;
/// How many ticks pass at once at most.
const AT_ONCE: usize = 8;

/// The internet, if there can be one here.
fn internet() -> Option<Internet> {
    if dht_interop::js::available() { Internet::new() } else { None }
}

fn bootstrap(internet: &Internet) -> Value {
    json!([format!("{}:{PORT}", internet.host(1))])
}

/// Makes the public nodes. The bootstrapper, the first of them, tells of a node that never answers, so that the first walk of every node takes
/// seconds. Without it the walk may end before the early PING_NAT is answered, and either implementation then takes itself for
/// firewalled at first.
fn public_nodes(internet: &Internet, agents: [&Agent; 2]) {
    let host = internet.host(1);
    let own = json!({ "host": host, "port": PORT });
    let fields = json!({ "bootstrapper": own, "options": { "host": host } });
    let bootstrapper = Node::create_as(agents[0], fields).unwrap();
    bootstrapper.ok("start", json!({}));
    bootstrapper.ok("bootstrapped", json!({}));
    for number in 2..=PUBLIC_NODES {
        let options = json!({
            "host": internet.host(number), "port": PORT, "bootstrap": bootstrap(internet),
            "ephemeral": false, "firewalled": false,
        });
        let _ = Node::up(agents[usize::from(number % 2)], options);
    }
    let silent = internet.router(Kind::Firewall).public_of(0);
    bootstrapper.ok("addNode", json!({ "host": silent, "port": PORT }));
}

/// A public node that no other has ever asked anything.
fn stranger<'a>(internet: &Internet, agent: &'a Agent) -> Node<'a> {
    Node::up(agent, json!({ "host": internet.host(STRANGER), "ephemeral": true }))
}

/// Whether a stranger gets an answer from each of the two sockets of these nodes, which are at `host`.
fn reached(stranger: Node<'_>, nodes: &[Node<'_>], host: &str) -> Vec<[bool; 2]> {
    let ask = |node: &Node<'_>| {
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

/// Waits until a node has no request under way.
fn idle(node: Node<'_>) {
    node.until("no request under way", |info| info["stats"]["requests"]["active"] == 0);
}

/// Lets time pass for these nodes, and waits for what comes of it.
fn pass(ticks: usize, nodes: &[Node<'_>]) {
    for node in nodes {
        (0..ticks).for_each(|_| _ = node.send("tick", json!({})));
    }
    nodes.iter().for_each(|node| idle(*node));
}

/// What a node takes itself for, in words that are the same for all nodes of which that is true. `public`: its public
/// host.
fn view(node: Node<'_>, public: &str) -> String {
    let info = node.info();
    let port = match &info["port"] {
        port if *port == 0 => "varying",
        port if *port == info["serverPort"] => "server",
        port if *port == info["clientPort"] => "client",
        _ => "another",
    };
    let (open, persistent) = (info["firewalled"] == false, info["ephemeral"] == false);
    let firewall = if open { "open" } else { "firewalled" };
    let lasting = if persistent { "persistent" } else { "ephemeral" };
    let mut view = format!("{port} port, {firewall}, {lasting}");
    let own = json!({ "host": public, "port": info["serverPort"] });
    let remote = if open && port == "server" { own } else { Value::Null };
    let id = if persistent { id_of(public, &info["serverPort"]) } else { Value::Null };
    for (wrong, what) in [
        (info["host"] != public, "host"),
        (info["randomized"] != (port == "varying"), "randomized"),
        (info["remoteAddress"] != remote, "remoteAddress"),
        (info["id"] != id, "id"),
    ] {
        if wrong {
            view += &format!(", wrong {what} {}", info[what]);
        }
    }
    view
}

/// What nodes have to take themselves for behind a NAT: one that has just come, the same after 20 minutes, and one that
/// has been told to be persistent.
fn truth(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::FullCone => [
            "server port, open, ephemeral",
            "server port, open, persistent",
            "server port, open, persistent",
        ],
        Kind::PortRestricted | Kind::Firewall => ["client port, firewalled, ephemeral"; 3],
        Kind::Symmetric => ["varying port, firewalled, ephemeral"; 3],
    }
}

/// A machine behind a NAT, with an agent.
struct Subject {
    machine: Machine,
    agent: Agent,
    kind: Kind,
    public: String,
}

impl Subject {
    fn new(internet: &Internet, router: &Router, place: u8, js: bool) -> Subject {
        let machine = internet.machine();
        router.plug(&machine, place);
        let agent = if js { machine.js() } else { machine.rust(RUST) };
        Subject { machine, agent, kind: router.kind(), public: router.public_of(place) }
    }

    /// A node at this port.
    fn start(&self, port: u16, ephemeral: Option<bool>, bootstrap: &Value) -> Node<'_> {
        let options = json!({
            "host": "0.0.0.0", "port": port, "ephemeral": ephemeral, "bootstrap": bootstrap,
        });
        let node = Node::create(&self.agent, options).unwrap();
        node.ok("start", json!({}));
        node
    }

    /// An adaptive node, and one that is told to be persistent. Their ports are the same everywhere, also where machines
    /// share an address.
    fn start_two(&self, bootstrap: &Value) -> [Node<'_>; 2] {
        [self.start(40000, None, bootstrap), self.start(41000, Some(false), bootstrap)]
    }
}

/// A machine of each implementation behind each kind, and two behind one.
fn subjects(internet: &Internet) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for kind in [Kind::FullCone, Kind::PortRestricted, Kind::Symmetric, Kind::Firewall] {
        for js in [false, true] {
            subjects.push(Subject::new(internet, &internet.router(kind), 0, js));
        }
    }
    let shared = internet.router(Kind::PortRestricted);
    for (place, js) in [(0, false), (1, true)] {
        subjects.push(Subject::new(internet, &shared, place, js));
    }
    subjects
}

#[test]
fn each_kind_is_taken_for_what_the_reference_takes_it_for() {
    let Some(internet) = internet() else { return };
    let [js, rust] = [Agent::js_in(internet.core()), Agent::rust_in(RUST, internet.core())];
    public_nodes(&internet, [&js, &rust]);
    let subjects = subjects(&internet);
    let bootstrap = bootstrap(&internet);
    let nodes: Vec<_> = subjects.iter().map(|subject| subject.start_two(&bootstrap)).collect();
    for node in nodes.iter().flatten() {
        node.ok("bootstrapped", json!({}));
        idle(*node);
    }
    // Two of the checks come before time passes, so that their failures are told within seconds.
    let check = |which: usize, stage: usize| {
        for (subject, nodes) in subjects.iter().zip(&nodes) {
            let (kind, name) = (subject.kind, subject.agent.name());
            let view = view(nodes[which], &subject.public);
            assert_eq!(view, truth(kind)[stage], "{kind:?}, {name}, stage {stage}");
        }
    };
    check(0, 0);
    check(1, 2);
    let adaptive: Vec<_> = nodes.iter().map(|[adaptive, _]| *adaptive).collect();
    (0..SETTLED / AT_ONCE).for_each(|_| pass(AT_ONCE, &adaptive));
    check(0, 1);

    let stranger = stranger(&internet, &js);
    for (subject, nodes) in subjects.iter().zip(&nodes) {
        let (kind, name) = (subject.kind, subject.agent.name());
        let reached = reached(stranger, nodes, &subject.public);
        assert_eq!(reached, [[kind == Kind::FullCone; 2]; 2], "{kind:?}, {name}");
        asks_all(nodes[0]);
    }
}

/// A node, and the router that its machine is carried to.
struct Moving<'a> {
    node: Node<'a>,
    to: Router,
    truth: &'static str,
}

impl Moving<'_> {
    fn view(&self) -> String {
        view(self.node, &self.to.public_of(0))
    }
}

/// Lets time pass until all take themselves for what they are now.
fn recover(all: &[Moving<'_>]) {
    let nodes: Vec<_> = all.iter().map(|moving| moving.node).collect();
    for _ in 0..RECOVERED {
        if all.iter().all(|moving| moving.view() == moving.truth) {
            return;
        }
        pass(1, &nodes);
    }
    for moving in all {
        assert_eq!(moving.view(), moving.truth, "{:?}, still", moving.to.kind());
    }
}

/// Of the reference this is not true: it believes for half an hour what it was told in the network before.
///
/// No persistent node is carried behind a port-restricted NAT. In a network of 12 nodes its own datagrams keep that NAT
/// open for every node that it can ask to reach it, so it would stay persistent, though strangers don't reach it.
#[test]
fn a_laptop_that_changes_networks_recovers() {
    let Some(internet) = internet() else { return };
    let [js, rust] = [Agent::js_in(internet.core()), Agent::rust_in(RUST, internet.core())];
    if rust.name() != "rust" {
        return eprintln!("not true of the reference");
    }
    public_nodes(&internet, [&js, &rust]);
    let bootstrap = bootstrap(&internet);
    let (adaptive, eager) = ((None, 0), (Some(false), 2));
    let moves = [
        (Kind::FullCone, Kind::FullCone, eager),
        (Kind::FullCone, Kind::Symmetric, eager),
        (Kind::PortRestricted, Kind::FullCone, eager),
        (Kind::FullCone, Kind::PortRestricted, adaptive),
        (Kind::PortRestricted, Kind::Symmetric, adaptive),
        (Kind::Symmetric, Kind::Firewall, adaptive),
    ];
    let laptops = moves.map(|(from, ..)| Subject::new(&internet, &internet.router(from), 0, false));
    let mut all = Vec::new();
    for (laptop, (_, to, (ephemeral, which))) in laptops.iter().zip(moves) {
        let node = laptop.start(PORT, ephemeral, &bootstrap);
        all.push(Moving { node, to: internet.router(to), truth: truth(to)[which] });
    }
    for ((moving, laptop), (from, _, (_, which))) in all.iter().zip(&laptops).zip(moves) {
        moving.node.ok("bootstrapped", json!({}));
        idle(moving.node);
        assert_eq!(view(moving.node, &laptop.public), truth(from)[which], "{from:?}");
    }

    let before = laptops.each_ref().map(|laptop| laptop.agent.now());
    for (moving, laptop) in all.iter().zip(&laptops) {
        laptop.machine.unplug();
        moving.to.plug(&laptop.machine, 0);
    }
    for (moving, before) in all.iter().zip(before) {
        moving.node.event(before, "network-change");
    }
    recover(&all);
    let stranger = stranger(&internet, &js);
    for Moving { node, to, .. } in all {
        let open = to.kind() == Kind::FullCone;
        let reached = reached(stranger, &[node], &to.public_of(0));
        assert_eq!(reached, [[open; 2]], "{:?}", to.kind());
        asks_all(node);
    }
}
