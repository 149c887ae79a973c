// What hyperdht's nodes answer, by handing requests to its own `onrequest`, without a network.
//   node hyperdht-served.mjs          writes ../../../dht-core/tests/it/hyperdht/served.txt
//   node hyperdht-served.mjs --check  exits with 1 if it differs from what would be written
//
// A line: sender, command, target, token, value, and after `:` what becomes of the request; `#` says what comes next. The
// peers of a lookup are sorted, since they come in any order. A new node begins with `new`.

import { createRequire } from 'node:module'
import { BUMP, COMMANDS, NODE, PAIRS, Persistent, Router, TOKEN, c, hash, m, version, written } from './hyperdht-parts.mjs'

const { onrequest } = createRequire(import.meta.url)('hyperdht').prototype

const CACHE = { maxSize: 65536, maxAge: 0 }
const CACHES = { records: CACHE, bumps: CACHE, refreshes: CACHE, mutables: CACHE, immutables: CACHE }

const SENDERS = ['45.1.0.1:1001', '45.1.0.2:1002', '45.2.0.1:1003', '46.0.0.1:1004'].map(address)
const [ALICE, BOB, CAROL, DAVE] = SENDERS
const KEYS = PAIRS.map(([, pair]) => pair)
const TOPICS = ['red', 'green'].map((name) => hash(Buffer.from(name)))
const OWN = KEYS.map((pair) => hash(pair.publicKey))
const TOKENS = [TOKEN, Buffer.alloc(32, 9)]

// Tokens of refreshing: each is the hash of the next.
const CHAIN = [Buffer.alloc(32, 77)]
for (let i = 0; i < 4; i++) CHAIN.unshift(hash(CHAIN[0]))

const lines = [`# By tests/interop/js/hyperdht-served.mjs, with hyperdht ${version}.`]
let dht = null

// Bumps are compared with the time.
Date.now = () => BUMP

function fresh() {
  dht = { id: NODE, plugins: new Map(), _router: null, _persistent: null }
  dht._router = new Router(dht, { forwards: CACHE })
  dht._persistent = new Persistent(dht, CACHES)
  dht.plugins.set('chat', { version: 3, onrequest: (it, req) => (req.outcome = 'plugin') })
  lines.push('new')
}

function address(text) {
  const [host, port] = text.split(':')
  return { host, port: Number(port) }
}

const addr = ({ host, port }) => `${host}:${port}`
const hex = (it) => (it ? (it.length ? Buffer.from(it).toString('hex') : 'empty') : '-')

class Req {
  outcome = 'silent'
  constructor(from, command, target, token, value) {
    Object.assign(this, { from, command, target, token, value })
  }
  // As `lib/io.js` of dht-rpc has it.
  reply(value, opts = {}) {
    const sorted = value && this.command === COMMANDS.LOOKUP ? sortedPeers(value) : value
    this.#answered(0, sorted, opts.token !== false, opts)
  }
  error(code, opts = {}) {
    this.#answered(code, null, opts.token === true, opts)
  }
  relay(value, to) {
    this.outcome = `relay to=${addr(to)} value=${hex(value)}`
  }
  #answered(code, value, token, opts) {
    const to = 'to' in opts ? addr(opts.to || this.from) : '-'
    this.outcome = `reply error=${code} value=${hex(value)} token=${token} closer=${opts.closerNodes !== false} to=${to}`
  }
}

function sortedPeers(value) {
  const { peers, bump } = c.decode(m.lookupRawReply, value)
  return c.encode(m.lookupRawReply, { peers: peers.map((peer) => c.encode(m.peer, peer)).sort(Buffer.compare), bump })
}

function ask(from, command, target, { token = null, value = null } = {}) {
  const req = new Req(from, COMMANDS[command], target, token, value)
  if (!onrequest.call(dht, req)) req.outcome = 'not mine'
  lines.push(`${addr(from)} ${req.command} ${hex(target)} ${hex(token)} ${hex(value)} : ${req.outcome}`)
}

const says = (text) => lines.push(`# ${text}`)

// Announcements. `changed` is what is sent otherwise than signed.
function announcement(sign, target, pair, { relays = 0, refresh = null, bump = 0, token = TOKEN, node = NODE, changed = {} } = {}) {
  const peer = { publicKey: pair.publicKey, relayAddresses: SENDERS.slice(0, 1).concat(SENDERS, SENDERS).slice(0, relays) }
  const ann = { peer, refresh, bump, signature: null }
  ann.signature = sign(target, token, node, ann, pair)
  return { token: TOKEN, value: c.encode(m.announce, { ...ann, ...changed }) }
}

const announce = (from, target, pair, options) =>
  ask(from, 'ANNOUNCE', target, announcement(Persistent.signAnnounce, target, pair, options))
const unannounce = (from, target, pair, options) =>
  ask(from, 'UNANNOUNCE', target, announcement(Persistent.signUnannounce, target, pair, options))
const refresh = (from, target, token) =>
  ask(from, 'ANNOUNCE', target, { token: TOKEN, value: c.encode(m.announce, { refresh: token, bump: 0 }) })

function put(from, pair, seq, value, { target = hash(pair.publicKey), signed = value, signedSeq = seq } = {}) {
  const signature = Persistent.signMutable(signedSeq, signed, pair)
  const message = { publicKey: pair.publicKey, seq, value, signature }
  ask(from, 'MUTABLE_PUT', target, { token: TOKEN, value: c.encode(m.mutablePutRequest, message) })
}

const get = (target, seq) => ask(DAVE, 'MUTABLE_GET', target, { value: c.encode(c.uint, seq) })

function announcing() {
  const [red, green] = TOPICS
  const [key, other] = KEYS
  says('nobody is there')
  for (const target of [red, OWN[0]]) for (const command of ['LOOKUP', 'FIND_PEER']) ask(DAVE, command, target)
  says('topics')
  announce(ALICE, red, key, { relays: 2 })
  announce(BOB, red, other, { relays: 5 })
  ask(DAVE, 'LOOKUP', red)
  ask(DAVE, 'FIND_PEER', red)
  ask(DAVE, 'LOOKUP', green)
  says('a peer itself')
  announce(ALICE, OWN[0], key, { relays: 3 })
  ask(DAVE, 'FIND_PEER', OWN[0])
  ask(DAVE, 'LOOKUP', OWN[0])
  says('under the topic of its key, another peer')
  announce(BOB, OWN[0], other, { relays: 1 })
  ask(DAVE, 'LOOKUP', OWN[0])
  ask(DAVE, 'FIND_PEER', OWN[0])
  says('from elsewhere, with other relays')
  announce(CAROL, OWN[0], key, { relays: 4 })
  ask(DAVE, 'FIND_PEER', OWN[0])
  ask(DAVE, 'PEER_HOLEPUNCH', OWN[0], { value: punch(0) })

  says('signed for another node, with another token, for another topic, by another key, otherwise')
  announce(ALICE, green, key, { node: OWN[2] })
  announce(ALICE, green, key, { token: TOKENS[1] })
  ask(ALICE, 'ANNOUNCE', green, announcement(Persistent.signAnnounce, red, key))
  announce(ALICE, green, key, { changed: { peer: { publicKey: other.publicKey, relayAddresses: [] } } })
  announce(ALICE, green, key, { relays: 2, changed: { peer: { publicKey: key.publicKey, relayAddresses: [] } } })
  announce(ALICE, green, key, { changed: { refresh: CHAIN[0] } })
  announce(ALICE, green, key, { changed: { signature: null } })
  announce(ALICE, green, key, { changed: { signature: Buffer.alloc(64) } })
  ask(ALICE, 'ANNOUNCE', green, announcement(Persistent.signUnannounce, green, key))
  ask(DAVE, 'LOOKUP', green)
  says('without a target, a token, a value, or all of it')
  const whole = announcement(Persistent.signAnnounce, green, key)
  ask(ALICE, 'ANNOUNCE', null, whole)
  ask(ALICE, 'ANNOUNCE', green, { value: whole.value })
  ask(ALICE, 'ANNOUNCE', green, { token: TOKEN })
  ask(ALICE, 'ANNOUNCE', green, { token: TOKEN, value: Buffer.alloc(0) })
  ask(ALICE, 'ANNOUNCE', green, { token: TOKEN, value: Buffer.alloc(1) })
  ask(ALICE, 'ANNOUNCE', green, { token: TOKEN, value: whole.value.subarray(0, -1) })
  ask(DAVE, 'LOOKUP', green)
  says('and all of it')
  ask(ALICE, 'ANNOUNCE', green, whole)
  ask(DAVE, 'LOOKUP', green)
}

function withdrawing() {
  const [red, green] = TOPICS
  const [key, other] = KEYS
  says('two in a topic')
  announce(ALICE, red, key)
  announce(BOB, red, other)
  says('taken back by another key, for another topic, node, token; by an announcement; in part')
  unannounce(BOB, red, key, { changed: { peer: { publicKey: other.publicKey, relayAddresses: [] } } })
  ask(ALICE, 'UNANNOUNCE', red, announcement(Persistent.signUnannounce, green, key))
  unannounce(ALICE, red, key, { node: OWN[1] })
  unannounce(ALICE, red, key, { token: TOKENS[1] })
  ask(ALICE, 'UNANNOUNCE', red, announcement(Persistent.signAnnounce, red, key))
  unannounce(ALICE, red, key, { changed: { peer: null } })
  unannounce(ALICE, red, key, { changed: { signature: null } })
  const whole = announcement(Persistent.signUnannounce, red, key)
  ask(ALICE, 'UNANNOUNCE', null, whole)
  ask(ALICE, 'UNANNOUNCE', red, { value: whole.value })
  ask(ALICE, 'UNANNOUNCE', red, { token: TOKEN })
  ask(DAVE, 'LOOKUP', red)
  says('taken back, from anywhere, also twice')
  unannounce(CAROL, red, key, { relays: 2, refresh: CHAIN[0] })
  ask(DAVE, 'LOOKUP', red)
  unannounce(CAROL, red, key)
  unannounce(BOB, red, other)
  ask(DAVE, 'LOOKUP', red)
  says('a peer itself; another peer can not do that')
  announce(ALICE, OWN[0], key)
  announce(BOB, OWN[0], other)
  unannounce(BOB, OWN[0], other)
  ask(DAVE, 'LOOKUP', OWN[0])
  unannounce(ALICE, OWN[0], key)
  ask(DAVE, 'LOOKUP', OWN[0])
  ask(DAVE, 'FIND_PEER', OWN[0])
}

function refreshing() {
  const [red] = TOPICS
  const [key, other] = KEYS
  says('a chain of three, and the token of each once; before, between and after, a wrong one')
  announce(ALICE, red, key, { relays: 1, refresh: CHAIN[0] })
  unannounce(ALICE, red, key)
  refresh(ALICE, red, CHAIN[0])
  refresh(ALICE, red, CHAIN[2])
  ask(DAVE, 'LOOKUP', red)
  refresh(BOB, red, CHAIN[1])
  ask(DAVE, 'LOOKUP', red)
  refresh(ALICE, red, CHAIN[1])
  refresh(ALICE, red, CHAIN[3])
  unannounce(ALICE, red, key)
  refresh(ALICE, red, CHAIN[2])
  refresh(ALICE, red, CHAIN[3])
  ask(DAVE, 'LOOKUP', red)
  refresh(ALICE, red, CHAIN[4])
  says('of a peer itself: handshakes go to where it has refreshed from')
  announce(ALICE, OWN[1], other, { relays: 3, refresh: CHAIN[0] })
  refresh(CAROL, OWN[1], CHAIN[1])
  ask(DAVE, 'FIND_PEER', OWN[1])
  ask(DAVE, 'PEER_HOLEPUNCH', OWN[1], { value: punch(0) })
  says('whatever the target is; without a token, not')
  refresh(BOB, red, CHAIN[2])
  ask(DAVE, 'PEER_HOLEPUNCH', OWN[1], { value: punch(0) })
  ask(DAVE, 'LOOKUP', red)
  ask(ALICE, 'ANNOUNCE', red, { value: c.encode(m.announce, { refresh: CHAIN[3], bump: 0 }) })
  ask(ALICE, 'ANNOUNCE', null, { token: TOKEN, value: c.encode(m.announce, { refresh: CHAIN[3], bump: 0 }) })
  ask(DAVE, 'PEER_HOLEPUNCH', OWN[1], { value: punch(0) })
}

function bumping() {
  const [red] = TOPICS
  const [key, other] = KEYS
  says('bumps: of the past, lower, higher, up to a minute ahead, further')
  for (const bump of [0, 1000, 999, 1001, BUMP - 1, BUMP + 60_001, BUMP + 60_000, BUMP, 2 ** 53 - 1]) {
    announce(ALICE, red, bump % 2 ? key : other, { bump })
    ask(DAVE, 'LOOKUP', red)
  }
  says('not of a peer itself, and not by a refresh')
  announce(ALICE, OWN[0], key, { bump: 1000, refresh: CHAIN[0] })
  ask(DAVE, 'LOOKUP', OWN[0])
  says('a bump stays when all have gone')
  for (const pair of [key, other]) unannounce(ALICE, red, pair)
  ask(DAVE, 'LOOKUP', red)
  announce(ALICE, red, key)
  ask(DAVE, 'LOOKUP', red)
}

function storing() {
  const [key, other] = KEYS
  const [own] = OWN
  const [a, b, none] = [Buffer.from('first'), Buffer.from('second'), Buffer.alloc(0)]
  says('a mutable value, its versions')
  get(own, 0)
  put(ALICE, key, 5, a)
  for (const seq of [0, 4, 5, 6]) get(own, seq)
  says('again, another of this version, of an earlier one, of a later one')
  put(BOB, key, 5, a)
  put(BOB, key, 5, b)
  put(BOB, key, 4, a)
  put(BOB, key, 4, b)
  put(BOB, key, 6, a)
  put(BOB, key, 300, b)
  get(own, 300)
  says('an empty one, version 0')
  put(BOB, other, 0, none)
  get(OWN[1], 0)
  put(BOB, other, 0, a)
  put(BOB, other, 1, none)
  get(OWN[1], 1)
  says('under another target, signed otherwise, by another key')
  put(ALICE, KEYS[2], 1, a, { target: OWN[1] })
  put(ALICE, KEYS[2], 1, a, { signed: b })
  put(ALICE, KEYS[2], 2, a, { signedSeq: 1 })
  get(OWN[2], 0)
  says('without a target, a token, a value, or all of it')
  const signature = Persistent.signMutable(1, a, KEYS[2])
  const value = c.encode(m.mutablePutRequest, { publicKey: KEYS[2].publicKey, seq: 1, value: a, signature })
  ask(ALICE, 'MUTABLE_PUT', null, { token: TOKEN, value })
  ask(ALICE, 'MUTABLE_PUT', OWN[2], { value })
  ask(ALICE, 'MUTABLE_PUT', OWN[2], { token: TOKEN })
  ask(ALICE, 'MUTABLE_PUT', OWN[2], { token: TOKEN, value: value.subarray(0, -1) })
  ask(ALICE, 'MUTABLE_GET', null, { value: Buffer.from([0]) })
  ask(ALICE, 'MUTABLE_GET', OWN[2])
  ask(ALICE, 'MUTABLE_GET', OWN[2], { value: none })
  ask(ALICE, 'MUTABLE_GET', own, { value: Buffer.from([0xfd, 1]) })
  ask(ALICE, 'MUTABLE_GET', own, { value: Buffer.from('ff0000000000002000', 'hex') })
  ask(ALICE, 'MUTABLE_GET', OWN[2], { token: TOKEN, value: Buffer.from([0, 0xff]) })

  says('an immutable value, also an empty one')
  for (const value of [a, none, Buffer.alloc(1000, 1)]) {
    ask(DAVE, 'IMMUTABLE_GET', hash(value))
    ask(ALICE, 'IMMUTABLE_PUT', hash(b), { token: TOKEN, value })
    ask(ALICE, 'IMMUTABLE_PUT', hash(value), { value })
    ask(ALICE, 'IMMUTABLE_PUT', null, { token: TOKEN, value })
    ask(ALICE, 'IMMUTABLE_PUT', hash(value), { token: TOKEN })
    ask(DAVE, 'IMMUTABLE_GET', hash(value))
    ask(ALICE, 'IMMUTABLE_PUT', hash(value), { token: TOKEN, value })
    ask(DAVE, 'IMMUTABLE_GET', hash(value), { value: b })
  }
  ask(DAVE, 'IMMUTABLE_GET', null)
  ask(DAVE, 'IMMUTABLE_GET', hash(b))
}

const punch = (mode, peerAddress = null, payload = Buffer.from('p')) =>
  c.encode(m.holepunch, { mode, id: 7, payload, peerAddress })
const shake = (mode, peerAddress = null, relayAddress = null, noise = Buffer.from('n')) =>
  c.encode(m.handshake, { mode, noise, peerAddress, relayAddress })

function relaying() {
  const [key] = KEYS
  const [own] = OWN
  for (const known of [false, true]) {
    if (known) announce(ALICE, own, key)
    for (const target of [own, null]) {
      says(`${known ? 'a known' : 'an unknown'} server, ${target ? 'a' : 'no'} target`)
      for (const mode of [0, 1, 2, 3, 4, 5]) {
        for (const peer of [null, CAROL]) {
          for (const relay of [null, DAVE]) ask(BOB, 'PEER_HANDSHAKE', target, { value: shake(mode, peer, relay) })
          ask(BOB, 'PEER_HOLEPUNCH', target, { value: punch(mode, peer) })
        }
      }
    }
  }
  says('empty, cut, none')
  const nothing = Buffer.alloc(0)
  for (const mode of [0, 1, 2]) {
    ask(BOB, 'PEER_HANDSHAKE', own, { value: shake(mode, CAROL, null, nothing) })
    ask(BOB, 'PEER_HOLEPUNCH', own, { value: punch(mode, CAROL, nothing) })
  }
  for (const [command, whole] of [['PEER_HANDSHAKE', shake(0, CAROL, DAVE)], ['PEER_HOLEPUNCH', punch(0, CAROL)]]) {
    ask(BOB, command, own)
    for (let length = 0; length < whole.length; length++) ask(BOB, command, own, { value: whole.subarray(0, length) })
  }
  says('a topic that others have announced is no server')
  announce(ALICE, TOPICS[0], key)
  ask(BOB, 'PEER_HANDSHAKE', TOPICS[0], { value: shake(0) })
  ask(BOB, 'PEER_HOLEPUNCH', TOPICS[0], { value: punch(0) })
}

function plugins() {
  const request = (plugin, version) => ({ value: c.encode(m.pluginRequest, { plugin, version, command: 9, value: TOKEN }) })
  says('a plugin: known, another version, unknown, cut, none')
  ask(ALICE, 'PLUGIN', null, request('chat', 3))
  ask(ALICE, 'PLUGIN', TOPICS[0], { token: TOKEN, ...request('chat', 3) })
  ask(ALICE, 'PLUGIN', null, request('chat', 2))
  ask(ALICE, 'PLUGIN', null, request('chat', 4))
  ask(ALICE, 'PLUGIN', null, request('cha', 3))
  ask(ALICE, 'PLUGIN', null, request('', 3))
  ask(ALICE, 'PLUGIN', null, { value: request('chat', 3).value.subarray(0, -1) })
  ask(ALICE, 'PLUGIN', null, { value: Buffer.alloc(0) })
  ask(ALICE, 'PLUGIN', null)
}

// Requests of all kinds in random order, by few peers about few things. A peer has the same relays in each topic, since
// the reference goes on to tell those that it was told first.
function random(seed, count) {
  let state = seed
  const below = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
  const one = (all) => all[below(all.length)]
  const values = ['', 'a', 'b'].map((text) => Buffer.from(text))
  const topics = [...TOPICS, ...OWN]
  const steps = [
    (from) => {
      const [which, topic] = [below(3), one(topics)]
      const relays = OWN[which] === topic ? below(5) : which
      announce(from, topic, KEYS[which], { relays, refresh: one([null, ...CHAIN]), bump: one([0, 10, 20, BUMP + 70_000]) })
    },
    (from) => unannounce(from, one(topics), one(KEYS)),
    (from) => refresh(from, one(topics), one(CHAIN)),
    () => ask(DAVE, 'LOOKUP', one(topics)),
    () => ask(DAVE, 'FIND_PEER', one(topics)),
    (from) => put(from, one(KEYS), below(3), one(values)),
    () => get(one(OWN), below(4)),
    (from) => {
      const value = one(values)
      ask(from, 'IMMUTABLE_PUT', hash(value), { token: one([TOKEN, TOKEN, null]), value })
    },
    () => ask(DAVE, 'IMMUTABLE_GET', hash(one(values))),
    (from) => ask(from, 'PEER_HANDSHAKE', one(topics), { value: shake(below(5), one([null, ...SENDERS]), one([null, null, ...SENDERS])) }),
    (from) => ask(from, 'PEER_HOLEPUNCH', one(topics), { value: punch(below(5), one([null, ...SENDERS])) })
  ]
  says(`in random order, ${seed}`)
  for (let i = 0; i < count; i++) one(steps)(one(SENDERS))
}

for (const story of [announcing, withdrawing, refreshing, bumping, storing, relaying, plugins]) {
  fresh()
  story()
}
for (const seed of [1, 2]) {
  fresh()
  random(seed, 300)
}
says('a node without an id relays, and nothing else')
fresh()
announce(ALICE, OWN[0], KEYS[0])
dht.id = null
lines.push('no id')
for (const command of Object.keys(COMMANDS)) {
  ask(BOB, command, OWN[0], { token: TOKEN, value: command === 'PEER_HANDSHAKE' ? shake(0) : punch(0) })
}
written('served.txt', lines)
