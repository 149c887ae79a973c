// The JS side of the suite checks itself: `npm test`.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const load = (name) => JSON.parse(readFileSync(here(`../vectors/${name}.json`), 'utf8')).vectors
const unfold = (text) => text.replace(/\((..)\*(\d+)\)/g, (_, byte, count) => byte.repeat(count))

async function judge(questions) {
  const child = spawn(process.execPath, [here('judge.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(questions.map((question) => JSON.stringify(question) + '\n').join(''))
  const verdicts = []
  for await (const line of createInterface({ input: child.stdout })) verdicts.push(JSON.parse(line))
  return verdicts
}

for (const script of ['vectors.mjs', 'signatures.mjs', 'hyperdht-messages.mjs', 'hyperdht-served.mjs']) {
  test(`the vectors are what the installed package makes: ${script}`, () => {
    const { status, stdout } = spawnSync(process.execPath, [here(script), '--check'])
    assert.equal(status, 0, String(stdout))
  })
}

test('the vectors cover both outcomes', () => {
  const odd = load('odd')
  assert(odd.some(({ read }) => read === null))
  assert(odd.some(({ read }) => read !== null))
  for (const { name, read } of [...load('requests'), ...load('responses')]) assert(read, name)
})

test('the judge reads the vectors as they say', async () => {
  const from = { host: '192.0.2.7', port: 49737 }
  const vectors = [...load('requests'), ...load('responses'), ...load('odd')]
  const verdicts = await judge(vectors.map((one) => ({ from: one.from ?? from, hex: unfold(one.hex) })))
  assert.equal(verdicts.length, vectors.length)
  for (const [i, { name, read }] of vectors.entries()) {
    if (read?.value) read.value = unfold(read.value)
    assert.deepEqual(verdicts[i], read, name)
  }
})

test('the agent answers every op once and ends with its input', async () => {
  const child = spawn(process.execPath, [here('agent.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ops = [
    { op: 'create', node: 1, options: { host: '127.0.0.1', bootstrap: null } },
    { op: 'start', node: 1 },
    { op: 'bootstrapped', node: 1 },
    { op: 'info', node: 2 },
    { op: 'toString', node: 1 },
    { op: 'destroy', node: 1 }
  ]
  child.stdin.end(ops.map((op, i) => JSON.stringify({ id: i + 1, ...op }) + '\n').join(''))
  const answers = new Map()
  for await (const line of createInterface({ input: child.stdout })) {
    const { id, error } = JSON.parse(line)
    if (id === undefined) continue
    assert(!answers.has(id))
    answers.set(id, error?.code)
  }
  assert.deepEqual([...answers].sort().map(([, code]) => code), [
    undefined, undefined, undefined, 'PROTOCOL', 'PROTOCOL', undefined
  ])
  const [status] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  assert.equal(status, 0)
})
