// Nodes of hyperdht, driven line by line: each line of stdin is {"op": NAME, ...}, each line of stdout its answer,
// {"ok": ...} or {"error": message}. Bytes are hex, addresses "host:port". All nodes are on the loopback interface and
// have names, which the caller chooses.

import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import HyperDHT from 'hyperdht'

const require = createRequire(import.meta.url)
const c = require('compact-encoding')
const m = require('hyperdht/lib/messages.js')
const Persistent = require('hyperdht/lib/persistent.js')
const refreshChain = require('hyperdht/lib/refresh-chain.js')

// For one op, in milliseconds.
const TIME_LIMIT = 30_000

const nodes = new Map()
const servers = new Map()

const bytes = (text) => (text === undefined || text === null ? null : Buffer.from(text, 'hex'))
const hex = (data) => (data ? Buffer.from(data).toString('hex') : null)
const address = ({ host, port }) => `${host}:${port}`
const addressed = (text) => ({ host: text.split(':')[0], port: Number(text.split(':')[1]) })
const pair = (seed) => HyperDHT.keyPair(bytes(seed))
const peer = ({ publicKey, relayAddresses }) => ({
  publicKey: hex(publicKey),
  relays: relayAddresses.map(address)
})

async function all(query, read) {
  const found = []
  for await (const reply of query) found.push({ from: address(reply.from), ...read(reply) })
  return found
}

const ops = {
  // A node that stores; with `closed`, one that can't be reached without punching; else one that is open.
  async node({ name, bootstrap, persistent, closed }) {
    const options = { bootstrap, host: '127.0.0.1', port: [0, 0] }
    if (persistent) Object.assign(options, { ephemeral: false, firewalled: false })
    if (closed) options.quickFirewall = false
    const dht = new HyperDHT(options)
    nodes.set(name, dht)
    await dht.fullyBootstrapped()
    return { address: `127.0.0.1:${dht.io.serverSocket.address().port}`, persistent: !dht.ephemeral }
  },

  async knows({ dht, address: wanted }) {
    return dht.toArray().some((node) => address(node) === wanted)
  },

  async close({ dht, name }) {
    nodes.delete(name)
    await dht.destroy({ force: true })
  },

  // A server that sends back what it gets.
  async listen({ dht, seed, punched }) {
    const server = dht.createServer({ shareLocalAddress: !punched }, (stream) => {
      stream.on('error', () => {}).on('data', (data) => stream.write(data))
      stream.on('end', () => stream.end())
    })
    await server.listen(pair(seed))
    servers.set(seed, server)
    return { publicKey: hex(server.publicKey), relays: server.relayAddresses.map(address) }
  },

  async unlisten({ seed }) {
    await servers.get(seed).close()
  },

  // What comes back, and how often a punch was tried so far.
  async connect({ dht, publicKey, say, punched }) {
    const stream = dht.connect(bytes(publicKey), { localConnection: !punched, fastOpen: !punched })
    const heard = new Promise((resolve, reject) => stream.once('data', resolve).once('error', reject))
    stream.write(Buffer.from(say))
    const echo = (await heard).toString()
    const closed = new Promise((resolve) => stream.once('close', resolve))
    stream.end()
    await closed
    return { echo, punches: dht.stats.punches.consistent }
  },

  findPeer: ({ dht, publicKey }) => all(dht.findPeer(bytes(publicKey)), (reply) => peer(reply.peer)),

  lookup: ({ dht, topic }) =>
    all(dht.lookup(bytes(topic)), ({ peers, bump }) => ({ peers: peers.map(peer), bump })),

  async announce({ dht, topic, seed, relays, clear, bump }) {
    await dht.announce(bytes(topic), pair(seed), (relays ?? []).map(addressed), { clear, bump }).finished()
  },

  async unannounce({ dht, topic, seed }) {
    await dht.unannounce(bytes(topic), pair(seed))
  },

  async immutablePut({ dht, value }) {
    return hex((await dht.immutablePut(bytes(value))).hash)
  },

  async immutableGet({ dht, hash }) {
    return hex((await dht.immutableGet(bytes(hash)))?.value)
  },

  async mutablePut({ dht, seed, value, seq }) {
    await dht.mutablePut(pair(seed), bytes(value), { seq })
  },

  async mutableGet({ dht, publicKey, seq }) {
    const found = await dht.mutableGet(bytes(publicKey), { seq })
    return found && { seq: found.seq, value: hex(found.value), signature: hex(found.signature) }
  },

  // With `once`, one try: for a request that is not answered on purpose.
  async request({ dht, to, command, target, value, token, once }) {
    const request = { command, target: bytes(target), value: bytes(value), token: bytes(token) }
    const reply = await dht.request(request, addressed(to), { retry: !once }).catch(() => null)
    return (
      reply && {
        id: hex(reply.from.id),
        token: hex(reply.token),
        error: reply.error,
        value: hex(reply.value),
        closerNodes: reply.closerNodes !== null
      }
    )
  },

  // Below this, no node is needed: keys, hashes, and values as hyperdht writes them.
  keys: ({ seed }) => ({ publicKey: hex(pair(seed).publicKey), hash: hex(HyperDHT.hash(pair(seed).publicKey)) }),

  hash: ({ value }) => hex(HyperDHT.hash(bytes(value))),

  refreshChain: ({ length }) => refreshChain(length).map(hex),

  // The value of ANNOUNCE or UNANNOUNCE for the node with this id, which has sent this token.
  announcement({ seed, target, id, token, relays, refresh, bump, withdraw }) {
    const { publicKey } = pair(seed)
    const value = {
      peer: { publicKey, relayAddresses: (relays ?? []).map(addressed) },
      refresh: bytes(refresh),
      bump: bump ?? 0
    }
    const sign = withdraw ? Persistent.signUnannounce : Persistent.signAnnounce
    value.signature = sign(bytes(target), bytes(token), bytes(id), value, pair(seed))
    return hex(c.encode(m.announce, value))
  },

  refreshment: ({ refresh }) => hex(c.encode(m.announce, { refresh: bytes(refresh) })),

  // The value of MUTABLE_PUT.
  mutable({ seed, seq, value }) {
    const { publicKey } = pair(seed)
    const signature = Persistent.signMutable(seq, bytes(value), pair(seed))
    return hex(c.encode(m.mutablePutRequest, { publicKey, seq, value: bytes(value), signature }))
  },

  handshake: ({ mode, noise, peer, relay }) =>
    hex(
      c.encode(m.handshake, {
        mode,
        noise: bytes(noise),
        peerAddress: peer && addressed(peer),
        relayAddress: relay && addressed(relay)
      })
    ),

  holepunch: ({ mode, id, payload, peer }) =>
    hex(c.encode(m.holepunch, { mode, id, payload: bytes(payload), peerAddress: peer && addressed(peer) })),

  plugin: ({ plugin, version, command, value }) =>
    hex(c.encode(m.pluginRequest, { plugin, version, command, value: bytes(value) }))
}

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...fields } = JSON.parse(line)
  const limit = setTimeout(() => process.exit(1), TIME_LIMIT)
  let answer
  try {
    answer = { ok: (await ops[op]({ ...fields, dht: nodes.get(fields.node ?? fields.name) })) ?? null }
  } catch (err) {
    answer = { error: String(err.message) }
  }
  clearTimeout(limit)
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit()
