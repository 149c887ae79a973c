// Does hyperdht work over these bootstrap nodes?
//   node hyperdht.mjs 127.0.0.1:1234 [more...]
// A server announces itself by its public key, a client finds it, and each sends the other a
// message. What happens is told as JSON lines; exit status 0 means that all of it did.
//
// The bootstrap nodes need to know nothing of hyperdht's commands. Nodes that store
// announcements do, so a few of hyperdht's own join the network first.

import HyperDHT from 'hyperdht'

const TIME_LIMIT = 25_000
const STORING_NODES = 3

const bootstrap = process.argv.slice(2)
const running = []

const tell = (step, fields = {}) => console.log(JSON.stringify({ step, ...fields }))

function node(options) {
  // Any port: by default it would be 49737.
  const dht = new HyperDHT({ host: '127.0.0.1', port: [0, 0], bootstrap, ...options })
  running.push(dht)
  return dht
}

function message(stream) {
  return new Promise((resolve, reject) => {
    stream.once('data', (data) => resolve(data.toString()))
    stream.once('error', reject)
  })
}

async function main() {
  if (bootstrap.length === 0) throw new Error('no bootstrap node given')

  for (let i = 0; i < STORING_NODES; i++) {
    const storing = node({ ephemeral: false, firewalled: false })
    await storing.fullyBootstrapped()
    tell('storing node', { persistent: !storing.ephemeral, host: storing.host })
    if (storing.ephemeral) throw new Error('a storing node did not become persistent')
  }

  const heard = deferred()
  const server = node().createServer((stream) => {
    stream.on('error', () => {}).on('end', () => stream.end())
    message(stream).then(heard.resolve, heard.reject)
    stream.write('from the server')
  })
  await server.listen()
  tell('listening', { key: server.publicKey.toString('hex') })

  const stream = node().connect(server.publicKey)
  const told = message(stream)
  told.catch(() => {})
  await new Promise((resolve, reject) => stream.once('open', resolve).once('error', reject))
  tell('connected')
  stream.write('from the client')

  const atClient = await told
  const atServer = await heard.promise
  tell('messages', { atClient, atServer })
  if (atClient !== 'from the server' || atServer !== 'from the client') throw new Error('garbled')

  const gone = new Promise((resolve) => stream.once('close', resolve))
  stream.end()
  await gone
  await server.close()
}

// A promise with its two ends.
function deferred() {
  const ends = {}
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }))
  return ends
}

setTimeout(() => {
  tell('error', { message: 'time limit' })
  process.exit(1)
}, TIME_LIMIT).unref()

try {
  await main()
  tell('done')
  process.exitCode = 0
} catch (err) {
  tell('error', { message: String(err.message) })
  process.exitCode = 1
}
await Promise.allSettled(running.map((dht) => dht.destroy({ force: true })))
process.exit()
