//! What a node's work costs: `cargo bench -p dht-bench --bench core [-- NAME]`, in nanoseconds.
//! For a profile: `-- NAME --rounds 100000`, which does that many rounds of the one of exactly this name. `tests/bench/count`
//! counts instructions in this way.

use std::hint::black_box;
use std::time::Instant as Clock;

use dht_bench::{ASKER, PLAIN, World, addr, node, request, serve, shared_ids, target};
use dht_core::{Answer, ConfigError, DATAGRAM_MAX, Handled, Id, Instant, Query, Via, wire};

/// Batches per figure; the fastest one counts, since others use the machine too.
const BATCHES: usize = 60;
/// How long a batch takes, in seconds.
const BATCH: f64 = 0.005;
const NOW: Instant = Instant::from_millis(1);
/// Lookups go to so many places in turn.
const TARGETS: u32 = 16;

struct Bench {
    only: Option<String>,
    rounds: Option<u32>,
}

impl Bench {
    fn from_args() -> Self {
        let (mut only, mut rounds) = (None, None);
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()),
                _ => only = Some(arg),
            }
        }
        Self { only, rounds }
    }

    /// Whether a figure of this name is wanted.
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| match self.rounds {
            Some(_) => name == only,
            None => name.contains(only.as_str()),
        })
    }

    /// Prints what a round of `work` costs, divided by what it returns.
    fn run(&self, name: &str, mut work: impl FnMut() -> usize) {
        if !self.wants(name) {
            return;
        }
        if let Some(rounds) = self.rounds {
            let done: usize = (0..rounds).map(|_| work()).sum();
            return println!("{name:48} {rounds} rounds, {done} times");
        }
        let batch = |rounds: u32, work: &mut dyn FnMut() -> usize| {
            let start = Clock::now();
            let done: usize = (0..rounds).map(|_| work()).sum();
            (start.elapsed().as_secs_f64(), done.max(1))
        };
        let mut rounds = TARGETS;
        while batch(rounds, &mut work).0 < BATCH {
            rounds *= 2;
        }
        let each = |_| {
            let (time, done) = batch(rounds, &mut work);
            time * 1e9 / done as f64
        };
        let mut times: Vec<_> = (0..BATCHES).map(each).collect();
        times.sort_by(f64::total_cmp);
        println!("{name:48} {:9.1} ns, median {:9.1}", times[0], times[BATCHES / 2]);
    }
}

fn main() -> Result<(), ConfigError> {
    let bench = Bench::from_args();
    requests(&bench)?;
    lookups(&bench)?;
    idling(&bench)?;
    bench.run("hash of an address", || {
        black_box(Id::of(black_box(ASKER)));
        1
    });
    Ok(())
}

fn requests(bench: &Bench) -> Result<(), ConfigError> {
    let known = Id::of(addr(0));
    let target = target(1);
    let ping = PLAIN;
    let find_node = wire::Request { command: 2, target: Some(&target.0), ..PLAIN };
    let user = wire::Request { internal: false, command: 77, value: Some(&[1; 64]), ..find_node };
    for (name, ask, from) in [
        ("PING in, reply out", ping, ASKER),
        ("PING of a known node", wire::Request { id: Some(&known.0), ..ping }, addr(0)),
        ("FIND_NODE in, 20 nodes out", find_node, ASKER),
        ("FIND_NODE of a known node", wire::Request { id: Some(&known.0), ..find_node }, addr(0)),
    ] {
        let datagram = request(ask);
        let mut plain = node(200, None)?;
        bench.run(name, || serve(&mut plain, NOW, from, &datagram));
        if ask.id.is_some() {
            let mut sharing = node(200, Some(shared_ids()))?;
            let name = format!("{name}, ids shared");
            bench.run(&name, || serve(&mut sharing, NOW, from, &datagram));
        }
    }
    let datagram = request(user);
    let mut node = node(200, None)?;
    let answer = Answer::value(&[2; 64][..]);
    bench.run("command with 64 bytes in, 64 bytes out", || {
        let mut buf = [0; DATAGRAM_MAX];
        match node.handle_datagram(NOW, Via::Server, ASKER, &datagram) {
            Handled::Request(request) => {
                let _ = node.reply(NOW, request.reply_to, answer.clone());
            }
            Handled::Consumed | Handled::NotOurs => {}
        }
        core::iter::from_fn(|| node.poll_transmit(NOW, &mut buf)).count()
    });
    Ok(())
}

/// A request out and its answer, with 20 closer nodes, in.
fn lookups(bench: &Bench) -> Result<(), ConfigError> {
    for (name, ids) in
        [("lookup, per request", None), ("lookup, per request, ids shared", Some(shared_ids()))]
    {
        if !bench.wants(name) {
            continue;
        }
        let (mut node, mut world) = (node(140, ids)?, World::new());
        let mut turn = 0;
        bench.run(name, || {
            turn = (turn + 1) % TARGETS;
            let query = Query::find_node(target(turn)).discard_replies();
            let Ok(id) = node.query(NOW, query) else { return 0 };
            let sent = world.converse(&mut node, NOW);
            black_box(node.take_outcome(id));
            sent
        });
    }
    Ok(())
}

fn idling(bench: &Bench) -> Result<(), ConfigError> {
    let mut idle = node(200, None)?;
    let mut world = World::new();
    world.discreet = true;
    let mut now = NOW;
    world.converse(&mut idle, now);
    bench.run("poll_timeout", || {
        black_box(black_box(&idle).poll_timeout());
        1
    });
    bench.run("handle_timeout, nothing due", || {
        idle.handle_timeout(now);
        1
    });
    let mut buf = [0; DATAGRAM_MAX];
    bench.run("poll_transmit, nothing to send", || {
        black_box(idle.poll_transmit(now, &mut buf));
        1
    });
    // With the refreshes of a quiet node, spread over all ticks.
    bench.run("a tick of 5 s, pings answered", || {
        now = idle.poll_timeout().unwrap_or(now);
        idle.handle_timeout(now);
        world.converse(&mut idle, now);
        1
    });
    if bench.wants("size") {
        println!("{:48} {:9} bytes", "size of a node at", size_of_val(&idle));
    }
    Ok(())
}
