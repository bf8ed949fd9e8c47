import { argon2, timingSafeEqual } from 'node:crypto'
import { Problem } from '../../problem/problem.ts'

/** Cost of Argon2 (RFC 9106 §3.1). */
export interface Argon2Cost {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

export interface PasswordsNeeds {
  /** Argon2id; {@link argon2id}. */
  derive(password: Uint8Array, salt: Uint8Array, cost: Argon2Cost, bytes: number): Promise<Uint8Array>
  randomBytes(size: number): Buffer
  /** Processors of the machine. */
  readonly cores: number
}

export interface Passwords {
  /** @returns a PHC string */
  hash(password: string): Promise<string>
  /** With no hash it does the same work and says false: the time does not tell whether there is an account. */
  verify(password: string, hash: string | undefined): Promise<boolean>
  /** Whether a hash has the cost that new ones get. */
  isCurrent(hash: string): boolean
}

/** 19 MiB, two passes, one lane: the least that OWASP names, so that a small machine can serve it. */
const COST: Argon2Cost = Object.freeze({ memoryKiB: 19_456, passes: 2, lanes: 1 })
const SALT_BYTES = 16
const HASH_BYTES = 32

/** Runs at a time: as many as threads of the pool, but not all the cores, which serve other requests too. */
const MOST_RUNS = 4
const QUEUE = 64

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
const OTHER_SPACES = /\p{Zs}/gu

/**
 * Hashes passwords in a bounded number of runs at a time.
 *
 * Both methods reject with `overloaded` when too many wait already: a login is never let through without its run.
 */
export function createPasswords(needs: PasswordsNeeds): Passwords {
  const run = createPool(Math.max(1, Math.min(MOST_RUNS, Math.ceil(needs.cores) - 1)))
  const nobody: Hash = { cost: COST, salt: needs.randomBytes(SALT_BYTES), bytes: needs.randomBytes(HASH_BYTES) }
  return { hash, verify, isCurrent }

  async function hash(password: string): Promise<string> {
    const salt = needs.randomBytes(SALT_BYTES)
    return format(salt, await run(() => needs.derive(passwordBytes(password), salt, COST, HASH_BYTES)))
  }

  async function verify(password: string, phc: string | undefined): Promise<boolean> {
    const expected = phc === undefined ? nobody : parse(phc)
    const { cost, salt, bytes } = expected
    const derived = await run(() => needs.derive(passwordBytes(password), salt, cost, bytes.length))
    return timingSafeEqual(derived, bytes) && expected !== nobody
  }
}

function isCurrent(phc: string): boolean {
  const { cost, salt, bytes } = parse(phc)
  const isCost = cost.memoryKiB === COST.memoryKiB && cost.passes === COST.passes && cost.lanes === COST.lanes
  return isCost && salt.length === SALT_BYTES && bytes.length === HASH_BYTES
}

/** The whole password in UTF-8, after the OpaqueString profile (RFC 8265 §4.2.2): other spaces are spaces, then NFC. */
export function passwordBytes(password: string): Uint8Array {
  return Buffer.from(password.replace(OTHER_SPACES, ' ').normalize('NFC'))
}

/** Argon2id of Node, in its thread pool. */
export function argon2id(password: Uint8Array, salt: Uint8Array, cost: Argon2Cost, bytes: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const parameters = {
    message: password,
    nonce: salt,
    memory: cost.memoryKiB,
    passes: cost.passes,
    parallelism: cost.lanes,
    tagLength: bytes,
  }
  argon2('argon2id', parameters, (error, derived) => {
    if (error === null) resolve(derived)
    else reject(error)
  })
  return promise
}

interface Hash {
  readonly cost: Argon2Cost
  readonly salt: Uint8Array
  readonly bytes: Uint8Array
}

function format(salt: Uint8Array, bytes: Uint8Array): string {
  return `$argon2id$v=19$m=${COST.memoryKiB},t=${COST.passes},p=${COST.lanes}$${unpadded(salt)}$${unpadded(bytes)}`
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

function parse(phc: string): Hash {
  const [, memory, passes, lanes, salt, bytes] = PHC.exec(phc) ?? []
  // The text stays out of the error: it is a secret of the account.
  if (salt === undefined || bytes === undefined) throw new TypeError('the store holds a password hash of an unknown form')
  return {
    cost: { memoryKiB: Number(memory), passes: Number(passes), lanes: Number(lanes) },
    salt: Buffer.from(salt, 'base64'),
    bytes: Buffer.from(bytes, 'base64'),
  }
}

function createPool(size: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async function run(work) {
    if (running >= size) {
      if (waiting.length >= QUEUE) throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
      // Whoever ends hands over its place, so that nobody who comes later takes it.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else {
      running++
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
