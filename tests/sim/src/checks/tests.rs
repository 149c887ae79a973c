use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::wire::{Message, Request, Response, decode};

use super::*;
use crate::invariant::Verdict;
use crate::packets::Packet;
use crate::{Run, Scenario, Spec};

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

/// What is said if a packet is handled, and this is what leaves.
fn judge(replies: &mut Replies, sim: &Sim, packet: &Packet, sent: &[Vec<u8>]) -> Verdict {
    replies.received(sim, HOST, packet)?;
    for bytes in sent {
        let Message::Response(response) = decode(bytes).unwrap() else { continue };
        replies.sent(sim, HOST, packet.to, response.to, bytes)?;
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
    assert_eq!(replies.clone().sent(&sim, HOST, packet.to, ASKER, &pong), Ok(()));
    assert_eq!(replies.every_second(&sim), Ok(()));
    sim.run_for(Duration::from_secs(2)).unwrap();
    assert!(replies.every_second(&sim).is_err());
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
    for seconds in (64..700).step_by(16) {
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
