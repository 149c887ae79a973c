// The story of src/main.rs with every node in a WebAssembly instance of its own, and this script
// in the place of src/net.rs: it carries the datagrams and turns the clock.
//
//   node wasm.mjs MODULE    prints the trace: when, from where, to where, bytes

import assert from 'node:assert'
import { readFileSync, writeSync } from 'node:fs'

const PEERS = 8
const LATENCY = 10_000n // microseconds, as all times here
const HOUR = 3_600_000_000n
const NEVER = 2n ** 64n - 1n
const [SERVER, CLIENT] = [2000, 1000] // ports

const ip = (n) => 0x0a000001 + n
const dotted = (ip) => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255).join('.')

class Peer {
  constructor(module, n) {
    const { exports } = new WebAssembly.Instance(module)
    this.core = exports
    this.ip = ip(n)
    exports.make(n)
  }

  get bytes() { // memory moves when it grows
    return new Uint8Array(this.core.memory.buffer, this.core.buffer(), 2048)
  }

  put(bytes) {
    this.bytes.set(bytes)
    return bytes.length
  }

  take(length) {
    return this.bytes.slice(0, length)
  }

  text(length) {
    return new TextDecoder().decode(this.take(length))
  }

  * transmits(now) {
    for (let sent; (sent = BigInt.asUintN(64, this.core.poll_transmit(now))) !== 0n;) {
      const low = Number(sent & 0xffffffffn)
      yield {
        from: { ip: this.ip, port: (low >> 15) & 1 ? SERVER : CLIENT },
        to: { ip: Number(sent >> 32n), port: low >>> 16 },
        bytes: this.take(low & 0x7fff)
      }
    }
  }
}

class Net {
  constructor(module) {
    this.now = 0n
    this.peers = Array.from({ length: PEERS }, (_, n) => new Peer(module, n))
    this.packets = []
  }

  runUntil(isSo) {
    const end = this.now + HOUR
    while (!isSo()) {
      this.flush()
      const times = this.peers.map((peer) => BigInt.asUintN(64, peer.core.poll_timeout()))
      if (this.packets.length) times.push(this.packets[0].due)
      const next = times.reduce((a, b) => a < b ? a : b, NEVER)
      if (next > this.now) this.now = next
      assert(this.now <= end, 'nothing happens any more')
      while (this.packets.length && this.packets[0].due <= this.now) this.deliver(this.packets.shift())
      for (const peer of this.peers) peer.core.timeout(this.now)
    }
  }

  flush() {
    for (const peer of this.peers) {
      for (const { from, to, bytes } of peer.transmits(this.now)) {
        const [source, target] = [from, to].map(({ ip, port }) => `${dotted(ip)}:${port}`)
        writeSync(1, `${this.now} ${source} ${target} ${Buffer.from(bytes).toString('hex')}\n`)
        this.packets.push({ due: this.now + LATENCY, from, to, bytes })
      }
    }
  }

  deliver({ from, to, bytes }) {
    for (const peer of this.peers.filter((peer) => peer.ip === to.ip)) {
      peer.core.datagram(this.now, to.port === SERVER, from.ip, from.port, peer.put(bytes))
    }
  }
}

const net = new Net(new WebAssembly.Module(readFileSync(process.argv[2])))
const cores = net.peers.map((peer) => peer.core)
const settled = () => cores.every((core) => core.settled())
const [, second, third] = net.peers
const bytes = (text) => new TextEncoder().encode(text)

// Until it is no longer pending.
function outcome(call) {
  let result
  net.runUntil(() => (result = call()) !== -1)
  return result
}

net.runUntil(settled)

assert(second.core.echo(net.now, ip(0), SERVER, second.put(bytes('hello'))))
assert.equal(second.text(outcome(second.core.echoed)), 'hello')

assert(second.core.store(net.now, second.put(bytes('value'))))
assert.equal(outcome(second.core.committed), PEERS - 1)
assert(third.core.find(net.now))
assert.equal(outcome(third.core.committed), 0)
assert.equal(third.text(third.core.found()), 'value')

const used = cores.map((core) => core.heap_used())
const end = net.now + 600_000_000n
net.runUntil(() => net.now >= end)
assert(settled())
assert(cores.every((core, n) => core.heap_used() <= used[n] + (16 << 10)))
