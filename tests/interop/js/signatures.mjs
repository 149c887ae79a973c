// Vectors of signatures, by asking libsodium.
//   node signatures.mjs          writes ../../../dht-core/tests/it/hyperdht/{verdicts,signed}.txt
//   node signatures.mjs --check  exits with 1 if they differ from what would be written

import { readFileSync, writeFileSync } from 'node:fs'
import { RFC_8032, TAMING } from './published.mjs'
import { L, SMALL, accepts, bytes32, craft, drawn, hex, number, sign, versions } from './sodium.mjs'

const FOLDER = new URL('../../../dht-core/tests/it/hyperdht/', import.meta.url)

const secret = drawn('secret')
const nonce = drawn('nonce')
const honest = { secret, i: 0 }

function verdicts() {
  const all = []
  const add = (name, vector) => all.push({ name, ...vector })

  for (const { name, seed, message } of RFC_8032) add(`RFC 8032, ${name}`, sign(hex(seed), hex(message)))
  TAMING.forEach(({ message, key, signature }, index) => {
    add(`Taming, ${index}`, { message: hex(message), key: hex(key), signature: hex(signature) })
  })

  const sound = craft(Buffer.from('sound'), honest, { nonce, j: 0 })
  add('sound', sound)
  scalars(sound, add)
  changed(sound, add)
  smallOrder(add)
  mixedOrder(add)
  encodings(sound, add)
  return all
}

const withR = (vector, R) => ({ ...vector, signature: Buffer.concat([R, vector.signature.subarray(32)]) })
const withS = (vector, S) => ({ ...vector, signature: Buffer.concat([vector.signature.subarray(0, 32), S]) })

// S out of range, or another one.
function scalars(sound, add) {
  const S = number(sound.signature.subarray(32))
  for (let times = 1n; S + times * L < 2n ** 256n; times++) {
    add(`S + ${times} L`, withS(sound, bytes32(S + times * L)))
  }
  const others = { 0: 0n, L, 'L - 1': L - 1n, 'L - S': L - S, 'S + 1': S + 1n, 'S - 1': S - 1n }
  for (const [name, wrong] of Object.entries(others)) {
    add(`${name} for S`, withS(sound, bytes32(wrong)))
  }
  for (const bit of [252n, 253n, 254n, 255n]) add(`S with bit ${bit}`, withS(sound, bytes32(S | (1n << bit))))
  add('all ones for S', withS(sound, Buffer.alloc(32, 0xff)))
}

// Other bits, other parts.
function changed(sound, add) {
  for (const part of ['key', 'signature', 'message']) {
    for (let bit = 0; bit < sound[part].length * 8; bit += 29) {
      const bytes = Buffer.from(sound[part])
      bytes[bit >> 3] ^= 1 << (bit & 7)
      add(`bit ${bit} of the ${part}`, { ...sound, [part]: bytes })
    }
  }
  const other = craft(Buffer.from('other'), { secret: drawn('other'), i: 0 }, { nonce, j: 0 })
  add("another's key", { ...sound, key: other.key })
  add("another's signature", { ...sound, signature: other.signature })
  add('no message', { ...sound, message: Buffer.alloc(0) })
  const swapped = Buffer.concat([sound.signature.subarray(32), sound.signature.subarray(0, 32)])
  add('R and S swapped', { ...sound, signature: swapped })
  add('a signature of zeros', { ...sound, signature: Buffer.alloc(64) })
  add('a key of zeros, a signature of zeros', { ...sound, key: Buffer.alloc(32), signature: Buffer.alloc(64) })
}

// A message for which the torsion cancels, so that S * B = R + k * A, and one for which it does not.
function both(name, key, R, add) {
  const found = new Map()
  for (let number = 0; number < 100; number++) {
    const vector = craft(Buffer.from([number]), key, R)
    const right = vector.residue === 0
    if (!found.has(right)) found.set(right, vector)
  }
  for (const [right, vector] of found) add(`${name}, ${right ? 'true' : 'true but for small order'}`, vector)
}

// A, R or both among the fourteen encodings of points of small order.
function smallOrder(add) {
  for (const { index: i, encoding: key } of SMALL) {
    const label = `A is ${key.toString('hex', 0, 2)}..${key.toString('hex', 31)}`
    both(label, { secret: 0n, i, key }, { nonce, j: 0 }, add)
    both(`${label}, R = B + T1`, { secret: 0n, i, key }, { nonce, j: 1 }, add)
    for (const j of [0, 1, 2, 4]) both(`${label}, R = T${j}`, { secret: 0n, i, key }, { nonce: 0n, j }, add)
  }
  for (const { index: j, encoding: R } of SMALL) {
    const label = `R is ${R.toString('hex', 0, 2)}..${R.toString('hex', 31)}`
    both(label, honest, { nonce: 0n, j, R }, add)
    both(`${label}, A = aB + T1`, { secret, i: 1 }, { nonce: 0n, j, R }, add)
  }
}

// A and R with each component of small order.
function mixedOrder(add) {
  for (let i = 0; i < 8; i++) {
    for (let j = 0; j < 8; j++) {
      if (i + j > 0) both(`A = aB + T${i}, R = rB + T${j}`, { secret, i }, { nonce, j }, add)
    }
  }
}

// Every y that has a second encoding, in that encoding; and a y that no point has.
function encodings(sound, add) {
  const p = 2n ** 255n - 19n
  for (let y = p; y < p + 19n; y++) {
    for (const sign of [0n, 2n ** 255n]) {
      const label = `y = p + ${y - p}${sign ? ', x odd' : ''}`
      add(`A: ${label}`, { ...sound, key: bytes32(y + sign) })
      add(`R: ${label}`, withR(sound, bytes32(y + sign)))
    }
  }
  add('A: no point', { ...sound, key: bytes32(2n) })
  add('R: no point', withR(sound, bytes32(2n)))
}

function signed() {
  const all = RFC_8032.map(({ name, seed, message, signature }) => {
    const made = sign(hex(seed), hex(message))
    if (!made.signature.equals(hex(signature))) throw new Error(`not the signature of RFC 8032, ${name}`)
    return { name: `RFC 8032, ${name}`, seed: hex(seed), ...made }
  })
  // Lengths at which SHA-512 of 32 or 64 bytes and the message takes one block more.
  for (const length of [0, 1, 31, 32, 47, 48, 63, 64, 79, 80, 111, 112, 127, 128, 207, 208, 500]) {
    const seed = bytes32(drawn(`seed ${length}`))
    const message = Buffer.alloc(length, bytes32(drawn(`message ${length}`)))
    all.push({ name: `message of ${length}`, seed, ...sign(seed, message) })
  }
  for (const [name, byte] of [['zeros', 0], ['ones', 0xff]]) {
    const seed = Buffer.alloc(32, byte)
    all.push({ name: `seed of ${name}`, seed, ...sign(seed, seed) })
  }
  return all
}

// Bytes are hex; `-` stands for none.
const text = (field) => (Buffer.isBuffer(field) ? field.toString('hex') || '-' : field)

function render(columns, rows) {
  const head = [`# By tests/interop/js/signatures.mjs, with ${versions}.`, `# ${columns.join(' ')} name`]
  const lines = rows.map((row) => [...columns, 'name'].map((column) => text(row[column])).join(' '))
  return [...head, ...lines, ''].join('\n')
}

function generate() {
  const judged = verdicts().map((row) => ({ ...row, verdict: accepts(row) ? 'accepts' : 'refuses' }))
  return {
    'verdicts.txt': render(['verdict', 'key', 'signature', 'message'], judged),
    'signed.txt': render(['seed', 'key', 'signature', 'message'], signed())
  }
}

const check = process.argv.includes('--check')
let differs = false
for (const [name, content] of Object.entries(generate())) {
  const file = new URL(name, FOLDER)
  const lines = content.split('\n').length - 3
  if (check) {
    const same = readFileSync(file, 'utf8') === content
    console.log(`${name}: ${lines} vectors, ${same ? 'as checked in' : 'DIFFERENT'}`)
    differs ||= !same
  } else {
    writeFileSync(file, content)
    console.log(`${name}: ${lines} vectors`)
  }
}
process.exitCode = differs ? 1 : 0
