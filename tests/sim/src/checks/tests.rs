use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::Id;
use dht_core::wire::{Message, Request, Response, decode};

use super::*;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::sim::{Datagram, Packet, Spec, Verdict, command};

const ASKER: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(90, 0, 0, 1), 4_000);
const OTHER: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(90, 0, 1, 1), 4_000);
const HOST: HostId = HostId(1);

/// Two nodes that know each other, with `Echo` on both.
fn pair() -> Sim {
    let mut sim = Sim::new(1);
    let first = sim.next_address();
    sim.add(Spec::bootstrapper(first).unwrap().app(Echo)).unwrap();
    sim.add(Spec::joining(&[first]).app(Echo)).unwrap();
    sim.run_for(Duration::from_secs(30)).unwrap();
    sim
}

fn asked<'v>(sim: &Sim, from: SocketAddrV4, change: impl FnOnce(&mut Request<'v>)) -> Packet {
    let to = sim.address(HOST);
    let mut request = Request {
        tid: 77,
        to,
        id: None,
        token: None,
        internal: true,
        command: command::PING,
        target: None,
        value: None,
    };
    change(&mut request);
    let mut bytes = vec![0; request.encoded_len()];
    request.encode(&mut bytes).unwrap();
    Packet { from, to, sender: HostId(0), bytes }
}

fn answer<'v>(to: SocketAddrV4, change: impl FnOnce(&mut Response<'v>)) -> Vec<u8> {
    let mut response =
        Response { tid: 77, to, id: None, token: None, closer_nodes: None, error: 0, value: None };
    change(&mut response);
    let mut bytes = vec![0; response.encoded_len()];
    response.encode(&mut bytes).unwrap();
    bytes
}

fn left(from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) -> Packet {
    Packet { from, to, sender: HOST, bytes: bytes.to_vec() }
}

/// What is said if a packet is handled, and this is what leaves.
fn judge(replies: &mut Replies, sim: &Sim, packet: &Packet, sent: &[Vec<u8>]) -> Verdict {
    replies.received(sim, HOST, packet)?;
    for bytes in sent {
        let Message::Response(response) = decode(bytes).unwrap() else { continue };
        replies.sent(sim, HOST, &left(packet.to, response.to, bytes))?;
    }
    replies.after(sim, HOST)
}

#[test]
fn who_asks_is_answered_once_and_as_it_should_be() {
    let (sim, mut replies) = (pair(), Replies::default());
    let ping = asked(&sim, ASKER, |_| ());
    let pong = answer(ASKER, |_| ());
    let mut says = |packet: &Packet, sent: &[Vec<u8>]| judge(&mut replies, &sim, packet, sent);
    assert_eq!(says(&ping, std::slice::from_ref(&pong)), Ok(()));
    assert!(says(&ping, &[]).unwrap_err().contains("silence"));
    for wrong in [
        answer(ASKER, |response| response.tid += 1),
        answer(ASKER, |response| response.error = 1),
        answer(ASKER, |response| response.token = Some(&[1; 32])),
        answer(ASKER, |response| response.value = Some(b"")),
        answer(OTHER, |_| ()),
    ] {
        assert!(says(&ping, &[wrong]).is_err());
    }
    assert!(says(&ping, &[pong.clone(), pong.clone()]).is_err(), "twice");
    // What is broken, unasked or senseless is answered by nothing.
    let broken = Packet { bytes: ping.bytes[..ping.bytes.len() - 1].to_vec(), ..ping.clone() };
    let unasked = Packet { bytes: pong.clone(), ..ping };
    let senseless = asked(&sim, ASKER, |request| request.command = command::FIND_NODE);
    for packet in [broken, unasked, senseless] {
        assert_eq!(says(&packet, &[]), Ok(()));
        assert!(says(&packet, std::slice::from_ref(&pong)).is_err());
    }
    let unknown = asked(&sim, ASKER, |request| request.command = 9);
    assert_eq!(says(&unknown, &[answer(ASKER, |response| response.error = 1)]), Ok(()));
    assert!(says(&unknown, &[pong]).is_err());
}

#[test]
fn a_token_is_good_for_its_host_and_for_a_while() {
    let (mut sim, mut replies) = (pair(), Replies::default());
    let token = [5; 32];
    let echo = |request: &mut Request<'_>| (request.internal, request.command) = (false, ECHO);
    let given = [answer(ASKER, |response| response.token = Some(&token))];
    let refused =
        |to| [answer(to, |response| (response.error, response.token) = (2, Some(&[6; 32])))];
    let first = asked(&sim, ASKER, echo);
    assert_eq!(judge(&mut replies, &sim, &first, &given), Ok(()));
    let shown = |sim: &Sim, from| {
        let token = &[5; 32];
        asked(sim, from, |request| (request.command, request.token) = (0, Some(token)))
    };
    let pong = |to| [answer(to, |_| ())];
    let mut says = |sim: &Sim, from| {
        let packet = shown(sim, from);
        let accepted = judge(&mut replies.clone(), sim, &packet, &pong(from)).is_ok();
        let refused = judge(&mut replies, sim, &packet, &refused(from)).is_ok();
        (accepted, refused)
    };
    assert_eq!(says(&sim, ASKER), (true, false));
    assert_eq!(says(&sim, OTHER), (false, true), "of another host");
    for (wait, expected) in
        [(7_400, (true, false)), (200, (true, true)), (7_300, (true, true)), (200, (false, true))]
    {
        sim.run_for(Duration::from_millis(wait)).unwrap();
        assert_eq!(says(&sim, ASKER), expected, "{wait}");
    }
}

#[test]
fn a_delayed_ping_is_neither_early_nor_forgotten() {
    let (mut sim, mut replies) = (pair(), Replies::default());
    let delay = 2_000_u32.to_le_bytes();
    let packet = asked(&sim, ASKER, |request| {
        (request.command, request.value) = (command::DELAYED_PING, Some(&delay[..]));
    });
    let pong = answer(ASKER, |_| ());
    let mut early = replies.clone();
    assert!(judge(&mut early, &sim, &packet, std::slice::from_ref(&pong)).is_err());
    assert_eq!(judge(&mut replies, &sim, &packet, &[]), Ok(()));
    sim.run_for(Duration::from_secs(2)).unwrap();
    assert_eq!(replies.clone().sent(&sim, HOST, &left(packet.to, ASKER, &pong)), Ok(()));
    assert_eq!(replies.every_second(&sim), Ok(()));
    sim.run_for(Duration::from_secs(2)).unwrap();
    assert!(replies.every_second(&sim).is_err());
}

#[test]
fn beyond_the_bound_no_delayed_ping_is_answered() {
    let (mut sim, mut replies) = (pair(), Replies::default());
    let delay = 1_000_u32.to_le_bytes();
    let ask = |sim: &Sim, tid| {
        asked(sim, ASKER, |request| {
            (request.tid, request.command) = (tid, command::DELAYED_PING);
            request.value = Some(&delay[..]);
        })
    };
    for tid in 0..5 {
        assert_eq!(judge(&mut replies, &sim, &ask(&sim, tid), &[]), Ok(()));
    }
    sim.run_for(Duration::from_secs(1)).unwrap();
    let mut pong = |tid| {
        let bytes = answer(ASKER, |response| response.tid = tid);
        replies.sent(&sim, HOST, &left(sim.address(HOST), ASKER, &bytes))
    };
    assert_eq!([0, 1, 2, 3].map(&mut pong), [(); 4].map(Ok));
    assert!(pong(4).is_err(), "there were four before it");
}

/// With a token that was never given out, even a delayed ping is refused, at once.
#[test]
fn a_delayed_ping_with_a_bad_token_is_refused_early() {
    let sim = pair();
    let delay = 9_000_u32.to_le_bytes();
    let ask = |token| {
        asked(&sim, ASKER, |request| {
            (request.command, request.value) = (command::DELAYED_PING, Some(&delay[..]));
            request.token = token;
        })
    };
    let refusal = |response: &mut Response<'_>| {
        (response.error, response.token) = (2, Some(&[6; 32]));
    };
    let bytes = answer(ASKER, refusal);
    let says =
        |token| judge(&mut Replies::default(), &sim, &ask(token), std::slice::from_ref(&bytes));
    assert_eq!(says(Some(&[9; 32])), Ok(()));
    assert!(says(None).is_err());
}

/// One store of a host at a node, and what is said of each step.
struct Store {
    sim: Sim,
    commits: Commits,
    tid: u16,
}

const STORED: [u8; 32] = [3; 32];

impl Store {
    fn new() -> Self {
        Self { sim: pair(), commits: Commits::default(), tid: 0 }
    }

    fn asks(&mut self, token: Option<&[u8; 32]>) -> Verdict {
        self.tid += 1;
        let packet = asked(&self.sim, OTHER, |request| {
            (request.tid, request.to, request.token) = (self.tid, OTHER, token);
            (request.internal, request.command) = (false, STORE);
            request.target = Some(&STORED);
        });
        let from = self.sim.address(HOST);
        self.commits.sent(&self.sim, HOST, &left(from, OTHER, &packet.bytes))
    }

    fn is_told(&mut self, error: u64, token: &[u8; 32]) {
        let (to, tid) = (self.sim.address(HOST), self.tid);
        let bytes = answer(to, |response| {
            (response.tid, response.error, response.token) = (tid, error, Some(token));
        });
        let packet = Packet { from: OTHER, to, sender: HostId(0), bytes };
        self.commits.received(&self.sim, HOST, &packet).unwrap();
    }

    fn ends(&mut self, succeeded: u32, refused: u32) -> Verdict {
        let mut commit = dht_core::Commit::default();
        (commit.succeeded, commit.refused) = (succeeded, refused);
        let error = dht_core::QueryError::Commit(commit);
        self.commits.clone().ended(&self.sim, HOST, &Id(STORED), Err(&error))
    }
}

#[test]
fn a_commit_shows_the_token_and_goes_once_more_at_most() {
    let mut store = Store::new();
    assert_eq!(store.asks(None), Ok(()));
    store.is_told(0, &[1; 32]);
    let mut other = Store { sim: store.sim.clone(), commits: store.commits.clone(), tid: 1 };
    assert!(other.asks(None).unwrap_err().starts_with("no token"));
    let mut other = Store { sim: store.sim.clone(), commits: store.commits.clone(), tid: 1 };
    assert!(other.asks(Some(&[2; 32])).unwrap_err().starts_with("another token"));
    assert_eq!(store.asks(Some(&[1; 32])), Ok(()));
    let mut other = Store { sim: store.sim.clone(), commits: store.commits.clone(), tid: 2 };
    other.is_told(0, &[1; 32]);
    assert_eq!((other.ends(1, 0), other.ends(0, 0)), (Ok(()), Ok(())));
    assert!(other.asks(Some(&[1; 32])).unwrap_err().contains("again"));
    store.is_told(2, &[2; 32]);
    assert_eq!(store.asks(Some(&[2; 32])), Ok(()));
    store.is_told(2, &[3; 32]);
    assert_eq!(store.ends(0, 1), Ok(()));
    assert!(store.ends(1, 0).is_err(), "nobody took it");
    assert!(store.ends(0, 2).is_err(), "one refused, though twice");
    assert!(store.asks(Some(&[3; 32])).is_err());
}

/// Eight silent addresses of one host for each query and two more, not counting who has answered or is known.
#[test]
fn nobody_is_knocked_at_every_door_of() {
    let (mut sim, mut doors) = (pair(), Doors::default());
    let from = sim.address(HOST);
    sim.look_up(HOST, Id(STORED));
    let knock = |doors: &mut Doors, port| {
        let packet = asked(&sim, from, |request| {
            (request.command, request.target) = (command::FIND_NODE, Some(&STORED));
        });
        let to = SocketAddrV4::new(*OTHER.ip(), port);
        doors.sent(&sim, HOST, &left(from, to, &packet.bytes))
    };
    for port in 1..=10 {
        assert_eq!(knock(&mut doors, port), Ok(()));
    }
    assert_eq!(knock(&mut doors, 10), Ok(()), "a retry");
    assert!(knock(&mut doors.clone(), 11).is_err());
    let answers = SocketAddrV4::new(*OTHER.ip(), 2);
    let packet = Packet { from: answers, to: from, sender: HostId(0), bytes: answer(from, |_| ()) };
    doors.received(&sim, HOST, &packet).unwrap();
    assert_eq!(knock(&mut doors, 11), Ok(()));
}

/// Two networks that know nothing of each other: most lookups don't get to where they should.
#[test]
fn what_is_there_must_be_found() {
    let networks = |count: u32| {
        let mut sim = Sim::new(1);
        let firsts: Vec<_> = (0..count)
            .map(|_| {
                let first = sim.next_address();
                sim.add(Spec::bootstrapper(first).unwrap()).unwrap();
                first
            })
            .collect();
        for n in 0..40 {
            sim.add(Spec::joining(&[firsts[n % firsts.len()]]).after(n as u64 * 100_000)).unwrap();
        }
        sim.run_for(Duration::from_secs(60)).unwrap();
        let mut calm = calm::Calm::default();
        (0..sim.hosts()).for_each(|at| calm.event(&sim, HostId(at), &dht_core::Event::Listening));
        sim.run_for(Duration::from_secs(700)).unwrap();
        let mut said = Vec::new();
        for _ in 0..100 {
            sim.run_for(Duration::from_secs(1)).unwrap();
            said.extend(reach::check(&sim, &calm).err());
        }
        said
    };
    assert_eq!(networks(1), Vec::<String>::new());
    let said = networks(2);
    let of = |what: &str| said.iter().filter(|said| said.contains(what)).count();
    assert!(of("that are closest") > 80, "{said:?}");
}

/// Who is said to be gone, and is not, stays in the tables: it is told of after a while, not before.
#[test]
fn who_is_gone_must_be_forgotten() {
    let scenario = Scenario { nodes: 12, lookups: 0, ..Scenario::default() };
    let mut run = Run::new(scenario).unwrap();
    run.sim_mut().add_invariant(Tables::default());
    run.run_to(60_000_000).unwrap();
    let mut tables = run.sim().invariant::<Tables>().unwrap().clone();
    tables.down(run.sim(), HostId(3)).unwrap();
    let mut told = None;
    for seconds in 61..700 {
        run.run_to(seconds * 1_000_000).unwrap();
        if tables.every_second(run.sim()).is_err() {
            told = told.or(Some(seconds));
        }
    }
    assert!(told.is_some_and(|told| (500..700).contains(&told)), "{told:?}");
}

/// The prober gets nodes to do everything, and nothing of it is wrong.
#[test]
fn a_network_that_is_probed_is_as_it_should_be() {
    let scenario = Scenario { nodes: 6, checks: true, ..Scenario::default() };
    let mut run = Run::new(scenario).unwrap();
    run.finish().unwrap();
    let drops =
        (0..6).filter_map(|host| run.sim().node(HostId(host))).map(|node| node.stats().drops);
    let [bad_tokens, bad_commands, malformed, wrong] = drops.fold([0; 4], |[a, b, c, d], drops| {
        let wrong = drops.wrong_source + drops.unsolicited;
        [a + drops.bad_token, b + drops.bad_command, c + drops.malformed, d + wrong]
    });
    assert!(bad_tokens > 50 && bad_commands > 10 && malformed > 10 && wrong > 20);
}

/// What is handled is told of, as if this had come of it.
fn says_of(unasked: &mut Unasked, before: &Sim, packet: &Packet, after: &Sim) -> Verdict {
    unasked.received(before, HOST, packet)?;
    unasked.after(after, HOST)
}

#[test]
fn what_nobody_asked_for_has_no_effect() {
    let before = pair();
    let ping = asked(&before, ASKER, |_| ());
    let unasked = Packet { bytes: answer(before.address(HOST), |_| ()), ..ping.clone() };
    let says = |packet, after: &Sim| says_of(&mut Unasked::default(), &before, packet, after);
    for packet in [&ping, &unasked] {
        assert_eq!(says(packet, &before), Ok(()));
    }
    // It has an id, so that it is verified.
    let id = Id::of(ASKER);
    let known = asked(&before, ASKER, |request| request.id = Some(id.as_bytes()));
    let mut after = before.clone();
    after.send_raw(HostId(0), Datagram { from: ASKER, to: known.to, bytes: &known.bytes });
    after.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(says(&known, &after), Ok(()));
    assert_eq!(says(&unasked, &after), Ok(()), "it was expected");
    after.send_raw(HostId(0), Datagram { from: ASKER, to: known.to, bytes: &unasked.bytes });
    after.run_for(Duration::from_secs(1)).unwrap();
    assert!(says(&unasked, &after).unwrap_err().contains("has somebody asked"));
    // Another host's node has another address.
    let mut other = Sim::new(1);
    (0..2).for_each(|_| _ = other.add(Spec::joining(&[])).unwrap());
    assert!(says(&ping, &other).unwrap_err().contains("its own address"));
}

#[test]
fn a_few_hints_of_each_host_are_followed() {
    let (mut sim, mut unasked) = (pair(), Unasked::default());
    let mut follow = |sim: &Sim, from: SocketAddrV4| unasked.count_hint(sim, HOST, *from.ip());
    assert!((0..10).all(|_| follow(&sim, ASKER).is_ok()));
    assert!(follow(&sim, ASKER).unwrap_err().starts_with("11 hints of 90.0.0.1 "));
    assert_eq!(follow(&sim, OTHER), Ok(()));
    sim.run_for(Duration::from_secs(5)).unwrap();
    assert_eq!(follow(&sim, ASKER), Ok(()));
}

#[test]
fn a_node_knows_how_it_is() {
    let (mut sim, mut itself) = (pair(), Itself::default());
    let own = sim.address(HOST);
    assert!(itself.event(&sim, HOST, &dht_core::Event::NodeAdded(own)).is_err());
    assert_eq!(itself.event(&sim, HOST, &dht_core::Event::NodeAdded(ASKER)), Ok(()));
    assert_eq!(itself.after(&sim, HOST), Ok(()));
    itself.hosts.of(&sim, HOST).firewalled = true;
    assert!(itself.clone().after(&sim, HOST).unwrap_err().contains("nobody has reached it"));
    let reached = Packet { bytes: answer(own, |_| ()), ..asked(&sim, ASKER, |_| ()) };
    itself.received(&sim, HOST, &reached).unwrap();
    assert_eq!(itself.after(&sim, HOST), Ok(()));
    sim.run_for(Duration::from_secs(20)).unwrap();
    assert!(itself.clone().after(&sim, HOST).unwrap_err().contains("was asleep"));
    itself.event(&sim, HOST, &dht_core::Event::WakeUp).unwrap();
    assert_eq!(itself.after(&sim, HOST), Ok(()));
}

#[test]
fn the_closest_are_few_and_have_answered_well() {
    let mut sim = pair();
    let target = Id([7; 32]);
    let query = dht_core::Query::find_node(target);
    let walked = sim.walk(HOST, query, Duration::from_secs(10)).unwrap().unwrap();
    let outcome = walked.1.unwrap();
    let mut results = Results::default();
    let mut says = |change: &dyn Fn(&mut dht_core::Outcome)| {
        let mut outcome = outcome.clone();
        change(&mut outcome);
        results.ended(&sim, HOST, &target, Ok(&outcome))
    };
    assert_eq!(says(&|_| ()), Ok(()));
    assert!(says(&|it| it.closest[0].error = 16).unwrap_err().contains("error 16"));
    assert!(says(&|it| it.closest[0].from.id = None).is_err());
    assert!(says(&|it| it.closest[0].from.id = Some(target)).is_err());
    assert!(says(&|it| it.closest.push(it.closest[0].clone())).unwrap_err().contains("order"));
    let many = |it: &mut dht_core::Outcome| it.closest = vec![it.closest[0].clone(); 61];
    assert!(says(&many).unwrap_err().contains("the 61 closest"));
}
