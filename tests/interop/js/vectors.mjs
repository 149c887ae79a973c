// Golden vectors, by asking the installed package.
//   node vectors.mjs          writes ../vectors/*.json
//   node vectors.mjs --check  exits with 1 if they differ from what would be written
//
// Bytes are hex; a run of one byte may be written `(5a*65536)`, for the sake of the repository.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Reference, SENDER, nodeId, versions } from './reference.mjs'

const FOLDER = new URL('../vectors/', import.meta.url)

const PEER = { host: '198.51.100.23', port: 1025 }
const TOKEN = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
const TARGET = Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - i))
const VALUE = Buffer.from('hello')

// Around every change of a varint's width, up to the largest number that is accepted.
const VARINTS = [0, 1, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x100, 0xfffe, 0xffff, 0x10000, 0x10001]
const BIG_VARINTS = [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48, 2 ** 53 - 2, 2 ** 53 - 1]
const LENGTHS = [0, 1, 0xfb, 0xfc, 0xfd, 0x100, 1200, 0xffff, 0x10000]
const TIDS = [0, 1, 0xff, 0x100, 0xffff]

const reference = new Reference()

function generate() {
  return { 'requests.json': requests(), 'responses.json': responses(), 'odd.json': odd(), 'ids.json': ids() }
}

function requests() {
  const plain = {
    withId: false,
    tid: 0x1234,
    to: PEER,
    token: null,
    internal: false,
    command: 7,
    target: null,
    value: null
  }
  const all = []
  const add = (name, fields) => {
    all.push(vector(name, reference.encodeRequest({ ...plain, ...fields })))
  }

  for (let flags = 0; flags < 32; flags++) {
    add(`flags ${flags}`, {
      withId: (flags & 1) !== 0,
      token: flags & 2 ? TOKEN : null,
      internal: (flags & 4) !== 0,
      target: flags & 8 ? TARGET : null,
      value: flags & 16 ? VALUE : null,
      tid: flags * 2003
    })
  }
  for (const tid of TIDS) add(`tid ${tid}`, { tid })
  for (const to of ADDRESSES) add(`to ${to.host}:${to.port}`, { to })
  for (const command of [...VARINTS, ...BIG_VARINTS]) add(`command ${command}`, { command })
  for (let command = 0; command <= 4; command++) {
    add(`internal command ${command}`, { command, internal: true })
  }
  for (const length of LENGTHS) add(`value of ${length}`, { value: Buffer.alloc(length, 0x5a) })
  return all
}

function responses() {
  const plain = {
    withId: false,
    tid: 0x4321,
    to: PEER,
    withToken: false,
    closer: [],
    error: 0,
    value: null
  }
  const all = []
  const add = (name, fields) => {
    all.push(vector(name, reference.encodeResponse({ ...plain, ...fields })))
  }

  for (let flags = 0; flags < 32; flags++) {
    add(`flags ${flags}`, {
      withId: (flags & 1) !== 0,
      withToken: (flags & 2) !== 0,
      closer: flags & 4 ? nodes(3) : [],
      error: flags & 8 ? 2 : 0,
      value: flags & 16 ? VALUE : null,
      tid: flags * 2003
    })
  }
  for (const tid of TIDS) add(`tid ${tid}`, { tid })
  for (const to of ADDRESSES.filter(({ port }) => port > 0)) add(`to ${to.host}:${to.port}`, { to })
  for (const count of [0, 1, 20, 252, 253, 300]) {
    add(`${count} closer nodes`, { closer: nodes(count) })
  }
  for (const error of [...VARINTS, ...BIG_VARINTS]) add(`error ${error}`, { error })
  for (const length of LENGTHS) add(`value of ${length}`, { value: Buffer.alloc(length, 0x5a) })
  return all
}

// Messages that the reference would not write; `read` says what it makes of them all the same.
function odd() {
  const own = nodeId(SENDER.host, SENDER.port).toString('hex')
  const tid = '3412'
  const to = '0102030405' + '06'
  const id = '11'.repeat(32)
  const all = []
  const add = (name, bytes, from = SENDER) => {
    all.push({ ...vector(name, Buffer.from(bytes.replaceAll(' ', ''), 'hex'), from), from })
  }

  add('nothing', '')
  add('one byte', '03')
  for (const first of ['00', '01', '02', '04', '13', '23', '33', '83', 'f3', 'ff']) {
    add(`first byte ${first}`, `${first} 00 ${tid} ${to} 00`)
  }
  add('source port 0', `03 00 ${tid} ${to} 00`, { host: SENDER.host, port: 0 })

  add('flags in 3 bytes', `03 fd0000 ${tid} ${to} 07`)
  add('flags in 5 bytes', `03 fe04000000 ${tid} ${to} 07`)
  add('flags in 9 bytes', `03 ff0400000000000000 ${tid} ${to} 07`)
  add('unknown flag bits', `03 e0 ${tid} ${to} 07`)
  add('unknown flag bits, wide', `03 fd0401 ${tid} ${to} 07`)
  add('unknown flag bits above 32', `03 ff1000000001000000 ${tid} ${to} 07 0161`)
  add('flags 2^53 - 1', `03 ffffffffffffff1f00 ${tid} ${to} ${own} ${id} 07 ${id} 00`)
  add('flags 2^53', `03 ff00000000000020 00 ${tid} ${to} 07`)
  add('unknown flag bits of a response', `13 e0 ${tid} ${to}`)

  add('own id', `03 01 ${tid} ${to} ${own} 07`)
  add('the id of another', `03 01 ${tid} ${to} ${id} 07`)
  add('own id in a response', `13 01 ${tid} ${to} ${own}`)
  add('the id of another in a response', `13 01 ${tid} ${to} ${id}`)
  add('own id from another port', `03 01 ${tid} ${to} ${own} 07`, { host: SENDER.host, port: 1 })

  add('command in 3 bytes', `03 00 ${tid} ${to} fd0700`)
  add('command in 5 bytes', `03 00 ${tid} ${to} fe07000000`)
  add('command in 9 bytes', `03 00 ${tid} ${to} ff0700000000000000`)
  add('command 2^53 - 1', `03 00 ${tid} ${to} ffffffffffffff1f00`)
  add('command 2^53', `03 00 ${tid} ${to} ff0000000000002000`)
  add('command 2^64 - 1', `03 00 ${tid} ${to} ffffffffffffffffff`)

  add('error 0, said', `13 08 ${tid} ${to} 00`)
  add('error in 9 bytes', `13 08 ${tid} ${to} ff0200000000000000`)
  add('error 2^53', `13 08 ${tid} ${to} ff0000000000002000`)

  add('empty value', `03 10 ${tid} ${to} 07 00`)
  add('value length in 3 bytes', `03 10 ${tid} ${to} 07 fd0100 61`)
  add('value length in 9 bytes', `03 10 ${tid} ${to} 07 ff0100000000000000 61`)
  add('value one byte short', `03 10 ${tid} ${to} 07 02 61`)
  for (const length of ['fdffff', 'fe00000100', 'feffffffff', 'ff0000000001000000', 'ffffffffffffff1f00']) {
    add(`value length ${length} without the bytes`, `03 10 ${tid} ${to} 07 ${length} 61`)
    add(`value length ${length} without the bytes, response`, `13 10 ${tid} ${to} ${length} 61`)
  }
  add('value length 2^53', `13 10 ${tid} ${to} ff0000000000002000 61`)

  add('no closer nodes, said', `13 04 ${tid} ${to} 00`)
  add('count of closer nodes in 3 bytes', `13 04 ${tid} ${to} fd0100 010203040506`)
  add('closer nodes, one missing', `13 04 ${tid} ${to} 02 010203040506`)
  add('closer nodes, the last one short', `13 04 ${tid} ${to} 01 0102030405`)
  add('closer node with port 0', `13 04 ${tid} ${to} 01 010203040000`)
  add('closer nodes 0x100000 without the bytes', `13 04 ${tid} ${to} fe00001000 010203040506`)
  add('closer nodes 0x100001 without the bytes', `13 04 ${tid} ${to} fe01001000 010203040506`)

  add('trailing bytes', `03 00 ${tid} ${to} 07 deadbeef`)
  add('trailing bytes after a value', `13 10 ${tid} ${to} 01 61 deadbeef`)
  add('to port 0', `03 00 ${tid} 010203040000 07`)
  add('to 0.0.0.0:0', `13 00 ${tid} 000000000000`)

  // A full message of each kind, cut at every byte.
  const request = reference.encodeRequest({
    withId: true,
    tid: 0x1234,
    to: PEER,
    token: TOKEN,
    internal: false,
    command: 0xfd,
    target: TARGET,
    value: VALUE
  })
  const response = reference.encodeResponse({
    withId: true,
    tid: 0x1234,
    to: PEER,
    withToken: true,
    closer: nodes(2),
    error: 0xfd,
    value: VALUE
  })
  for (const [name, whole] of [['request', request], ['response', response]]) {
    for (let length = 0; length <= whole.length; length++) {
      add(`${name} cut at ${length} of ${whole.length}`, whole.subarray(0, length).toString('hex'))
    }
  }
  return all
}

function ids() {
  return ADDRESSES.map(({ host, port }) => ({
    host,
    port,
    id: nodeId(host, port).toString('hex')
  }))
}

const ADDRESSES = [
  ['127.0.0.1', 1],
  ['127.0.0.1', 255],
  ['127.0.0.1', 256],
  ['127.0.0.1', 49737],
  ['127.0.0.1', 65535],
  ['0.0.0.0', 0],
  ['0.0.0.0', 65535],
  ['255.255.255.255', 65535],
  ['255.255.255.255', 0],
  ['1.2.3.4', 0x0506],
  ['4.3.2.1', 0x0605],
  ['10.0.0.1', 8080],
  ['192.168.255.254', 10001],
  ['88.99.3.86', 49737],
  ['142.93.90.113', 49737],
  ['138.68.147.8', 49737],
  [SENDER.host, SENDER.port],
  [PEER.host, PEER.port]
].map(([host, port]) => ({ host, port }))

// Different addresses that use every octet.
function nodes(count) {
  return Array.from({ length: count }, (_, i) => ({
    host: `${1 + (i % 223)}.${(i * 7) & 255}.${(i * 31) & 255}.${(i * 101) & 255}`,
    port: 1 + ((i * 257) % 65535)
  }))
}

function vector(name, bytes, from = SENDER) {
  return { name, hex: bytes.toString('hex'), read: reference.decode(bytes, from) }
}

const folded = (text) =>
  text.replace(/((?:[0-9a-f]{2}))\1{255,}/g, (run, byte) => `(${byte}*${run.length / 2})`)

function render(vectors) {
  const lines = vectors.map((entry) => '  ' + folded(JSON.stringify(entry)))
  const head = { generator: 'js/vectors.mjs', packages: versions, from: SENDER }
  return `{\n"made": ${JSON.stringify(head)},\n"vectors": [\n${lines.join(',\n')}\n]\n}\n`
}

const check = process.argv.includes('--check')
let differs = false
mkdirSync(FOLDER, { recursive: true })
for (const [name, vectors] of Object.entries(generate())) {
  const file = new URL(name, FOLDER)
  const text = render(vectors)
  if (check) {
    const same = readFileSync(file, 'utf8') === text
    console.log(`${name}: ${vectors.length} vectors, ${same ? 'as checked in' : 'DIFFERENT'}`)
    differs ||= !same
  } else {
    writeFileSync(file, text)
    console.log(`${name}: ${vectors.length} vectors`)
  }
}
process.exitCode = differs ? 1 : 0
