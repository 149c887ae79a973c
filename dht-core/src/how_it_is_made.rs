//! How it is made: for people who change the node. Users of the crate need none of this.
//!
//! # The parts
//!
//! Each part is to the node what the node is to its embedder: it is told facts, it is asked what it wants, and it calls
//! nothing above it. A part knows neither the node nor the struct of another part, so it can be tested alone with a
//! virtual clock. Its fields are private, except that `Upkeep` and `Sources` show their own parts. Arrows are calls;
//! facts come back as return values.
//!
//! ```text
//!                  the embedder, or the driver
//!          handle_*, request, query │ ▲ poll_*
//!                                   ▼ │
//!   ┌───────────────────────────── node ─────────────────────────────┐
//!   │  inbound · ended · outbound · queries · members · reach · life │   carries calls and facts
//!   └──┬─────────┬─────────┬──────────┬──────────┬──────────┬────────┘
//!      ▼         ▼         ▼          ▼          ▼          ▼
//!  requests   replies   members    queries     reach     upkeep            decide
//!   window     tokens   checks      walks    own address  clock
//!   lanes      delayed  suspects   commits   firewall     bootstrap
//!   pace                 lost                survey       contact
//!      │         │         │          │          │          │
//!      └─────────┴────┬────┴──────────┴──────────┴──────────┘
//!                     ▼
//!     context (time, randomness, counters, events) · table · sources · wire · secret · bounded
//! ```
//!
//! `requests/call.rs` is the vocabulary that the parts share: a `Call` is a request with its class and its
//! `Purpose`, which says what the answer is for.
//!
//! # The way of a request
//!
//! 1. A part or the user wants something: `members` return a `Call`, `reach` gives out what it asks by `poll_ask`, `queries`
//!    by `poll` as a `Step::Ask`, users call `Node::request`. All come to `Requests::begin`, which takes a place, draws a
//!    transaction id and puts the call into a lane: by class, for each socket.
//! 2. `Node::poll_transmit` takes the next one that the window and the share of its /24 let go, writes its bytes into the
//!    caller's buffer and starts its time-out. Verifications leave before answers, and answers before the rest.
//! 3. `Requests::pop_overdue` finds tries that were not answered in time: another one follows, or the request ends.
//!
//! # The way of a response
//!
//! 1. `Node::handle_datagram` decodes it; `Requests::on_response` finds its request by transaction id and source. Without
//!    one it counts as a miss against all that is asked at its source, or clears a suspicion if it is merely late.
//! 2. The request ends: its place, its share and its part of the window are free. It comes out as one value, `Ended`, with
//!    what the answer may teach (`requests/lessons.rs`: a table of consequences against causes).
//! 3. `on_ended` (`node/ended.rs`) is the one place where it goes on: contact and pace, `members` (who has answered may
//!    enter the table), `reach` (where it saw us counts as a vote), and then its owner, told by the `Purpose`.
//!
//! # The way of a query
//!
//! 1. `Node::query` starts a walk and seeds it from the table, the bootstrap nodes and what the user gave.
//! 2. What happens to a query wakes it. At the end of every way into the node, `Queries::poll` says what those that are awake
//!    want, one `Step` at a time, the oldest query first: ask this node, give up a late visit, more nodes to begin with, or
//!    that the walk or the commits are over. What a query has to know of the rest it asks of a `Sight`.
//! 3. Answers feed the walk with the nodes that they name. Queries that found no place are all woken when there is one.
//! 4. What is late when a walk ends goes on by itself (`node/late.rs`) until it is clear whether its nodes are down; then they
//!    leave the table, and the nodes that named them get a hint.
