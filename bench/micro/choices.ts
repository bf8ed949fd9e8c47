/**
 * What stands in ARCHITECTURE.md beside a choice between two ways, measured: a signature by `node:crypto` and by jose, a refusal with
 * a stack and without, and a line of the access log. One thread, rounds in turns; the median counts. `node bench/micro/choices.ts`
 */
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import { Problem } from '../../src/problem/problem.ts'
import { createAccessLine } from '../../src/telemetry/access-line.ts'
import { createStamp } from '../../src/telemetry/stamp.ts'
import { ADMITTED, configOf } from '../../test/unit/telemetry/world.ts'
import { median, round2 } from '../support/results.ts'

const ROUNDS = 9
const MICROS = 1000

/** One way to do a thing; a promise is waited for before the next one begins. */
interface Way {
  readonly name: string
  readonly times: number
  once(): unknown
}

for (const [name, ways] of [
  ['signatures', signatures()],
  ['refusals', refusals()],
  ['log', logLines()],
] as const) {
  process.stdout.write(`${name}\n`)
  for (const [way, micros] of await measure(ways)) process.stdout.write(`  ${way}: ${micros} µs\n`)
}

async function measure(ways: readonly Way[]): Promise<ReadonlyMap<string, number>> {
  const took = new Map(ways.map(({ name }) => [name, new Array<number>()]))
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const way of ways) {
      const micros = await microsOf(way)
      // The first one warms up.
      if (round > 0) took.get(way.name)?.push(micros)
    }
  }
  return new Map([...took].map(([name, all]) => [name, round2(median(all))]))
}

async function microsOf({ times, once }: Way): Promise<number> {
  const startedMs = performance.now()
  for (let index = 0; index < times; index += 1) {
    const result = once()
    if (result instanceof Promise) await result
  }
  return ((performance.now() - startedMs) * MICROS) / times
}

function signatures(): readonly Way[] {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
  return [
    ...waysToVerify({ alg: 'RS256', hash: 'sha256', times: 2000 }, rsa.privateKey),
    ...waysToVerify({ alg: 'ES256', hash: 'sha256', times: 2000 }, p256.privateKey),
    ...waysToVerify({ alg: 'ES512', hash: 'sha512', times: 100 }, p521.privateKey),
  ]
}

function waysToVerify(
  { alg, hash, times }: { readonly alg: string; readonly hash: string; readonly times: number },
  privateKey: KeyObject,
): readonly Way[] {
  const key = createPublicKey(privateKey)
  const header = segment({ alg, typ: 'at+jwt', kid: 'k1' })
  const claims = {
    iss: 'https://a.test',
    sub: 'usr_1',
    aud: 'api',
    exp: 2e9,
    iat: 1e9,
    scope: 'orders:read',
    jti: 'x'.repeat(32),
  }
  const data = Buffer.from(`${header}.${segment(claims)}`)
  const dsaEncoding = 'ieee-p1363'
  const signature = sign(hash, data, { key: privateKey, dsaEncoding })
  const token = `${data.toString('latin1')}.${signature.toString('base64url')}`
  const input = { key, dsaEncoding } as const
  if (!verify(hash, data, input, signature)) throw new Error(`${alg}: it does not verify`)
  return [
    { name: `${alg}, node:crypto`, times, once: () => verify(hash, data, input, signature) },
    { name: `${alg}, jose compactVerify`, times, once: () => compactVerify(token, key) },
  ]
}

function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function refusals(): readonly Way[] {
  const times = 100_000
  return [
    { name: 'Problem', times, once: () => new Problem('token_revoked') },
    { name: 'Error with its stack', times, once: () => new Error('token_revoked') },
  ]
}

function logLines(): readonly Way[] {
  const line = createAccessLine(
    createStamp(() => Date.now()),
    { ...configOf(1), upstreams: new Map() },
  )
  const record = {
    exchange: ADMITTED,
    problem: undefined,
    status: 200,
    announced: undefined,
    bytesIn: 0,
    bytesOut: 512,
    upstream: 'orders',
    upstreamMs: 1.25,
    aborted: false,
    ended: undefined,
    isClosed: false,
  }
  const whole: unknown = JSON.parse(line(record, 200, 2.5))
  const times = 200_000
  return [
    { name: 'by hand', times, once: () => line(record, 200, 2.5) },
    // Which has the time as text already, and the fields in an object.
    { name: 'JSON.stringify', times, once: () => JSON.stringify(whole) },
  ]
}
