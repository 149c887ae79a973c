//! What an answer teaches, for each reason to ask: every cell of the table in `lessons.rs`. Each test brings a
//! request about, finds it among the datagrams that the node has sent, and answers it before anything else happens.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Id, Query, Request, SavedNode, Via};

use crate::support::Sent;
use crate::support::bare_answer;
use crate::support::lab::{
    DOWN_HINT, FIND_NODE, Lab, PING, PING_NAT, SERVER, TICK, far_half, joining, peer,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// Where the answers claim that the node is.
const LIE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(99, 9, 9, 9), 999);
/// The peer that is asked, where the test can choose it.
const X: u32 = 77;

/// A persistent node among `count` peers, with nothing under way.
fn persistent(count: u32) -> Lab {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    config.adaptive_timeout = true;
    let mut lab = Lab::joined(config, count);
    lab.run_until(|lab| lab.node.id().is_some());
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    lab.run_for(2 * SECOND);
    lab.sent.clear();
    lab
}

fn import(lab: &mut Lab, addr: SocketAddrV4) {
    let saved = SavedNode { addr, pinged: HOUR, added: HOUR };
    assert_eq!(lab.call(|node, now| node.import(now, &[saved], Duration::ZERO)), 1);
}

/// The same node, and peer X, which was lost and is suspected; X is in the table again if `known`.
fn with_x(known: bool) -> Lab {
    let mut lab = persistent(5);
    let x = peer(X);
    lab.add_peer(x).up = false;
    import(&mut lab, x);
    lab.hint(peer(1), x);
    lab.run_for(20 * SECOND);
    assert!(!lab.knows(x) && lab.node.suspects(x));
    if known {
        import(&mut lab, x);
    }
    lab.sent.clear();
    lab
}

/// The last request with this command to `to`, or to any address.
fn last(lab: &Lab, command: u64, to: Option<SocketAddrV4>) -> Option<Sent> {
    let mut sent = lab.sent.iter().rev().filter(|sent| sent.is(command));
    sent.find(|sent| to.is_none_or(|to| sent.to == to)).cloned()
}

/// The last request to X that asks whether X is there.
fn asked(lab: &Lab) -> Option<Sent> {
    let asks = |sent: &&Sent| sent.to == peer(X) && (sent.is(PING) || sent.is(FIND_NODE));
    lab.sent.iter().rev().find(asks).cloned()
}

/// Does the upkeep of ticks until X is asked.
fn ticked(lab: &mut Lab) -> Sent {
    for _ in 0..1000 {
        lab.call(|node, now| node.maintain(now, false));
        if let Some(sent) = asked(lab) {
            return sent;
        }
        lab.run_for(TICK / 5);
    }
    panic!("X was never asked");
}

fn user(request: Request) -> (Lab, Sent) {
    let mut lab = with_x(true);
    lab.request(request);
    let sent = lab.sent.last().unwrap().clone();
    (lab, sent)
}

/// A walk that asks X only.
fn query() -> Query {
    Query::new(Id::of(peer(3)), 9).nodes([peer(X)]).only_closest_nodes()
}

fn begin(lab: &mut Lab, query: Query) {
    lab.query(query.discard_replies());
}

/// A visit of a walk that waits for the last try.
fn visit() -> (Lab, Sent) {
    let mut lab = with_x(true);
    begin(&mut lab, query().thorough());
    let sent = lab.sent.last().unwrap().clone();
    (lab, sent)
}

fn find_node() -> (Lab, Sent) {
    let mut lab = with_x(true);
    let query = Query::find_node(Id::of(peer(3))).nodes([peer(X)]).only_closest_nodes();
    begin(&mut lab, query);
    let sent = last(&lab, FIND_NODE, Some(peer(X))).unwrap();
    (lab, sent)
}

fn commit() -> (Lab, Sent) {
    let mut lab = with_x(true);
    lab.peer(peer(X)).up = true;
    begin(&mut lab, query().commit());
    let commits = |lab: &Lab| {
        let last = lab.sent.last().cloned();
        last.filter(|sent| sent.to == peer(X) && sent.request().token.is_some())
    };
    lab.run_until(|lab| commits(lab).is_some());
    let sent = commits(&lab).unwrap();
    (lab, sent)
}

/// A visit had too few tries to say that X is down, so X is suspected and asked on.
fn late() -> (Lab, Sent) {
    let mut lab = with_x(false);
    lab.run_for(320 * SECOND);
    assert!(!lab.node.suspects(peer(X)), "that is forgotten");
    import(&mut lab, peer(X));
    lab.sent.clear();
    begin(&mut lab, query().retries(1));
    let late = |lab: &Lab| {
        let sent = last(lab, FIND_NODE, Some(peer(X)));
        sent.filter(|sent| sent.request().target == Some(&Id::of(peer(3)).0))
    };
    lab.run_until(|lab| late(lab).is_some());
    assert!(lab.node.suspects(peer(X)));
    let sent = late(&lab).unwrap();
    (lab, sent)
}

fn gap() -> (Lab, Sent) {
    let mut lab = persistent(60);
    let target = Id([7; 32]);
    let mut near: Vec<_> = (0..60).map(peer).collect();
    near.sort_by_key(|addr| Id::of(*addr).distance(&target));
    [3, 7].into_iter().for_each(|n| lab.peer(near[n]).up = false);
    let by_distance = near.clone();
    lab.peers.values_mut().for_each(|peer| peer.closer = by_distance[..20].to_vec());
    begin(&mut lab, Query::find_node(target).nodes(near[40..].iter().copied()));
    // The look for a gap asks around a target that differs in one bit from the query's target.
    let bits = |other: &[u8; 32]| -> u32 {
        other.iter().zip(target.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    };
    let look = |lab: &Lab| {
        let mut finds = lab.sent.iter().filter(|sent| sent.is(FIND_NODE));
        finds.find(|sent| sent.request().target.map(bits) == Some(1)).cloned()
    };
    lab.run_until(|lab| look(lab).is_some());
    let sent = look(&lab).unwrap();
    (lab, sent)
}

fn check() -> (Lab, Sent) {
    let mut lab = with_x(true);
    // X is also verified, as a lost node: the request is a check if it is not counted as a verification.
    loop {
        let verified = lab.node.stats().verifications.sent;
        let sent = ticked(&mut lab);
        let asked = lab.sent.iter().filter(|sent| sent.to == peer(X)).count() as u64;
        if asked > lab.node.stats().verifications.sent - verified {
            return (lab, sent);
        }
        lab.sent.clear();
    }
}

fn hinted() -> (Lab, Sent) {
    let mut lab = with_x(true);
    lab.hint(peer(2), peer(X));
    let sent = asked(&lab).unwrap();
    (lab, sent)
}

/// X is the node of a full bucket that was not heard of for longest, and a newcomer has to wait for a place.
fn swap() -> (Lab, Sent) {
    let mut lab = with_x(false);
    let far = far_half(lab.node.table_id(), 60);
    // X is in the half of the key space that the bucket covers, so the full bucket is the bucket of X.
    let half = |addr: &SocketAddrV4| Id::of(*addr).0[0] >> 7 == Id::of(peer(X)).0[0] >> 7;
    assert!(far.iter().any(half), "choose another X");
    import(&mut lab, peer(X));
    let added = far.iter().filter(|addr| lab.call(|node, now| node.add_node(now, **addr)).unwrap());
    assert!(added.count() > 10);
    lab.sent.clear();
    lab.hear_with_id(far[59], PING);
    let sent = lab.sent.last().unwrap().clone();
    assert_eq!(sent.to, peer(X));
    (lab, sent)
}

fn verify() -> (Lab, Sent) {
    let mut lab = with_x(false);
    lab.hear_with_id(peer(X), PING);
    let sent = asked(&lab).unwrap();
    (lab, sent)
}

fn sought() -> (Lab, Sent) {
    let mut lab = with_x(false);
    let sent = ticked(&mut lab);
    assert!(lab.node.stats().verifications.sent > 0);
    (lab, sent)
}

/// The peer has named a silent node, and gets a hint about that node.
fn hint() -> (Lab, Sent) {
    let mut lab = persistent(5);
    let dead = peer(200);
    lab.peers.values_mut().for_each(|peer| peer.closer = vec![dead]);
    begin(&mut lab, Query::find_node(Id::of(dead)));
    lab.run_until(|lab| last(lab, DOWN_HINT, None).is_some());
    let sent = last(&lab, DOWN_HINT, None).unwrap();
    (lab, sent)
}

fn quick_nat() -> (Lab, Sent) {
    let mut config = joining(&[peer(0)]);
    config.adaptive_timeout = true;
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0));
    lab.bind();
    lab.run_until(|lab| last(lab, PING_NAT, None).is_some());
    let sent = last(&lab, PING_NAT, None).unwrap();
    (lab, sent)
}

fn probe() -> (Lab, Sent) {
    let mut lab = persistent(30);
    lab.run_for(29 * 60 * SECOND);
    lab.sent.clear();
    lab.run_until(|lab| last(lab, PING_NAT, None).is_some());
    let sent = last(&lab, PING_NAT, None).unwrap();
    (lab, sent)
}

/// A survey: all nodes are asked where they see the node, which has just become persistent.
fn view() -> (Lab, Sent) {
    let mut lab = persistent(8);
    // A keep-alive asks fewer nodes at once.
    let views = |lab: &Lab| {
        let pings = lab.asked(PING).len();
        (pings >= 4).then(|| last(lab, PING, None)).flatten()
    };
    for _ in 0..1000 {
        lab.sent.clear();
        lab.call(|node, now| node.maintain(now, false));
        if let Some(sent) = views(&lab) {
            return (lab, sent);
        }
        lab.run_for(TICK / 5);
    }
    panic!("there was no survey");
}

/// A response that comes in at `via`, right but for the address where it sees the node.
fn answer(lab: &mut Lab, via: Via, from: SocketAddrV4, tid: u16) {
    let response = bare_answer(tid, LIE, Some(from));
    let _ = lab.node.handle_datagram(lab.now, via, from, &response);
}

/// What the right answer changes, after `misses` answers with wrong transaction ids.
fn taught((lab, sent): &(Lab, Sent), misses: u16) -> Vec<&'static str> {
    let mut lab = lab.clone();
    // So that a place in the window is taken, and time has passed.
    for n in 0..3 {
        lab.request(Request::ping(peer(n)).retries(0));
    }
    lab.now += Duration::from_millis(7);
    let from = sent.to;
    let (tid, via) = (sent.request().tid, lab.node.request_via());
    (1..=misses).for_each(|n| answer(&mut lab, via, from, tid ^ n << 8));
    let (before, stats) = (lab.node.taught(from), lab.node.stats());
    answer(&mut lab, via, from, tid);
    assert_eq!(lab.node.stats().drops.unsolicited, stats.drops.unsolicited, "it has fit");
    changes(before, lab.node.taught(from))
}

fn changes(
    before: [(&'static str, String); 9],
    after: [(&'static str, String); 9],
) -> Vec<&'static str> {
    let pairs = before.into_iter().zip(after);
    pairs.filter(|(before, after)| before.1 != after.1).map(|(before, _)| before.0).collect()
}

/// A row of the table: `.` where nothing shows, since an earlier answer has taught the same, or since the answer
/// was to a later try than the first.
#[track_caller]
fn row(staged: &(Lab, Sent), expected: &str) {
    let columns = staged.0.node.taught(staged.1.to).map(|(name, _)| name);
    let cells: Vec<_> = expected.split_whitespace().collect();
    assert_eq!(cells.len(), columns.len());
    for (misses, counts) in [(0, true), (3, true), (4, false), (5, false)] {
        let taught = taught(staged, misses);
        for (name, cell) in columns.iter().zip(&cells) {
            let expected = *cell == "yes" && (counts || *name == "window");
            assert_eq!(taught.contains(name), expected, "{name} after {misses} misses: {taught:?}");
        }
    }
}

#[test]
fn what_an_answer_teaches() {
    // X has left FIND_NODE unanswered: an answer to another command does not show that X is there.
    //                   table vote trust pace rtt window health contact lost
    row(&user(Request::ping(peer(X))), "no yes no no yes yes yes yes .");
    row(&user(Request::new(peer(X), 9).any_replier()), "no no no no no no no no no");
    row(&visit(), "no yes no yes yes yes yes yes .");
    row(&find_node(), "yes yes yes yes yes yes yes yes .");
    row(&commit(), "no yes . no yes yes yes yes .");
    row(&check(), "yes yes yes yes yes yes yes yes .");
    row(&late(), "yes no yes yes yes yes yes yes .");
    row(&gap(), "yes no . no yes yes yes yes .");
    row(&quick_nat(), "yes no . no yes yes no yes .");
    row(&probe(), "yes no . no yes yes no yes .");
    row(&view(), "yes no . no yes yes no yes .");
    row(&hinted(), "yes no yes no no yes no yes .");
    row(&swap(), "yes no yes no no yes no yes .");
    row(&hint(), "yes no . no no yes no yes .");
    row(&verify(), "yes no yes no no no no yes yes");
    row(&sought(), "yes no yes no no no no yes yes");
}

/// Whether the silence of the node that was asked counts for the health.
fn silence_counts((mut lab, sent): (Lab, Sent)) -> bool {
    lab.peers.retain(|addr, _| *addr != sent.to);
    let silences = |lab: &Lab| lab.node.taught(sent.to)[6].1.clone();
    let count = |health: String| health.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    let before = count(silences(&lab));
    let tries = |lab: &Lab| {
        let tries =
            lab.sent.iter().filter(|other| other.bytes == sent.bytes && other.to == sent.to);
        tries.count()
    };
    // Only this node is silent. Its request has ended once 5 s have passed without another try.
    let (mut last, mut since) = (0, lab.now);
    while lab.now.saturating_since(since) < 5 * SECOND {
        if tries(&lab) > last {
            (last, since) = (tries(&lab), lab.now);
        }
        lab.run_for(SECOND / 10);
    }
    count(silences(&lab)) > before
}

#[test]
fn what_silence_counts_for() {
    assert!(silence_counts(user(Request::ping(peer(X)))));
    assert!(!silence_counts(user(Request::new(peer(X), 9).any_replier())));
    assert!(silence_counts(visit()));
    assert!(silence_counts(check()));
    assert!(silence_counts(late()));
    for (name, strangers) in [
        ("quick NAT", quick_nat()),
        ("view", view()),
        ("hinted", hinted()),
        ("swap", swap()),
        ("hint", hint()),
        ("verify", verify()),
        ("sought", sought()),
    ] {
        assert!(!silence_counts(strangers), "{name}");
    }
    // The silence of a node that was only named says nothing, as long as other nodes are known.
    let mut lab = with_x(false);
    begin(&mut lab, query().thorough());
    let sent = lab.sent.last().unwrap().clone();
    assert!(!silence_counts((lab, sent)));
    let mut lab = Lab::started(Config::default());
    begin(&mut lab, query().thorough());
    let sent = lab.sent.last().unwrap().clone();
    assert!(silence_counts((lab, sent)));
}
