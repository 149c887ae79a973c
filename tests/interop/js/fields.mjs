// Reading the fields of ops, and writing the package's values as JSON.

const HEX = /^(?:[0-9a-f]{2})*$/
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/
const FORGET_AFTER = 60_000

export function fail(message) {
  throw Object.assign(new Error(message), { code: 'PROTOCOL' })
}

export function errorOf(err) {
  const code = err.code ?? null
  // The package writes the code into the message as well.
  const prefix = code === null ? '' : `${code}: `
  const message = String(err.message)
  return { code, message: message.startsWith(prefix) ? message.slice(prefix.length) : message }
}

export const hexOf = (bytes) => (bytes == null ? null : Buffer.from(bytes).toString('hex'))

export const addressOf = (address) => address && { host: address.host, port: address.port }

export const peerOf = ({ host, port, id }) => ({ host, port, id: hexOf(id) })

const check = (kind, test, read = (value) => value) => (from, name) => {
  const value = from[name]
  if (!test(value)) fail(`${name} should be ${kind}`)
  return read(value)
}

const isUint = (value) => Number.isSafeInteger(value) && value >= 0
const isPort = (value) => isUint(value) && value < 65536
const isHost = (value) => typeof value === 'string' && IPV4.test(value)
const isHex = (value) => typeof value === 'string' && HEX.test(value)
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const isAddress = (value) => isObject(value) && isHost(value.host) && isPort(value.port)
const isList = (test) => (value) => Array.isArray(value) && value.every(test)
const isString = (value) => typeof value === 'string'
const isRange = (value) => isList(isPort)(value) && value.length === 2

export const field = {
  bool: check('a bool', (value) => typeof value === 'boolean'),
  uint: check('a uint', isUint),
  natural: check('a positive integer', (value) => isUint(value) && value > 0),
  integer: check('an integer', Number.isSafeInteger),
  string: check('a string', isString),
  strings: check('a list of strings', isList(isString)),
  object: check('an object', isObject),
  hex: check('hex', isHex, (value) => Buffer.from(value, 'hex')),
  hash: check('hex of 32 bytes', (value) => isHex(value) && value.length === 64, (value) =>
    Buffer.from(value, 'hex')
  ),
  address: check('an address', isAddress, addressOf),
  addresses: check('a list of addresses', isList(isAddress), (list) => list.map(addressOf)),
  port: check('a port or a range of ports', (value) => isPort(value) || isRange(value)),

  /// The host and port that stand in the op itself.
  addressOf(op) {
    return field.address({ address: op }, 'address')
  },

  /// Absent and `null` are the same: undefined, which the package takes for its default.
  optional(kind, from, name) {
    return from[name] == null ? undefined : kind(from, name)
  }
}

const OPTIONS = {
  bootstrap: field.strings,
  nodes: field.addresses,
  host: field.string,
  port: field.port,
  anyPort: field.bool,
  ephemeral: field.bool,
  adaptive: field.bool,
  firewalled: field.bool,
  quickFirewall: field.bool,
  concurrency: field.uint,
  maxWindow: field.uint,
  maxPingDelay: field.uint,
  sendDownHints: field.bool,
  downHintsRateLimit: field.integer
}

/// `exempt` is ours: the reference has no limits from which somebody could be exempt.
///
/// The options of a `create`, without those that were not given: some defaults depend on that.
export function nodeOptions(op) {
  const given = field.optional(field.object, op, 'options') ?? {}
  const options = {}
  for (const [name, kind] of Object.entries(OPTIONS)) {
    const value = field.optional(kind, given, name)
    if (value !== undefined) options[name] = value
  }
  const refuse = field.optional(field.strings, given, 'refuse')
  if (refuse !== undefined) {
    const refused = new Set(refuse)
    options.filterNode = ({ host, port }) => !refused.has(`${host}:${port}`)
  }
  return options
}

/// Incoming requests that wait for the caller's answer.
export class Requests {
  #next = 1
  #waiting = new Map()

  add(request) {
    const number = this.#next++
    this.#waiting.set(number, request)
    setTimeout(() => this.#waiting.delete(number), FORGET_AFTER).unref()
    return number
  }

  take(number) {
    const request = this.#waiting.get(number)
    if (request === undefined) fail(`unknown request ${number}`)
    this.#waiting.delete(number)
    return request
  }
}
