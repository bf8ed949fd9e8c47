/** Another configuration while requests go on: what counts from the next request on, what goes over, what is refused. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config.ts'
import { claims, createSigner, jwksServer, type JwksServer } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { openStream, streamUpstream, type StreamUpstream } from '../support/streams.ts'
import { handshake, openWebSocket, type WebSocketClient } from '../support/websocket.ts'

const SOON = { timeout: 10_000, interval: 10 }
const TENANT = 'tenants: { default: { signing: ES256 } }'
const signer = createSigner('ES256', 'one')
const other = createSigner('ES256', 'two')
let jwks: JwksServer
let streams: StreamUpstream
let gateway: TestGateway
const servers: Server[] = []
const sockets: WebSocketClient[] = []

beforeAll(async () => {
  jwks = await jwksServer()
  streams = await streamUpstream()
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close()
  await gateway.close()
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})
afterAll(async () => {
  await jwks.close()
  await streams.close()
})

/** An upstream that answers with its name, and counts its connections. */
async function upstream(name: string): Promise<{ readonly url: string; connections(): number }> {
  let connections = 0
  const server = createServer((_, res) => res.end(name))
  server.on('connection', () => {
    connections += 1
  })
  server.on('upgrade', (_req, socket) => {
    socket.on('error', () => undefined)
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections }
}

function echo(rest: string): string {
  return `${TENANT}\nroutes:\n  - { name: echo, match: { path: /echo }, service: echo, ${rest} }${SERVICE_ROUTES}`
}

function issuerNamed(name: string, more = ''): string {
  return `issuers:\n  ${name}: { issuer: ${name}, tenant: default, audiences: [api], algorithms: [ES256], jwks: { uri: "${jwks.uri(name)}" }${more} }`
}

const ECHO = `routes:\n  - { name: echo, match: { path: /echo }, service: echo, auth: required }`

async function status(path: string, token?: string): Promise<number> {
  const answer = await fetch(`${gateway.url}${path}`, { headers: token === undefined ? {} : bearer(token) })
  await answer.arrayBuffer()
  return answer.status
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1),
  )
}

describe('what counts from the next request on', () => {
  it('is that a route is gone, and another is there', async () => {
    gateway = await startGateway(echo('auth: public'))
    expect([await status('/echo'), await status('/new')]).toEqual([200, 404])
    await gateway.reload(`${TENANT}\nroutes:\n  - { name: new, match: { path: /new }, service: echo, auth: public }`)
    expect([await status('/echo'), await status('/new')]).toEqual([404, 200])
    expect(gateway.gateway.routes.map((route) => route.name)).toEqual(['new.root', 'new.below'])
  })

  it('is that a route which was public needs a token, on connections that are kept too', async () => {
    gateway = await startGateway(echo('auth: public'))
    const kept = new Agent({ connections: 1, pipelining: 1 })
    const ask = async (): Promise<number> => {
      const answer = await request(`${gateway.url}/echo`, { dispatcher: kept })
      await answer.body.dump()
      return answer.statusCode
    }
    expect(await ask()).toBe(200)
    const connections = await metric('gatehouse_connections')
    await gateway.reload(echo('auth: required'))
    expect(await ask()).toBe(401)
    expect(await metric('gatehouse_connections')).toBe(connections)
    await kept.close()
  })

  it('is a limit, a trusted proxy, and who signs: each as the file says', async () => {
    gateway = await startGateway(
      `listeners:\n  public:\n    {{public}}\n  admin: { address: 127.0.0.1:0 }\n${echo('auth: public')}`,
    )
    const client = async (): Promise<unknown> => {
      const answer = await fetch(`${gateway.url}/echo`, {
        headers: { 'x-forwarded-for': '192.0.2.1', 'x-long': 'x'.repeat(20_000) },
      })
      const body = (await answer.json()) as { headers?: Record<string, string> }
      return answer.status === 200 ? body.headers?.['x-forwarded-for'] : answer.status
    }
    expect(await client()).toBe(431)
    const listener = `listeners:\n  public:\n    {{public}}\n    trustedProxies: [127.0.0.1/32]\n    limits: { headerBytes: 64KiB }\n  admin: { address: 127.0.0.1:0 }\n`
    await gateway.reload(`${listener}${echo('auth: public')}`)
    expect(await client()).toMatch(/^192\.0\.2\.1/)
  })

  it('is a tenant: its keys are made before, published at once, and a removed one is gone', async () => {
    gateway = await startGateway(echo('auth: required'))
    expect(await status('/t/acme/.well-known/jwks.json')).toBe(404)
    await gateway.reload(echo('auth: required').replace('tenants: {', 'tenants: { acme: { signing: ES256 },'))
    const set = (await (await fetch(`${gateway.url}/t/acme/.well-known/jwks.json`)).json()) as { keys: unknown[] }
    expect(set.keys.length).toBeGreaterThan(0)
    const acme = await login(gateway.url, 'acme')
    const own = await login(gateway.url)
    expect([await status('/echo', acme.access_token), await status('/echo', own.access_token)]).toEqual([200, 200])
    await gateway.reload(echo('auth: required'))
    expect([await status('/echo', acme.access_token), await status('/echo', own.access_token)]).toEqual([401, 200])
    expect(await status('/t/acme/.well-known/jwks.json')).toBe(404)
  })
})

describe('a verified token', () => {
  it('of an issuer that was removed is refused at once, although it was remembered; put back, it is taken again', async () => {
    jwks.serve('one', [signer.jwk])
    gateway = await startGateway(`${TENANT}\n${issuerNamed('one')}\n${ECHO}`)
    const token = signer.token(claims('one'))
    expect([await status('/echo', token), await status('/echo', token)]).toEqual([200, 200])
    await gateway.reload(`${TENANT}\n${ECHO}`)
    expect(await status('/echo', token)).toBe(401)
    await gateway.reload(`${TENANT}\n${issuerNamed('one')}\n${ECHO}`)
    expect(await status('/echo', token)).toBe(200)
  })

  it('is verified by what the file says now of its issuer', async () => {
    jwks.serve('one', [signer.jwk])
    gateway = await startGateway(`${TENANT}\n${issuerNamed('one')}\n${ECHO}`)
    const token = signer.token(claims('one'))
    expect(await status('/echo', token)).toBe(200)
    await gateway.reload(`${TENANT}\n${issuerNamed('one').replace('[api]', '[another]')}\n${ECHO}`)
    expect(await status('/echo', token)).toBe(401)
  })

  it('is not verified again where its issuer says the same, however much else is changed', async () => {
    jwks.serve('one', [signer.jwk])
    gateway = await startGateway(`${TENANT}\n${issuerNamed('one')}\n${ECHO}`)
    const token = signer.token(claims('one'))
    expect(await status('/echo', token)).toBe(200)
    const hits = (): Promise<number> => metric('gatehouse_token_cache_total{result="hit"}')
    const before = (await hits()) || 0
    await gateway.reload(`${TENANT}\n${issuerNamed('one')}\n${ECHO.replace('/echo', '/echo/*')}`)
    expect(await status('/echo', token)).toBe(200)
    expect(await hits()).toBe(before + 1)
  })
})

describe('the keys of an issuer', () => {
  it('are not fetched again where nothing of it changed, and serve on while it is away and its claims change', async () => {
    jwks.serve('calm', [signer.jwk])
    gateway = await startGateway(`${TENANT}\n${issuerNamed('calm')}\n${ECHO}`)
    const fetched = jwks.fetches('calm')
    await gateway.reload(`${TENANT}\n${issuerNamed('calm')}\n${ECHO.replace('/echo', '/echo/*')}`)
    expect(jwks.fetches('calm')).toBe(fetched)
    jwks.serve('calm', (_, res) => void res.writeHead(503).end())
    const changed = issuerNamed('calm', ', maxLifetime: 12h').replace('jwks.json', '')
    await gateway.reload(`${TENANT}\n${changed.replace(' } }', ', timeout: 1s } }')}\n${ECHO}`)
    expect(await status('/echo', signer.token(claims('calm')))).toBe(200)
  })

  it('in a file are read again; a file that is none keeps the configuration out', async () => {
    const yaml = `${TENANT}\nissuers:\n  one: { issuer: one, tenant: default, audiences: [api], algorithms: [ES256], jwks: { file: keys.json } }\n${ECHO}`
    gateway = await startGateway(yaml, { files: { 'keys.json': JSON.stringify({ keys: [signer.jwk] }) } })
    const [old, young] = [signer.token(claims('one')), other.token(claims('one'))]
    expect([await status('/echo', old), await status('/echo', young)]).toEqual([200, 401])
    writeFileSync(join(gateway.directory, 'keys.json'), '{"keys":[{"kty":"none"}]}')
    const why = 'issuers.one.jwks.file: the key set has no usable key'
    await expect(gateway.reload(yaml.replace('/echo', '/other'))).rejects.toThrow(why)
    expect([await status('/echo', old), await status('/other', old)]).toEqual([200, 404])
    writeFileSync(join(gateway.directory, 'keys.json'), JSON.stringify({ keys: [other.jwk] }))
    await gateway.reload(yaml)
    expect([await status('/echo', old), await status('/echo', young)]).toEqual([401, 200])
  })
})

describe('what is under way', () => {
  const routesTo = (url: string): string =>
    `${TENANT}\nupstreams:\n  main: { targets: ["${url}"] }\nroutes:\n  - { name: live, match: { path: /live/* }, auth: public, upstream: main, websocket: true }\n  - { name: own, match: { path: /own/* }, auth: required, upstream: main, websocket: true }${SERVICE_ROUTES}`

  it('ends at the upstream that it began with, while requests go to the new one', async () => {
    const next = await upstream('next')
    gateway = await startGateway(routesTo(`http://127.0.0.1:${streams.port}`))
    const download = openStream(`${gateway.url}/live/download`, 'none')
    const waiting = openStream(`${gateway.url}/live/wait`, 'none')
    await expect.poll(() => download.bytes(), SOON).toBeGreaterThan(0)
    await expect.poll(() => streams.asked.includes('/live/wait'), SOON).toBe(true)
    await gateway.reload(routesTo(next.url))
    const before = download.bytes()
    await expect.poll(() => download.bytes(), SOON).toBeGreaterThan(before)
    expect(await (await fetch(`${gateway.url}/live/any`)).text()).toBe('next')
    streams.answerWaiting()
    await expect.poll(() => waiting.end(), SOON).toBe('whole')
    expect([waiting.body(), download.end()]).toEqual(['at last', 'open'])
    download.close()
  })

  it('keeps a WebSocket open whose route is gone, through many changes, and a drain ends it', async () => {
    const sockets1 = await upstream('socket')
    gateway = await startGateway(routesTo(sockets1.url))
    const socket = await openWebSocket(gateway.port, handshake('/live/socket'))
    sockets.push(socket)
    expect(socket.status).toBe(101)
    for (let round = 0; round < 3; round += 1) {
      await gateway.reload(echo(`auth: public, bodyBytes: ${round + 1}KiB`))
      expect(socket.isClosed()).toBe(false)
    }
    const closing = gateway.gateway.close()
    await expect.poll(() => socket.frames().map((frame) => frame.payload.readUInt16BE(0)), SOON).toEqual([1001])
    await closing
    gateway = await startGateway(echo('auth: public'))
  })

  it('ends with the issuer or the tenant of its token', async () => {
    jwks.serve('one', [signer.jwk])
    const yaml = (more: string): string => `${routesTo(`http://127.0.0.1:${streams.port}`)}\n${more}`
    gateway = await startGateway(yaml(issuerNamed('one')))
    const own = await login(gateway.url)
    const foreign = openStream(`${gateway.url}/own/download`, signer.token(claims('one')))
    const kept = openStream(`${gateway.url}/own/download`, own.access_token)
    await expect.poll(() => Math.min(foreign.bytes(), kept.bytes()), SOON).toBeGreaterThan(0)
    await expect.poll(() => metric('gatehouse_live_connections'), SOON).toBe(2)
    await gateway.reload(yaml(''))
    await expect.poll(() => foreign.end(), SOON).toBe('broken')
    expect(kept.end()).toBe('open')
    kept.close()
  })

  it('does not cost the connections and the health of an upstream that says the same', async () => {
    const main = await upstream('main')
    gateway = await startGateway(routesTo(main.url))
    expect(await (await fetch(`${gateway.url}/live/x`)).text()).toBe('main')
    const before = main.connections()
    for (let round = 0; round < 3; round += 1) {
      await gateway.reload(`${routesTo(main.url)}\ntokenCache: { entries: ${100 + round} }`)
      expect(await (await fetch(`${gateway.url}/live/x`)).text()).toBe('main')
    }
    expect(main.connections()).toBe(before)
  })
})

it('frees an arrangement when nobody is left in it, whatever the next ones took over from it', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const main = await upstream('main')
  jwks.serve('freed', [signer.jwk])
  const yaml = (round: number): string =>
    `${TENANT}\n${issuerNamed('freed')}\nupstreams:\n  main: { targets: ["${main.url}"] }\nroutes:\n  - { name: main, match: { path: /main/* }, auth: required, upstream: main, websocket: true, bodyBytes: ${round}KiB, rateLimit: { requests: 1000, per: 1m, by: ip } }`
  gateway = await startGateway(yaml(1))
  const token = signer.token(claims('freed'))
  const socket = await openWebSocket(gateway.port, handshake('/main/x', `Authorization: Bearer ${token}`))
  const gone: WeakRef<object>[] = []
  for (let round = 2; round < 8; round += 1) {
    await gateway.reload(yaml(round))
    expect(await status('/main/x', token)).toBe(200)
    gone.push(new WeakRef(gateway.gateway.routes))
  }
  const left = (): number[] => {
    collect()
    return gone.flatMap((one, index) => (one.deref() === undefined ? [] : [index]))
  }
  // Those between the first, which a WebSocket is in, and the last, which is in force.
  await expect.poll(left, SOON).toEqual([5])
  socket.close()
  expect(jwks.fetches('freed')).toBe(1)
})

describe('a configuration that cannot be taken on', () => {
  it('is told by the place in the file, and nothing of it is in force', async () => {
    gateway = await startGateway(echo('auth: public'))
    const yaml = `listeners:\n  public:\n    address: 127.0.0.1:1\n    origin: http://gateway.test\n  admin: { address: 127.0.0.1:2 }\n${echo('auth: required')}`
    const refused = await gateway.reload(yaml.replace('routes:', 'workers: 2\nroutes:')).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(ConfigError)
    const faults = (refused as ConfigError).faults.map(({ path, line, message }) => `${line} ${path}: ${message}`)
    const what = 'cannot change while the gateway runs: restart it, or write what was there before'
    expect(faults).toEqual([`4 listeners.public.address: ${what}`, `6 listeners.admin: ${what}`, `8 workers: ${what}`])
    expect(await status('/echo')).toBe(200)
  })

  it('is none that has the same in other words', async () => {
    gateway = await startGateway(echo('auth: public'))
    const version = gateway.gateway.config.version
    await gateway.reload(`${echo('auth: public')}\nworkers: 1\n`)
    expect(gateway.gateway.config.version).toBe(version)
  })

  it('says so in the metrics and to probes, until there is a good one', async () => {
    gateway = await startGateway(echo('auth: public'))
    const said = async (): Promise<unknown> => {
      const facts = (await (await fetch(`${gateway.adminUrl}/readyz`)).json()) as Record<string, unknown>
      return [facts['status'], facts['last_reload'], facts['config_version'] === gateway.gateway.config.version]
    }
    expect(await said()).toEqual(['ready', undefined, true])
    gateway.gateway.reloadFailed()
    expect([await said(), await metric('gatehouse_config_last_reload_success')]).toEqual([['ready', 'failed', true], 0])
    await gateway.reload(echo('auth: required'))
    expect([await said(), await metric('gatehouse_config_last_reload_success')]).toEqual([['ready', 'ok', true], 1])
    expect(await metric(`gatehouse_config_info{version="${gateway.gateway.config.version}"}`)).toBe(1)
    expect([
      await metric('gatehouse_config_reloads_total{result="ok"}'),
      await metric('gatehouse_config_reloads_total{result="failed"}'),
    ]).toEqual([1, 1])
  })
})
