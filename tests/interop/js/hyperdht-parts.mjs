// What the generators of hyperdht's vectors share: its own files, and keys and addresses that never change.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export const c = require('compact-encoding')
export const m = require('hyperdht/lib/messages.js')
export const Persistent = require('hyperdht/lib/persistent.js')
export const Router = require('hyperdht/lib/router.js')
export const { COMMANDS } = require('hyperdht/lib/constants.js')
export const { version } = require('hyperdht/package.json')
const { hash, keyPair } = require('hypercore-crypto')
const { id } = require('dht-rpc/lib/peer.js')

export { hash }

export const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
export const TOKEN = Buffer.from(Array.from({ length: 32 }, (_, i) => 100 + i))
export const TARGET = hash(Buffer.from('topic'))
export const BUMP = 1_700_000_000_000

export const SERVER = { host: '45.0.1.1', port: 49737 }
export const NODE = id(SERVER.host, SERVER.port)

export const ADDRESSES = [
  { host: '1.2.3.4', port: 0x0506 },
  { host: '255.254.253.252', port: 65535 },
  { host: '10.0.0.1', port: 0 },
  { host: '88.99.3.86', port: 49737 }
]

/// Key pairs by their seeds.
export const PAIRS = [1, 2, 3].map((byte) => {
  const seed = Buffer.alloc(32, byte)
  return [seed, keyPair(seed)]
})

/// Runs of a byte are folded, for the sake of the repository.
const folded = (text) => text.replace(/((?:[0-9a-f]{2}))\1{63,}/g, (run, byte) => `(${byte}*${run.length / 2})`)

/// Writes a file of vectors, or with `--check` compares it.
export function written(name, lines) {
  const file = new URL(`../../../dht-core/tests/it/hyperdht/${name}`, import.meta.url)
  const text = lines.map((line) => folded(line) + '\n').join('')
  if (process.argv.includes('--check')) {
    const same = readFileSync(file, 'utf8') === text
    console.log(`${name}: ${lines.length} lines, ${same ? 'as checked in' : 'DIFFERENT'}`)
    if (!same) process.exitCode = 1
  } else {
    writeFileSync(file, text)
    console.log(`${name}: ${lines.length} lines`)
  }
}
