import { createServer } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKey, createWorld, foreignClaims, issuer, remote, settle, sign } from './world.ts'
import type { TestKey, World } from './world.ts'

const URI = 'https://login.example.com/jwks.json'
const OTHER_URI = 'https://other.example.com/jwks.json'
const OTHER = 'https://other.example.com/'

const known = createKey('known')
const next = createKey('next')
let good: string
let world: World

beforeEach(async () => {
  good = await sign(known, foreignClaims())
  world = createWorld()
  world.web.pages.set(URI, [known.jwk])
})

const other = (changes = {}) => issuer({ name: 'partner', issuer: OTHER, tenant: 'partner', keys: remote(OTHER_URI), ...changes })
const otherToken = (key: TestKey) => sign(key, foreignClaims({ iss: OTHER }))
const never = (signal: AbortSignal) =>
  new Promise<Response>((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))

describe('the published keys of an issuer', () => {
  it('are fetched at the start, in one request that follows no redirect', async () => {
    await world.authenticator.start()
    expect(world.web.requests).toHaveLength(1)
    expect(world.web.requests[0]).toMatchObject({
      uri: URI,
      init: { redirect: 'error', headers: { accept: 'application/json, application/jwk-set+json' } },
    })
    expect(await world.ask(good)).toBe('ok u-1')
    expect(world.events.fetched).toEqual(['corporate ok'])
  })

  it('are at most twice fetched for 10,000 random names in 10 s, and no good token suffers', async () => {
    await world.authenticator.start()
    await world.clock.advance(60_000)
    const before = world.web.requests.length
    const answers = new Set<string>()
    for (let second = 0; second < 10; second += 1) {
      for (let n = 0; n < 1000; n += 1) {
        const unknown = await sign({ ...known, kid: `random-${second}-${n}` }, foreignClaims())
        answers.add(await world.ask(unknown))
      }
      expect(await world.ask(good)).toBe('ok u-1')
      expect(await world.ask(await sign(known, foreignClaims({ jti: `j-${second}` })))).toBe('ok u-1')
      await world.clock.advance(1000)
    }
    expect([...answers]).toEqual(['invalid_token: unknown_key'])
    expect(world.web.requests.length - before).toBe(2)
  })

  it('include a new key within a second of its first sight', async () => {
    await world.authenticator.start()
    world.web.pages.set(URI, [known.jwk, next.jwk])
    const token = await sign(next, foreignClaims())
    expect(await world.ask(token)).toBe('invalid_token: unknown_key')
    expect(world.web.requests).toHaveLength(1)
    await world.clock.advance(1000)
    expect(await world.ask(token)).toBe('ok u-1')
    expect(await world.ask(good)).toBe('ok u-1')
    expect(world.web.requests).toHaveLength(2)
  })

  it('are asked for once by all who wait', async () => {
    await world.authenticator.start()
    await world.clock.advance(5000)
    world.web.pages.set(URI, [known.jwk, next.jwk])
    const tokens = await Promise.all(Array.from({ length: 12 }, (_, n) => sign(next, foreignClaims({ jti: `${n}` }))))
    expect(await Promise.all(tokens.map((token) => world.ask(token)))).toEqual(Array(12).fill('ok u-1'))
    expect(world.web.requests).toHaveLength(2)
  })

  it('let those who waited go on a few at a time, so that thousands of them hold nobody up', async () => {
    await world.authenticator.start()
    await world.clock.advance(5000)
    const { promise: page, resolve: publish } = Promise.withResolvers<Response>()
    world.web.pages.set(URI, () => page)
    const tokens = await Promise.all(Array.from({ length: 70 }, (_, n) => sign(next, foreignClaims({ jti: `${n}` }))))
    const answers: string[] = []
    const asked = tokens.map(async (token) => answers.push(await world.ask(token)))
    await settle()
    expect(answers).toEqual([])
    publish(Response.json({ keys: [known.jwk, next.jwk] }))
    await expect.poll(() => answers.length).toBe(16)
    expect(world.clock.pending()[0]).toBe(0)
    await world.clock.advance(0)
    await Promise.all(asked)
    expect(answers).toEqual(Array(70).fill('ok u-1'))
    expect(world.web.requests).toHaveLength(2)
  })

  it('are not asked for when the bucket is empty: unknown names fail at once, and it fills by one each interval', async () => {
    await world.authenticator.start()
    for (const [waitMs, fetches] of [
      [2000, 2],
      [2000, 3],
      [2000, 3],
      [20_000, 3],
      [10_000, 4],
      [2000, 4],
    ] as const) {
      await world.clock.advance(waitMs)
      expect(await world.ask(await sign({ ...known, kid: `x-${waitMs}` }, foreignClaims()))).toBe('invalid_token: unknown_key')
      expect(world.web.requests).toHaveLength(fetches)
    }
    expect(await world.ask(good)).toBe('ok u-1')
  })

  it('are fetched again for a token that no known key signed: another key may stand behind the name', async () => {
    await world.authenticator.start()
    await world.clock.advance(1000)
    const replaced = { ...next, kid: known.kid, jwk: { ...next.jwk, kid: known.kid } }
    const token = await sign(replaced, foreignClaims())
    expect(await world.ask(token)).toBe('invalid_signature: signature')
    await world.clock.advance(1000)
    world.web.pages.set(URI, [replaced.jwk])
    expect(await world.ask(await sign(replaced, foreignClaims({ jti: 'new' })))).toBe('ok u-1')
    expect([await world.ask(good), world.web.requests.length]).toEqual(['invalid_signature: signature', 3])
    // The bucket is empty: a forged token is refused at once, and reaches nobody.
    await world.clock.advance(1000)
    expect(await world.ask(await sign({ ...known, kid: replaced.kid }, foreignClaims({ jti: 'x' })))).toBe(
      'invalid_signature: signature',
    )
    expect(world.web.requests).toHaveLength(3)
  })

  it('are fetched again ahead of need, with some jitter', async () => {
    for (const [random, delayMs] of [
      [0, 540_000],
      [0.5, 600_000],
      [1, 660_000],
    ] as const) {
      const jittered = createWorld({ needs: { random: () => random } })
      jittered.web.pages.set(URI, [known.jwk])
      await jittered.authenticator.start()
      const [soonest] = jittered.clock.pending()
      expect(soonest).toBeCloseTo(delayMs, 3)
      jittered.web.pages.set(URI, [known.jwk, next.jwk])
      await jittered.clock.advance(delayMs + 1)
      expect(jittered.web.requests).toHaveLength(2)
      expect(await jittered.ask(await sign(next, foreignClaims({ exp: 1_800_001_000 })))).toBe('ok u-1')
    }
  })

  it('are tried for again with growing delays while the issuer is down', async () => {
    world.web.pages.delete(URI)
    await world.authenticator.start()
    const delays: number[] = []
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const [soonest = 0] = world.clock.pending()
      delays.push(Math.round(soonest / 1000))
      await world.clock.advance(soonest)
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600])
    expect(world.events.fetched).toEqual(Array(13).fill('corporate error'))
  })

  it('serve on through an outage, up to staleFor, and again when it ends', async () => {
    world = createWorld({ issuers: [issuer({ maxLifetimeSeconds: 864_000 })] })
    world.web.pages.set(URI, [known.jwk])
    await world.authenticator.start()
    const long = await sign(known, foreignClaims({ exp: 1_800_000_000 + 800_000 }))
    expect(await world.ask(long)).toBe('ok u-1')
    await world.clock.advance(300_000)
    world.web.pages.delete(URI)
    await world.clock.advance(86_100_000)
    expect(world.authenticator.jwksAgeSeconds()).toEqual([{ issuer: 'corporate', seconds: 86_400 }])
    expect(await world.ask(long)).toBe('ok u-1')
    await world.clock.advance(1)
    expect(await world.ask(long)).toBe('invalid_token: unknown_key')
    world.web.pages.set(URI, [known.jwk])
    expect(await world.ask(long)).toBe('ok u-1')
  })

  it.each<[string, () => Promise<Response>]>([
    ['500', async () => new Response('{"keys":[]}', { status: 500 })],
    ['204', async () => new Response(null, { status: 204 })],
    ['203', async () => Response.json({ keys: [next.jwk] }, { status: 203 })],
    ['text', async () => new Response('<html>')],
    ['a list', async () => Response.json([next.jwk])],
    ['keys that are no list', async () => Response.json({ keys: { next: next.jwk } })],
    ['an empty set', async () => Response.json({ keys: [] })],
    ['no usable key', async () => Response.json({ keys: [{ ...next.jwk, use: 'enc' }] })],
    ['101 keys', async () => Response.json({ keys: Array(101).fill(next.jwk) })],
    ['a body without end', async () => new Response(endless())],
    ['a cut body', async () => new Response(broken())],
  ])('stay as they are when the issuer answers %s', async (_, page) => {
    await world.authenticator.start()
    world.web.pages.set(URI, page)
    await world.clock.advance(600_001)
    expect(world.events.fetched).toEqual(['corporate ok', 'corporate error'])
    expect(await world.ask(await sign(known, foreignClaims({ exp: 1_800_001_200 })))).toBe('ok u-1')
  })

  it('lose what was dropped by screening, each counted', async () => {
    world.web.pages.set(URI, [{ ...next.jwk, use: 'enc' }, { kty: 'oct', k: 'AAAA' }, null, known.jwk])
    await world.authenticator.start()
    expect(world.events.dropped).toEqual(['corporate use', 'corporate symmetric', 'corporate not_an_object'])
    expect(await world.ask(good)).toBe('ok u-1')
  })

  it('hold up the start for the timeout at most, and nobody whose keys are there', async () => {
    world = createWorld({ issuers: [issuer(), other()] })
    world.web.pages.set(URI, [known.jwk])
    world.web.pages.set(OTHER_URI, never)
    let started = false
    const starting = world.authenticator.start().then(() => (started = true))
    await settle()
    expect(await world.ask(good)).toBe('ok u-1')
    expect(started).toBe(false)
    const waiting = world.ask(await otherToken(next))
    await world.clock.advance(2000)
    await starting
    expect(await waiting).toBe('invalid_token: unknown_key')
    expect(world.events.fetched).toEqual(['corporate ok', 'partner error'])
    expect(world.authenticator.jwksAgeSeconds()).toEqual([
      { issuer: 'corporate', seconds: 2 },
      { issuer: 'partner', seconds: Number.POSITIVE_INFINITY },
    ])
  })

  it('come within the timeout even from a fetch that heeds no signal', async () => {
    world.web.pages.set(URI, () => new Promise(() => undefined))
    const starting = world.authenticator.start()
    await world.clock.advance(2000)
    await starting
    expect(world.events.fetched).toEqual(['corporate error'])
  })

  it.each([[[0, 1]], [[1, 0]]])('never meet those of another issuer under the same name (order %j)', async (order) => {
    const twin = createKey('known')
    world = createWorld({ issuers: [issuer(), other()] })
    world.web.pages.set(URI, [known.jwk]).set(OTHER_URI, [twin.jwk])
    await world.authenticator.start()
    const tokens = [
      [await sign(known, foreignClaims()), await otherToken(known)],
      [await otherToken(twin), await sign(twin, foreignClaims())],
    ] as const
    for (const index of order) {
      const [right, wrong] = tokens[index] ?? tokens[0]
      expect(await world.ask(right)).toBe('ok u-1')
      expect(await world.ask(wrong)).toBe('invalid_signature: signature')
      expect(await world.ask(right)).toBe('ok u-1')
    }
  })

  it('are tried in turn for a token that names none', async () => {
    world.web.pages.set(URI, [next.jwk, known.jwk])
    await world.authenticator.start()
    expect(await world.ask(await sign(known, foreignClaims(), { kid: undefined }))).toBe('ok u-1')
    expect(await world.ask(await sign(createKey('x'), foreignClaims(), { kid: undefined }))).toBe('invalid_signature: signature')
  })

  it('are fetched no more after the stop', async () => {
    await world.authenticator.start()
    world.authenticator.stop()
    expect(world.clock.pending()).toEqual([])
    await world.clock.advance(5000)
    expect(await world.ask(await sign(next, foreignClaims()))).toBe('invalid_token: unknown_key')
    expect(await world.ask(good)).toBe('ok u-1')
    expect(world.web.requests).toHaveLength(1)
  })
})

describe('the key file of an issuer', () => {
  it('is read at the start', async () => {
    const { authenticator, files, ask } = fromFile()
    files.set('/keys.json', JSON.stringify({ keys: [known.jwk, { kty: 'oct', k: 'AAAA' }] }))
    await authenticator.start()
    expect(await ask(good)).toBe('ok u-1')
    expect(await ask(await sign(next, foreignClaims()))).toBe('invalid_token: unknown_key')
  })

  it.each([
    [undefined, 'the file cannot be read'],
    ['{', 'the key set is not JSON'],
    ['{}', 'the key set has no list of keys'],
    ['{"keys":[]}', 'the key set has no usable key'],
  ])('that holds %s stops the start', async (text, why) => {
    const { authenticator, files } = fromFile()
    if (text !== undefined) files.set('/keys.json', text)
    await expect(authenticator.start()).rejects.toThrow(`issuers.corporate.jwks.file: ${why}`)
  })
})

describe('a real server of keys', () => {
  let paths: string[]
  let server: ReturnType<typeof createServer>
  let origin: string

  beforeEach(async () => {
    paths = []
    server = createServer((req, res) => {
      paths.push(req.url ?? '')
      if (req.url === '/redirect') return void res.writeHead(302, { location: '/jwks.json' }).end()
      if (req.url === '/slow') return undefined
      if (req.url === '/large') return void res.end(Buffer.alloc(600 * 1024, 0x20))
      return void res.writeHead(200, { 'content-type': 'application/jwk-set+json' }).end(JSON.stringify({ keys: [known.jwk] }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`
  })
  afterEach(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )

  const fetching = (path: string) =>
    createWorld({
      issuers: [issuer({ keys: remote(`${origin}${path}`, { timeoutMs: 300 }) })],
      needs: {
        fetch: globalThis.fetch,
        schedule: (delayMs, run) => {
          const timer = setTimeout(run, delayMs).unref()
          return () => clearTimeout(timer)
        },
      },
    })

  it('is asked, and its keys serve', async () => {
    const { authenticator, ask } = fetching('/jwks.json')
    await authenticator.start()
    authenticator.stop()
    expect(await ask(good)).toBe('ok u-1')
    expect(paths).toEqual(['/jwks.json'])
  })

  it.each(['/redirect', '/slow', '/large'])('that answers with %s is not believed', async (path) => {
    const { authenticator, events } = fetching(path)
    await authenticator.start()
    authenticator.stop()
    expect(events.fetched).toEqual(['corporate error'])
    expect(paths).toEqual([path])
  })
})

function fromFile(): World {
  return createWorld({ issuers: [issuer({ keys: { kind: 'file', file: '/keys.json' } })] })
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)) })
}

function broken(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.error(new Error('socket hang up')) })
}
