// What does libsodium make of this signature? One JSON object per line on stdin, one per line on stdout; bytes are hex.
//   {"key", "signature", "message"}  true or false
//   {"seed", "message"}              {"key", "signature"}, what it signs
//   {"batches", "rounds"}            {"verified", "signed"}, what each costs in microseconds
//   {"craft": NAME}                  {"key", "signature", "message"}, correct up to points of small order

import { createInterface } from 'node:readline'
import sodium from 'sodium-universal'
import { accepts, craft, drawn, hex, sign } from './sodium.mjs'

function answer({ craft: name, ...fields }) {
  if (name !== undefined) return text(crafted(name))
  if (fields.rounds) return costs(fields)
  const bytes = Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, hex(value)]))
  return bytes.seed ? text(sign(bytes.seed, bytes.message)) : accepts(bytes)
}

function crafted(name) {
  const [secret, nonce] = [drawn(`${name} secret`), drawn(`${name} nonce`)]
  const die = (sides, what) => Number(drawn(`${name} ${what}`) % BigInt(sides))
  // Half of the time none.
  const component = (what) => Math.max(0, die(16, what) - 8)
  const message = Buffer.from(name).subarray(0, die(9, 'length'))
  return craft(message, { secret, i: component('i') }, { nonce, j: component('j') })
}

function costs({ batches, rounds }) {
  const [key, secret, signature] = [Buffer.alloc(32), Buffer.alloc(64), Buffer.alloc(64)]
  const message = Buffer.alloc(100, 9)
  sodium.crypto_sign_seed_keypair(key, secret, Buffer.alloc(32, 7))
  const cost = (work) => {
    const batch = () => {
      const start = performance.now()
      for (let round = 0; round < rounds; round++) work()
      return ((performance.now() - start) * 1000) / rounds
    }
    return Number(Math.min(...Array.from({ length: batches }, batch)).toFixed(1))
  }
  const signed = cost(() => sodium.crypto_sign_detached(signature, message, secret))
  return { signed, verified: cost(() => sodium.crypto_sign_verify_detached(signature, message, key)) }
}

const text = ({ key, signature, message }) => ({
  key: key.toString('hex'),
  signature: signature.toString('hex'),
  message: message.toString('hex')
})

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n')
}
