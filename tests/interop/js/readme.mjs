// Runs the scripts of dht-rpc's README, taken from the installed package at run time.
//   node readme.mjs network --nodes N                  prints the bootstrap address, runs until stdin closes
//   node readme.mjs put VALUE --bootstrap HOST:PORT    prints the key, the SHA-256 of the value, in hex
//   node readme.mjs get HEX --bootstrap HOST:PORT      prints the value; exit status 1 if there is none
//
// They run as they are printed, except that imports and undefined names become parameters, and
// that nodes are kept on the loopback interface: see `localClass`.

import crypto from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import DHT from 'dht-rpc'

const LOOPBACK = '127.0.0.1'
const VALUES = 0
const AsyncFunction = (async () => {}).constructor

const sha256 = (value) => crypto.createHash('sha256').update(value).digest()

/// The script that contains `mark`, with each of `edits` applied, which must fit exactly once.
function script(mark, edits = []) {
  const readme = readFileSync(createRequire(import.meta.url).resolve('dht-rpc/README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code)
  const found = blocks.filter((code) => code.includes(mark))
  if (found.length === 0) throw new Error(`the README has no script with ${mark}`)
  let code = found[0].replace(/^import .*$/gm, '')
  for (const [from, to] of edits) {
    if (code.split(from).length !== 2) throw new Error(`the README's script has changed: ${from}`)
    code = code.replace(from, to)
  }
  return code
}

function run(code, names) {
  return new AsyncFunction(...Object.keys(names), code)(...Object.values(names))
}

/// The package's class as the scripts see it. Its nodes are bound to loopback and know the
/// bootstrap node; `created` collects them.
function localClass(options, created) {
  return class LocalDHT extends DHT {
    constructor(given) {
      super({ ...given, host: LOOPBACK, ...options })
      created.push(this)
    }

    static bootstrapper(port, host, given) {
      const dht = DHT.bootstrapper(options.port, host, { ...given, host: LOOPBACK })
      created.push(dht)
      return dht
    }
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4').on('error', reject)
    socket.bind(0, LOOPBACK, () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}

async function network({ nodes }) {
  const created = []
  const quiet = { log: console.error }

  const port = await freePort()
  await run(script('DHT.bootstrapper(10001'), { DHT: localClass({ port }, created) })

  // Persistent at once: adaptive nodes would take 20 minutes to store anything.
  const storing = { bootstrap: [`${LOOPBACK}:${port}`], ephemeral: false, firewalled: false }
  const code = script('createNode()', [['i < 100', `i < ${Number(nodes)}`]])
  await run(code, { DHT: localClass(storing, created), crypto, console: quiet })

  await Promise.all(created.map((dht) => dht.fullyBootstrapped()))
  console.log(`${LOOPBACK}:${port}`)
  await new Promise((resolve) => process.stdin.resume().on('end', resolve))
  return created
}

async function put({ bootstrap }, value) {
  const created = []
  const val = Buffer.from(value)
  const code = script('commit: true')
  await run(code, {
    DHT: localClass({ bootstrap: [bootstrap] }, created),
    hash: sha256,
    VALUES,
    val,
    value: val
  })
  console.log(sha256(val).toString('hex'))
  return created
}

async function get({ bootstrap }, hexFromAbove) {
  const created = []
  const Local = localClass({ bootstrap: [bootstrap] }, created)
  let found = null
  await run(script('hexFromAbove'), {
    node: new Local(),
    hash: sha256,
    VALUES,
    hexFromAbove,
    val: hexFromAbove,
    console: {
      log: (...words) => {
        if (words[1] === '-->') found = words[2]
      }
    }
  })
  if (found === null) process.exitCode = 1
  else console.log(found)
  return created
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { nodes: { type: 'string', default: '10' }, bootstrap: { type: 'string' } }
})
const [mode, argument] = positionals
const modes = { network, put, get }
if (!Object.hasOwn(modes, mode) || (mode !== 'network' && !(argument && values.bootstrap))) {
  console.error('usage: readme.mjs network --nodes N | put VALUE --bootstrap HOST:PORT | get HEX --bootstrap HOST:PORT')
  process.exit(2)
}
const created = await modes[mode](values, argument)
await Promise.allSettled(created.map((dht) => dht.destroy()))
process.exit()
