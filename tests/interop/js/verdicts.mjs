// What does libsodium make of this signature? One JSON object per line on stdin, one per line on stdout; bytes are hex.
//   {"key", "signature", "message"}  true or false
//   {"seed", "message"}              {"key", "signature"}, what it signs
//   {"craft": NAME}                  {"key", "signature", "message"}, correct up to points of small order

import { createInterface } from 'node:readline'
import { accepts, craft, drawn, hex, sign } from './sodium.mjs'

function answer({ craft: name, ...fields }) {
  if (name !== undefined) return text(crafted(name))
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

const text = ({ key, signature, message }) => ({
  key: key.toString('hex'),
  signature: signature.toString('hex'),
  message: message.toString('hex')
})

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n')
}
