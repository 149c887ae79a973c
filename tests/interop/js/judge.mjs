// What would the reference make of this datagram? One JSON object per line on stdin,
//   {"from": {"host": "192.0.2.7", "port": 49737}, "hex": "0304..."}
// and one answer per line on stdout: null if the reference drops it, else its kind and fields.

import { createInterface } from 'node:readline'
import { Reference } from './reference.mjs'

const reference = new Reference()

for await (const line of createInterface({ input: process.stdin })) {
  const { from, hex } = JSON.parse(line)
  const verdict = reference.decode(Buffer.from(hex, 'hex'), from)
  process.stdout.write(JSON.stringify(verdict) + '\n')
}
