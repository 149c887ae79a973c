// Vectors of hyperdht's messages, by asking its own encoders and decoders.
//   node hyperdht-messages.mjs          writes ../../../dht-core/tests/it/hyperdht/messages.txt
//   node hyperdht-messages.mjs --check  exits with 1 if it differs from what would be written
//
// A line: what it is (`both`: read and written; `read`: taken, but never written so; `refused`), the kind of message, its
// bytes, its fields, and `cuts`, the lengths at which it can be cut off and is still read. A run of one byte is `(5a*1000)`.

import { ADDRESSES, BUMP, KEY, NODE, PAIRS, TARGET, TOKEN, c, m, version, written, Persistent } from './hyperdht-parts.mjs'

// Around every change of a varint's width, up to the largest number that is accepted.
const NUMBERS = [0, 1, 0xfc, 0xfd, 0xff, 0x100, 0xffff, 0x10000, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
const SIGNATURE = Buffer.from(Array.from({ length: 64 }, (_, i) => 200 - i))

const addr = (it) => (it ? `${it.host}:${it.port}` : '-')
const hex = (it) => (it ? (it.length ? Buffer.from(it).toString('hex') : 'empty') : '-')
const list = (all) => all.map(addr).join(',') || 'none'
const peerFields = (it) => ({ key: it.publicKey, relays: list(it.relayAddresses) })

const KINDS = {
  handshake: [m.handshake, (it) => ({ mode: it.mode, noise: it.noise, peer: addr(it.peerAddress), relay: addr(it.relayAddress) })],
  holepunch: [m.holepunch, (it) => ({ mode: it.mode, id: it.id, payload: it.payload, peer: addr(it.peerAddress) })],
  peer: [m.peer, peerFields],
  announcement: [
    m.announce,
    (it) => ({
      ...(it.peer ? peerFields(it.peer) : { key: null }),
      refresh: it.refresh,
      signature: it.signature,
      bump: it.bump
    })
  ],
  peers: [
    { ...m.lookupRawReply, ...raw() },
    (it) => ({ peers: it.peers.map((peer) => `${hex(peer.publicKey)}/${list(peer.relayAddresses)}`).join(';') || 'none', bump: it.bump })
  ],
  mutable: [m.mutableGetResponse, (it) => ({ seq: it.seq, value: it.value, signature: it.signature })],
  put: [m.mutablePutRequest, (it) => ({ key: it.publicKey, seq: it.seq, value: it.value, signature: it.signature })],
  plugin: [
    m.pluginRequest,
    (it) => ({ plugin: Buffer.from(it.plugin), version: it.version, command: it.command, value: it.value })
  ]
}

// Peers are written as they were stored.
function raw() {
  const store = (it) => ({ ...it, peers: it.peers.map((peer) => c.encode(m.peer, peer)) })
  return {
    preencode: (state, it) => m.lookupRawReply.preencode(state, store(it)),
    encode: (state, it) => m.lookupRawReply.encode(state, store(it))
  }
}

const lines = []

function describe(fields) {
  const shown = (it) => (it === null || it instanceof Uint8Array ? hex(it) : String(it))
  return Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`)
}

function decode(kind, bytes) {
  try {
    return c.decode(KINDS[kind][0], bytes)
  } catch {
    return null
  }
}

function line(how, kind, bytes, message) {
  const cuts = Array.from(bytes.keys()).filter((length) => decode(kind, bytes.subarray(0, length)))
  const fields = message ? describe(KINDS[kind][1](message)) : []
  lines.push([how, kind, hex(bytes), ...fields, ...(message ? [`cuts=${cuts.join(',') || 'none'}`] : [])].join(' '))
}

// Written, and read again.
function both(kind, message) {
  const bytes = c.encode(KINDS[kind][0], message)
  line('both', kind, bytes, decode(kind, bytes))
}

// What the reference would not write.
function odd(kind, ...parts) {
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part)))
  const message = decode(kind, bytes)
  line(message ? 'read' : 'refused', kind, bytes, message)
}

function relayed() {
  for (const mode of [0, 1, 2, 3, 4]) {
    for (const peerAddress of [null, ADDRESSES[0]]) {
      for (const relayAddress of [null, ADDRESSES[1]]) {
        both('handshake', { mode, noise: Buffer.from('noise'), peerAddress, relayAddress })
      }
      both('holepunch', { mode, id: 7, payload: Buffer.from('payload'), peerAddress })
    }
  }
  for (const length of [0, 0xfc, 0xfd, 0x100]) {
    both('handshake', { mode: 0, noise: Buffer.alloc(length, 0x5a), peerAddress: null, relayAddress: null })
    both('holepunch', { mode: 0, id: 0, payload: Buffer.alloc(length, 0x5a), peerAddress: null })
  }
  for (const peerAddress of ADDRESSES) both('holepunch', { mode: 1, id: 1, payload: Buffer.alloc(0), peerAddress })
  for (const id of NUMBERS) both('holepunch', { mode: 2, id, payload: Buffer.alloc(1), peerAddress: null })

  odd('handshake', '000001ff', 'deadbeef') // bytes after the end
  odd('handshake', 'fc0001aa') // unknown flags
  odd('handshake', 'fd0300', 'fd0200', 'fd0100aa', '0102030405060708090a0b0c') // wide
  odd('handshake', 'ff0100000000000000', '00', '01aa', '010203040506')
  odd('handshake', '0000', 'ffffffffffffff1f00', 'aa') // a length that is not there
  odd('handshake', '0000', 'feffffffff', 'aa')
  odd('handshake', 'ff00000000000020 00'.replace(' ', ''), '00', '01aa') // 2^53
  odd('holepunch', 'fe00', '00', '00', '01aa')
  odd('holepunch', '00', '00', 'ff0000000000002000', '00')
  odd('holepunch', '02', '00', '00', '01aa', 'ffff')
}

function announced() {
  for (const count of [0, 1, 3, 5, 252, 253]) both('peer', { publicKey: KEY, relayAddresses: addresses(count) })
  odd('peer', KEY, 'fd0100', '010203040506')
  odd('peer', KEY, 'fe01001000', '010203040506')
  odd('peer', KEY, 'ffffffffffffff1f00', '010203040506')
  odd('peer', KEY, 'ffabaaaaaaaaaaaa2a', '010203040506')
  odd('peer', KEY, '01', '010203040506', 'ff')

  for (let flags = 0; flags < 16; flags++) {
    both('announcement', {
      peer: flags & 1 ? { publicKey: KEY, relayAddresses: addresses(2) } : null,
      refresh: flags & 2 ? TOKEN : null,
      signature: flags & 4 ? SIGNATURE : null,
      bump: flags & 8 ? BUMP : 0
    })
  }
  for (const count of [0, 3, 5]) {
    const peer = { publicKey: KEY, relayAddresses: addresses(count) }
    both('announcement', { peer, refresh: null, signature: SIGNATURE, bump: 0 })
  }
  for (const bump of NUMBERS) both('announcement', { peer: null, refresh: null, signature: null, bump })
  odd('announcement', 'f0')
  odd('announcement', 'fd0200', TOKEN, 'aa')
  odd('announcement', '0800') // a bump of 0
  odd('announcement', '08', 'ff0000000000002000')

  for (const count of [0, 1, 20]) {
    for (const bump of [0, BUMP]) {
      const peer = (_, i) => ({ publicKey: Buffer.alloc(32, i + 1), relayAddresses: addresses(i % 4) })
      both('peers', { peers: Array.from({ length: count }, peer), bump })
    }
  }
  odd('peers', '01', KEY, '00') // of an older node
  odd('peers', 'fe01001000')
  odd('peers', 'ffffffffffffff1f00', KEY, '00')
  odd('peers', '00', '01', 'ff')
}

function stored() {
  for (const value of [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(1000, 0x5a)]) {
    both('mutable', { seq: 1, value, signature: SIGNATURE })
    both('put', { publicKey: KEY, seq: 1, value, signature: SIGNATURE })
  }
  for (const seq of NUMBERS) both('mutable', { seq, value: Buffer.alloc(1), signature: SIGNATURE })
  for (const seq of NUMBERS) both('put', { publicKey: KEY, seq, value: Buffer.alloc(1), signature: SIGNATURE })
  odd('mutable', 'fd0100', 'fd0100aa', SIGNATURE, 'ff')
  odd('mutable', 'ff0000000000002000', '00', SIGNATURE)
  odd('put', KEY, '00', 'fe00000080', SIGNATURE)

  for (const value of [null, Buffer.alloc(0), Buffer.from('value')]) {
    both('plugin', { plugin: 'name', version: 1, command: 2, value })
  }
  for (const plugin of ['', 'ü', 'n'.repeat(0xfc), 'n'.repeat(0xfd)]) {
    both('plugin', { plugin, version: 0, command: 0, value: null })
  }
  for (const number of NUMBERS) both('plugin', { plugin: 'n', version: number, command: number, value: null })
  odd('plugin', '016e', '00', '00', 'fe') // unknown flags
  odd('plugin', '016e', '00', '00', '00', 'ffff')
}

// What a key signs, for a node and its token. The bytes are the value of the request.
function signed() {
  for (const [seed, keyPair] of PAIRS) {
    for (const count of [0, 1, 3, 5]) {
      for (const refresh of [null, TOKEN]) {
        const ann = { peer: { publicKey: keyPair.publicKey, relayAddresses: addresses(count) }, refresh, bump: refresh ? BUMP : 0 }
        for (const [kind, sign] of [['announce', Persistent.signAnnounce], ['unannounce', Persistent.signUnannounce]]) {
          const signature = sign(TARGET, TOKEN, NODE, ann, keyPair)
          const bytes = c.encode(m.announce, { ...ann, signature })
          const fields = describe({ seed, key: keyPair.publicKey, relays: list(ann.peer.relayAddresses), refresh, bump: ann.bump })
          lines.push(['signed', kind, hex(bytes), ...fields].join(' '))
        }
      }
    }
    for (const seq of NUMBERS) {
      for (const value of [Buffer.alloc(0), Buffer.alloc(1000, 0x5a), Buffer.from('hello')].slice(seq ? 2 : 0)) {
        const signature = Persistent.signMutable(seq, value, keyPair)
        const bytes = c.encode(m.mutablePutRequest, { publicKey: keyPair.publicKey, seq, value, signature })
        lines.push(['signed', 'put', hex(bytes), ...describe({ seed, seq, value })].join(' '))
      }
    }
  }
}

function addresses(count) {
  return Array.from({ length: count }, (_, i) => ADDRESSES[i % ADDRESSES.length])
}

relayed()
announced()
stored()
signed()
const bound = describe({ target: TARGET, token: TOKEN, node: NODE }).join(' ')
written('messages.txt', [`# By tests/interop/js/hyperdht-messages.mjs, with hyperdht ${version}.`, `bound ${bound}`, ...lines])
