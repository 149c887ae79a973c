// Ed25519 by libsodium, as hyperdht gets it, and what it takes to craft signatures that honest signers never make.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import sodium from 'sodium-universal'

const version = (name) => {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url)
  return `${name} ${JSON.parse(readFileSync(file)).version}`
}

export const versions = [version('sodium-universal'), version('sodium-native')].join(', ')

export const accepts = ({ key, signature, message }) =>
  sodium.crypto_sign_verify_detached(signature, message, key)

export function sign(seed, message) {
  const [key, secret, signature] = [Buffer.alloc(32), Buffer.alloc(64), Buffer.alloc(64)]
  sodium.crypto_sign_seed_keypair(key, secret, seed)
  sodium.crypto_sign_detached(signature, message, secret)
  return { key, signature, message }
}

// The order of the base point.
export const L = 2n ** 252n + 27742317777372353535851937790883648493n

export const hex = (text) => Buffer.from(text, 'hex')
export const number = (bytes) => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'))
export const bytes32 = (number) => hex(number.toString(16).padStart(64, '0')).reverse()

// The eight points of small order: TORSION[i] is i times TORSION[1].
export const TORSION = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'
].map(hex)

// Their other encodings, with the index of the point: y = p or p + 1, or a sign bit where x is 0.
export const OTHER_ENCODINGS = [
  [0, 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
  [0, 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'],
  [0, '0100000000000000000000000000000000000000000000000000000000000080'],
  [2, 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
  [4, 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'],
  [6, 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff']
].map(([index, text]) => ({ index, encoding: hex(text) }))

export const SMALL = [...TORSION.map((encoding, index) => ({ index, encoding })), ...OTHER_ENCODINGS]

// A number that follows from a name.
export const drawn = (name) => number(createHash('sha512').update(name).digest()) % L

// factor * B + TORSION[index]; a factor of 0 leaves the small-order point.
export function point(factor, index) {
  if (factor === 0n) return TORSION[index]
  const [base, sum] = [Buffer.alloc(32), Buffer.alloc(32)]
  sodium.crypto_scalarmult_ed25519_base_noclamp(base, bytes32(factor))
  sodium.crypto_core_ed25519_add(sum, base, TORSION[index])
  return sum
}

// A signature by key = secret * B + TORSION[i] with R = nonce * B + TORSION[j], given in any encoding:
// correct up to small order. `residue` says by how much: S * B = R + k * key - TORSION[residue].
export function craft(message, { secret, i, key }, { nonce, j, R }) {
  key ??= point(secret, i)
  R ??= point(nonce, j)
  const k = number(createHash('sha512').update(R).update(key).update(message).digest()) % L
  const S = (nonce + k * secret) % L
  const residue = (j + Number(k % 8n) * i) % 8
  return { key, signature: Buffer.concat([R, bytes32(S)]), message, residue }
}
