// What `cargo dht demo` does, with the reference: a bootstrap node and N nodes on loopback in one
// process, one value stored by query and commit, then read back through another node. Prints the
// same figures as one JSON object: node demo.mjs [N]
import crypto from 'crypto'
import DHT from 'dht-rpc'

const count = Number(process.argv[2] || 100)
const lookups = 50
const VALUES = 0
const hash = (value) => crypto.createHash('sha256').update(value).digest()
const before = process.memoryUsage.rss()
const local = { host: '127.0.0.1' }

function serve(node) {
  const values = new Map()
  node.on('request', (req) => {
    if (req.command !== VALUES) return req.error(1)
    if (!req.token) return req.reply(values.get(req.target.toString('hex')) || null)
    values.set(hash(req.value).toString('hex'), req.value)
    req.reply(null)
  })
}

const started = performance.now()
const first = DHT.bootstrapper(20000 + Math.floor(Math.random() * 20000), '127.0.0.1', local)
await first.fullyBootstrapped()
const bootstrap = ['127.0.0.1:' + first.address().port]
serve(first)
const nodes = []
while (nodes.length < count) {
  const batch = Math.min(10, count - nodes.length)
  const made = Array.from({ length: batch }, () => {
    const node = new DHT({ ...local, bootstrap, ephemeral: false, firewalled: false })
    serve(node)
    return node
  })
  await Promise.all(made.map((node) => node.fullyBootstrapped()))
  nodes.push(...made)
}
const formed = performance.now()
const memory = process.memoryUsage.rss() - before

async function timed(node, query) {
  const before = node.stats.requests.total
  const begin = performance.now()
  const result = await query(node)
  return { ms: performance.now() - begin, requests: node.stats.requests.total - before, result }
}

const value = Buffer.from('hello world')
const target = hash(value)
const put = await timed(nodes[0], async (node) => {
  await node.query({ target, command: VALUES, value }, { commit: true }).finished()
})
const get = await timed(nodes[count >> 1], async (node) => {
  for await (const reply of node.query({ target, command: VALUES })) {
    if (reply.value && hash(reply.value).equals(target)) return true
  }
  return false
})
const walks = []
for (let i = 0; i < lookups; i++) {
  const node = nodes[(i * 7) % count]
  walks.push(await timed(node, (node) => node.findNode(crypto.randomBytes(32)).finished()))
}
const mean = (of) => walks.reduce((sum, walk) => sum + of(walk), 0) / walks.length
const round = (n) => Math.round(n * 100) / 100
console.log(
  JSON.stringify({
    nodes: count,
    formedMs: round(formed - started),
    putMs: round(put.ms),
    putRequests: put.requests,
    found: get.result,
    getMs: round(get.ms),
    lookupMs: round(mean((walk) => walk.ms)),
    requestsPerLookup: round(mean((walk) => walk.requests)),
    kibPerNode: round(memory / 1024 / count)
  })
)
process.exit(0)
