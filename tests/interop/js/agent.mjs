// The agent over dht-rpc: JSON lines in, calls of the package out. The protocol is described in
// ../agent-protocol.md; this file only maps it. What the package cannot do is mapped to what it does
// anyway: `anyReplier` (it takes answers from anyone), `thorough` (it always waits).

import DHT from 'dht-rpc'
import { Requests, fail, field, hexOf, nodeOptions, peerOf, addressOf, errorOf } from './fields.mjs'

const EVENTS = [
  'listening',
  'ready',
  'persistent',
  'ephemeral',
  'wakeup',
  'network-change',
  'network-update',
  'suspend',
  'resume',
  'close'
]

const nodes = new Map()

function write(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

/// A node whose options are checked by the package, but which never starts.
class Unstarted extends DHT {
  constructor(options) {
    super(options)
    clearInterval(this._tickInterval)
    this.io.networkInterfaces.destroy()
  }

  async _bootstrap() {}
}

/// What an op still owes: one answer, whichever comes first.
class Debt {
  constructor(id) {
    this.id = id
    this.paid = false
  }

  ok(value = null) {
    this.#answer({ ok: value })
  }

  error(err) {
    this.#answer({ error: errorOf(err) })
  }

  settle(promise, map = () => null) {
    promise.then((value) => this.ok(map(value)), (err) => this.error(err))
  }

  #answer(answer) {
    if (this.paid) return
    this.paid = true
    write({ id: this.id, ...answer })
  }
}

class Node {
  constructor(number, make) {
    this.number = number
    this.make = make
    this.unstarted = make(Unstarted)
    this.dht = null
    this.destroyed = false
    this.listening = new Set()
    this.sessions = new Map() // session number -> Session
    this.running = new Map() // op id -> { query, finish }
    this.requests = new Requests()
    this.waiting = new Set() // { debt, session } of single requests
    this.handlers = {
      request: (request) => this.#announceRequest(request),
      'add-node': (node) => this.#announceNode('add-node', node),
      'remove-node': (node) => this.#announceNode('remove-node', node)
    }
  }

  announce(event, fields = {}) {
    write({ event, node: this.number, ...fields })
  }

  start() {
    if (this.dht !== null) fail('node was started before')
    this.dht = this.make(DHT)
    for (const event of EVENTS) this.dht.on(event, () => this.announce(event))
    this.dht.on('nat-update', (host, port) => this.announce('nat-update', { host, port }))
    for (const event of this.listening) this.dht.on(event, this.handlers[event])
  }

  listen(event, on) {
    if (!(event in this.handlers)) fail(`can not listen to ${event}`)
    if (on === this.listening.has(event)) return
    if (on) this.listening.add(event)
    else this.listening.delete(event)
    this.dht?.[on ? 'on' : 'off'](event, this.handlers[event])
  }

  session(number) {
    if (number === undefined) return undefined
    let session = this.sessions.get(number)
    if (session === undefined) this.sessions.set(number, (session = this.dht.session()))
    return session
  }

  /// One request: it is remembered, so that `endSession` can answer it at once.
  send(debt, session, promise) {
    const entry = { debt, session }
    this.waiting.add(entry)
    promise
      .finally(() => this.waiting.delete(entry))
      .then((reply) => debt.ok(replyOf(reply)), (err) => debt.error(err))
  }

  endSession(number) {
    const session = this.sessions.get(number)
    if (session === undefined) return
    this.sessions.delete(number)
    session.destroy()
    this.#failWaiting((entry) => entry.session === session)
  }

  run(debt, query) {
    let failure = null
    const finish = () => {
      if (!this.running.delete(debt.id)) return
      if (failure !== null) return debt.error(failure)
      debt.ok({
        closest: query.closestReplies.map(replyOf),
        successes: query.successes,
        errors: query.errors
      })
    }
    this.running.set(debt.id, { query, finish })
    query.on('data', (reply) => {
      if (this.running.has(debt.id)) this.announce('data', { query: debt.id, reply: replyOf(reply) })
    })
    query.on('error', (err) => (failure = err))
    query.on('close', finish)
  }

  endQuery(id) {
    const entry = this.running.get(id)
    if (entry === undefined) return
    entry.finish()
    entry.query.destroy()
  }

  async destroy() {
    if (this.dht === null) {
      // Never started: there is nothing to close, but the end of it is told all the same.
      if (!this.destroyed) this.announce('close')
      this.destroyed = true
      return
    }
    const first = !this.destroyed
    this.destroyed = true
    try {
      await this.dht.destroy()
    } catch {
      // A node that could not bind can not be closed either, as far as the package goes.
      this.#failWaiting(() => true)
      if (first) this.announce('close')
    }
  }

  #failWaiting(which) {
    for (const entry of this.waiting) {
      if (!which(entry)) continue
      this.waiting.delete(entry)
      entry.debt.error({ code: 'REQUEST_DESTROYED', message: 'Request destroyed' })
    }
  }

  #announceRequest(request) {
    this.announce('request', {
      request: this.requests.add(request),
      from: peerOf(request.from),
      to: addressOf(request.to),
      token: hexOf(request.token),
      target: hexOf(request.target),
      command: request.command,
      value: hexOf(request.value)
    })
  }

  #announceNode(event, { id, host, port }) {
    this.announce(event, { id: hexOf(id), host, port })
  }
}

function replyOf({ from, to, token, closerNodes, error, value, rtt }) {
  return {
    from: peerOf(from),
    to: addressOf(to),
    token: hexOf(token),
    closerNodes: closerNodes && closerNodes.map(addressOf),
    error,
    value: hexOf(value),
    rtt
  }
}

function infoOf(node) {
  const started = node.dht !== null
  const dht = node.dht ?? node.unstarted
  const { serverSocket, clientSocket, portRange } = dht.io
  return {
    id: started ? hexOf(dht.id) : null,
    tableId: started ? hexOf(dht.table.id) : null,
    host: started ? dht.host : null,
    port: started ? dht.port : 0,
    ephemeral: dht.ephemeral,
    firewalled: dht.firewalled,
    randomized: started && dht.randomized,
    bootstrapped: dht.bootstrapped,
    suspended: dht.suspended,
    destroyed: node.destroyed,
    online: dht.online,
    degraded: dht.degraded,
    address: addressOf(dht.address()),
    localAddress: addressOf(dht.localAddress()),
    remoteAddress: addressOf(dht.remoteAddress()),
    serverPort: serverSocket?.address()?.port ?? null,
    clientPort: clientSocket?.address()?.port ?? null,
    bootstrap: dht.bootstrapNodes.map(addressOf),
    size: dht.table.size,
    k: dht.table.k,
    stats: dht.stats,
    health: dht.health.stats,
    config: {
      concurrency: dht.config.concurrency,
      maxWindow: dht.config.maxWindow,
      maxPingDelay: dht.maxPingDelay,
      sendDownHints: dht.config.sendDownHints,
      downHintsRateLimit: dht.config.downHintsRateLimit,
      portRange
    }
  }
}

function create(op) {
  const number = field.natural(op, 'node')
  if (nodes.has(number)) fail(`node ${number} exists`)
  const options = nodeOptions(op)
  const own = field.optional(field.object, op, 'bootstrapper')
  if (own === undefined) {
    nodes.set(number, new Node(number, (Class) => new Class(options)))
    return
  }
  const port = field.uint(own, 'port')
  const host = field.string(own, 'host')
  nodes.set(number, new Node(number, (Class) => Class.bootstrapper(port, host, options)))
}

function requestOptions(node, op) {
  return {
    retry: field.optional(field.bool, op, 'retry'),
    session: node.session(field.optional(field.natural, op, 'session'))
  }
}

function queryOptions(node, op) {
  return {
    commit: field.optional(field.bool, op, 'commit') ?? false,
    nodes: field.optional(field.addresses, op, 'nodes'),
    concurrency: field.optional(field.uint, op, 'concurrency'),
    retries: field.optional(field.uint, op, 'retries') ?? 5,
    onlyClosestNodes: field.optional(field.bool, op, 'onlyClosestNodes'),
    session: node.session(field.optional(field.natural, op, 'session'))
  }
}

function replyOptions(op) {
  return {
    token: field.optional(field.bool, op, 'token'),
    closerNodes: field.optional(field.bool, op, 'closerNodes'),
    to: field.optional(field.address, op, 'to')
  }
}

/// Ops that are answered before the next line is taken; what they return is the answer.
const NOW = {
  start: (node) => node.start(),
  listen: (node, op) => node.listen(field.string(op, 'event'), field.bool(op, 'on')),
  info: (node) => infoOf(node),
  addNode: (node, op) => node.dht.addNode(field.addressOf(op)),
  refresh: (node) => node.dht.refresh(),
  tick: (node, op) => {
    if (!field.optional(field.bool, op, 'quiet')) return node.dht._ontick()
    if (!node.dht.bootstrapped || node.dht.suspended) return
    node.dht._downHintsSentPerTick = 0
    node.dht.health.update()
  },
  nodes: (node, op) => node.dht.toArray({ limit: field.optional(field.uint, op, 'limit') }),
  table: ({ dht }) => ({
    id: hexOf(dht.table.id),
    k: dht.table.k,
    nodes: dht.table.toArray().map(peerOf)
  }),
  endSession: (node, op) => node.endSession(field.natural(op, 'session')),
  endQuery: (node, op) => node.endQuery(field.natural(op, 'query')),
  reply: (node, op) => {
    const value = field.optional(field.hex, op, 'value') ?? null
    const options = replyOptions(op)
    node.requests.take(field.natural(op, 'request')).reply(value, options)
  },
  error: (node, op) => {
    const code = field.uint(op, 'code')
    const options = replyOptions(op)
    node.requests.take(field.natural(op, 'request')).error(code, options)
  },
  relay: (node, op) => {
    const value = field.optional(field.hex, op, 'value') ?? null
    const to = field.address(op, 'to')
    node.requests.take(field.natural(op, 'request')).relay(value, to)
  }
}

/// Ops that are answered when they are done.
const LATER = {
  bootstrapped: (node, op, debt) => debt.settle(node.dht.fullyBootstrapped()),
  suspend: (node, op, debt) => debt.settle(node.dht.suspend()),
  resume: (node, op, debt) => debt.settle(node.dht.resume()),
  destroy: (node, op, debt) => debt.settle(node.destroy()),
  rttStats: (node, op, debt) => debt.settle(node.dht.rttStats(), (stats) => stats),
  ping: (node, op, debt) => {
    const to = field.address(op, 'to')
    const size = field.optional(field.uint, op, 'size')
    const options = requestOptions(node, op)
    node.send(debt, options.session, node.dht.ping(to, { ...options, size }))
  },
  delayedPing: (node, op, debt) => {
    const to = field.address(op, 'to')
    const delay = field.uint(op, 'delay')
    const options = requestOptions(node, op)
    node.send(debt, options.session, node.dht.delayedPing(to, delay, options))
  },
  request: (node, op, debt) => {
    const to = field.address(op, 'to')
    const message = {
      command: field.uint(op, 'command'),
      target: field.optional(field.hash, op, 'target'),
      value: field.optional(field.hex, op, 'value'),
      token: field.optional(field.hash, op, 'token')
    }
    const options = requestOptions(node, op)
    node.send(debt, options.session, node.dht.request(message, to, options))
  },
  query: (node, op, debt) => {
    const message = {
      target: field.hash(op, 'target'),
      command: field.uint(op, 'command'),
      value: field.optional(field.hex, op, 'value')
    }
    node.run(debt, node.dht.query(message, queryOptions(node, op)))
  },
  findNode: (node, op, debt) => {
    const target = field.hash(op, 'target')
    node.run(debt, node.dht.findNode(target, { ...queryOptions(node, op), commit: false }))
  }
}

const BEFORE_START = new Set(['start', 'info', 'listen', 'destroy'])
const AFTER_DESTROY = new Set(['info', 'suspend', 'resume', 'destroy'])

function take(line) {
  let op
  try {
    op = JSON.parse(line)
  } catch {
    op = null
  }
  if (op === null || typeof op !== 'object') return console.error('not an op:', line)
  const debt = new Debt(op.id)
  try {
    perform(op, debt)
  } catch (err) {
    debt.error(err)
  }
}

function perform(op, debt) {
  if (op.op === 'create') {
    create(op)
    return debt.ok()
  }
  const now = Object.hasOwn(NOW, op.op) ? NOW[op.op] : null
  const later = Object.hasOwn(LATER, op.op) ? LATER[op.op] : null
  if (now === null && later === null) fail(`unknown op ${op.op}`)

  const node = nodes.get(field.natural(op, 'node'))
  if (node === undefined) fail(`unknown node ${op.node}`)
  if (node.destroyed) {
    if (!AFTER_DESTROY.has(op.op)) throw new Error('Node destroyed')
    if (op.op === 'suspend' || op.op === 'resume') return debt.ok()
  } else if (node.dht === null && !BEFORE_START.has(op.op)) {
    fail(`node ${op.node} is not started`)
  }

  if (now !== null) debt.ok(now(node, op) ?? null)
  else later(node, op, debt)
}

// All complete lines at hand are taken before the event loop, and so the nodes, go on.
let partial = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', (chunk) => {
  const lines = (partial + chunk).split('\n')
  partial = lines.pop()
  for (const line of lines) if (line.trim() !== '') take(line)
})
process.stdin.on('end', async () => {
  await Promise.allSettled([...nodes.values()].map((node) => node.destroy()))
  process.exit(0)
})
