// The reference's own encoder and decoder, driven without a network: an `IO` whose sockets
// only remember what they were asked to send.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const IO = require('dht-rpc/lib/io.js')
const peer = require('dht-rpc/lib/peer.js')
const c = require('compact-encoding')

export const versions = {
  'dht-rpc': require('dht-rpc/package.json').version,
  'compact-encoding': require('compact-encoding/package.json').version
}

// Where the messages of the vectors are read as coming from.
export const SENDER = { host: '192.0.2.7', port: 49737 }

export const nodeId = (host, port) => peer.id(host, port)

const hex = (bytes) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
const address = ({ host, port }) => ({ host, port })

/// A socket that keeps the last datagram.
class Outbox {
  sent = null
  trySend(bytes) {
    this.sent = Buffer.from(bytes)
  }
}

/// One node, persistent, so that what leaves through its server socket carries its id.
export class Reference {
  constructor() {
    const watch = { on() {}, destroy() {} }
    this.table = { id: nodeId(SENDER.host, SENDER.port), closest: () => this.closer }
    this.closer = []
    this.incoming = null
    this.io = new IO(this.table, { watchNetworkInterfaces: () => watch }, {
      firewalled: false,
      onrequest: (request) => this.onrequest(request)
    })
    this.onrequest = () => {}
    this.io.ephemeral = false
    this.io.serverSocket = new Outbox() // leaves the id on what is sent
    this.io.clientSocket = new Outbox() // does not
    // Fixed secrets make the tokens in the vectors reproducible.
    this.io._secrets = [Buffer.alloc(32, 0xa0), Buffer.alloc(32, 0xa1)]
    this.#watchDecoder()
  }

  socket(withId) {
    return withId ? this.io.serverSocket : this.io.clientSocket
  }

  /// The bytes of a request with these fields.
  encodeRequest({ withId, tid, to, token, internal, command, target, value }) {
    const socket = this.socket(withId)
    const request = this.io.createRequest(to, token, internal, command, target, value, null)
    request.tid = tid
    request.socket = socket
    request.send(true)
    request.destroy()
    return socket.sent
  }

  /// The bytes of the answer to a request from `to`.
  encodeResponse({ withId, tid, to, withToken, closer, error, value }) {
    const socket = this.socket(withId)
    const question = this.encodeRequest({
      withId: false,
      tid,
      to: SENDER,
      token: null,
      internal: false,
      command: 0,
      target: Buffer.alloc(32),
      value: null
    })
    this.closer = closer
    this.onrequest = (request) => request.sendReply(error, value, withToken, true)
    this.io.onmessage(socket, question, to)
    this.onrequest = () => {}
    return socket.sent
  }

  /// What the reference makes of a datagram: null if it drops it.
  decode(bytes, from) {
    this.#decoded = null
    this.io.inflight = this.#waitingFor(bytes)
    this.io.onmessage(this.io.serverSocket, bytes, from)
    this.io.inflight = []
    return this.#decoded
  }

  #decoded = null

  // Requests are seen as they leave the decoder, before the token is checked: whether a token
  // is valid is no question of form.
  #watchDecoder() {
    const Request = this.io.createRequest(SENDER, null, true, 0, null, null, null).constructor
    this.io.inflight = []
    const decode = Request.decode
    Request.decode = (io, ...rest) => {
      const request = decode.call(Request, io, ...rest)
      if (io === this.io && request !== null) this.#decoded = describeRequest(request)
      return request
    }
  }

  // The decoder of responses shows its result only to the request that waits for it.
  #waitingFor(bytes) {
    const state = { start: 1, end: bytes.byteLength, buffer: bytes }
    try {
      c.uint.decode(state)
      const onresponse = (response) => {
        this.#decoded = describeResponse(response)
      }
      return [{ tid: c.uint16.decode(state), onresponse }]
    } catch {
      return []
    }
  }
}

// Integers that may exceed what JSON readers hold exactly are decimal strings.
function describeRequest({ from, tid, to, token, internal, command, target, value }) {
  return {
    kind: 'request',
    tid,
    to: address(to),
    id: hex(from.id),
    token: hex(token),
    internal,
    command: String(command),
    target: hex(target),
    value: hex(value)
  }
}

function describeResponse({ from, tid, to, token, closerNodes, error, value }) {
  return {
    kind: 'response',
    tid,
    to: address(to),
    id: hex(from.id),
    token: hex(token),
    closerNodes: closerNodes && closerNodes.map(address),
    error: String(error),
    value: hex(value)
  }
}
