/** The validator in front of handlers of node:http, Express and Fastify, asked over real sockets. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import fastify from 'fastify'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createValidator, GatehouseError, identityOf, optionalIdentityOf, type Validator } from '../../src/validator/validator.ts'
import { makeKey, passportClaims, signJwt, startKeyServer, type KeyServer } from '../support/passports.ts'

const key = makeKey()
let keys: KeyServer
let gate: Validator
let passport: string
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  keys = await startKeyServer([key])
  gate = createValidator({ origin: keys.origin, service: 'orders' })
  passport = signJwt(key, passportClaims(keys.origin))
})
afterAll(async () => {
  await gate.close()
  await keys.close()
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const REFUSED = {
  type: 'urn:gatehouse:problem:unauthorized',
  title: 'Authentication required',
  status: 401,
  detail: expect.any(String),
  instance: 'urn:gatehouse:request:req-1',
  error: 'unauthorized',
  error_description: expect.any(String),
  request_id: 'req-1',
}

/** The same service in each framework. */
const FRAMEWORKS: Readonly<Record<string, () => Promise<string>>> = {
  async 'node:http'() {
    const whoever = gate.protect((_, response, identity) => response.end(identity?.userId ?? 'nobody'), { auth: 'optional' })
    const writer = gate.protect((_, response, { tenantId }) => response.end(`wrote as ${tenantId}`), {
      scopes: ['orders:delete'],
    })
    const reader = gate.protect((request, response, identity) => {
      response.end(`${identity.userId} ${identity === identityOf(request)}`)
    })
    return listen((request, response) => {
      if (request.url === '/open') return void whoever(request, response)
      return void (request.url === '/delete' ? writer : reader)(request, response)
    })
  },
  async Express() {
    const app = express()
    app.get('/open', gate.express({ auth: 'optional' }), (request, response) => {
      response.send(optionalIdentityOf(request)?.userId ?? 'nobody')
    })
    app.get('/delete', gate.express({ scopes: ['orders:delete'] }), (_, response) => void response.send('never'))
    app.use(gate.express())
    app.get('/', (request, response) => void response.send(`${identityOf(request).userId} true`))
    return listen(app)
  },
  async Fastify() {
    const app = fastify()
    app.get('/open', { onRequest: gate.fastify({ auth: 'optional' }) }, async (request) => {
      return optionalIdentityOf(request)?.userId ?? 'nobody'
    })
    app.get('/delete', { onRequest: gate.fastify({ scopes: ['orders:delete'] }) }, async () => 'never')
    await app.register(async (inner) => {
      inner.addHook('onRequest', gate.fastify())
      inner.get('/', async (request) => `${identityOf(request).userId} true`)
    })
    closers.push(() => app.close())
    return app.listen({ port: 0, host: '127.0.0.1' })
  },
}

describe.each(Object.keys(FRAMEWORKS))('in %s', (name) => {
  const start = FRAMEWORKS[name] ?? (() => Promise.reject(new Error(name)))

  it('lets in who has a passport, and tells the handler who it is', async () => {
    const answer = await fetch(await start(), { headers: { 'x-gatehouse-identity': passport } })
    expect([answer.status, await answer.text()]).toEqual([200, 'usr_1 true'])
  })

  it('refuses as a gateway does, with the request id that came', async () => {
    const answer = await fetch(await start(), { headers: { 'x-request-id': 'req-1', 'x-user-id': 'usr_1' } })
    expect([answer.status, await answer.json()]).toEqual([401, REFUSED])
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="gatehouse"')
  })

  it('refuses what is not signed, and says no more than that', async () => {
    const forged = `${passport.slice(0, -8)}AAAAAAAA`
    const answer = await fetch(await start(), { headers: { 'x-gatehouse-identity': forged, 'x-request-id': 'a b<c>' } })
    const body = await answer.text()
    expect([answer.status, body.includes('"error":"invalid_signature"'), body.includes('<c>')]).toEqual([401, true, false])
    expect(body.includes('usr_1') || body.includes(forged)).toBe(false)
  })

  it('refuses who lacks a scope, and says which', async () => {
    const answer = await fetch(`${await start()}/delete`, { headers: { 'x-gatehouse-identity': passport } })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      403,
      expect.stringContaining('error="insufficient_scope"'),
    ])
    expect(answer.headers.get('www-authenticate')).toContain('scope="orders:delete"')
  })

  it('lets anybody in where authentication is optional, but for a bad passport', async () => {
    const url = `${await start()}/open`
    const statuses: unknown[] = []
    for (const headers of [{}, { 'x-gatehouse-identity': passport }, { 'x-gatehouse-identity': 'x' }]) {
      const answer = await fetch(url, { headers: { ...headers } })
      statuses.push([answer.status, answer.status === 200 ? await answer.text() : ''])
    }
    expect(statuses).toEqual([
      [200, 'nobody'],
      [200, 'usr_1'],
      [401, ''],
    ])
  })

  it('answers HEAD without a body', async () => {
    const answer = await fetch(await start(), { method: 'HEAD' })
    expect([answer.status, await answer.text()]).toEqual([401, ''])
  })
})

describe('a refusal that is passed on', () => {
  it('reaches the error handler of Express', async () => {
    const app = express()
    app.use(gate.express({ refusals: 'pass' }))
    app.use(((error, _request, response, _next) => {
      response.status(error.status).send(`${error instanceof GatehouseError} ${error.code}`)
    }) satisfies express.ErrorRequestHandler)
    const answer = await fetch(await listen(app))
    expect([answer.status, await answer.text()]).toEqual([401, 'true unauthorized'])
  })

  it('reaches the error handler of Fastify', async () => {
    const app = fastify()
    app.addHook('onRequest', gate.fastify({ refusals: 'pass' }))
    app.setErrorHandler<GatehouseError>((error, _request, reply) => reply.code(error.status).send(`mine: ${error.code}`))
    app.get('/', async () => 'never')
    closers.push(() => app.close())
    const answer = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }))
    expect([answer.status, await answer.text()]).toEqual([401, 'mine: unauthorized'])
  })
})

describe('a handler', () => {
  it('that asks who sends a request which nobody identified fails, and goes on with nobody', async () => {
    const url = await listen((request, response) => {
      try {
        response.end(identityOf(request).userId)
      } catch (error) {
        response.writeHead(500).end(String(error))
      }
    })
    const answer = await fetch(url, { headers: { 'x-gatehouse-identity': passport } })
    expect([answer.status, await answer.text()]).toEqual([
      500,
      'Error: no middleware of gatehouse/validator has identified the sender of this request',
    ])
  })

  it('that fails is not taken for a refusal', async () => {
    const failures: unknown[] = []
    const broken = gate.protect(() => Promise.reject(new Error('mine')))
    const url = await listen((request, response) => {
      broken(request, response).catch((error: unknown) => {
        failures.push(error)
        response.writeHead(500).end()
      })
    })
    const answer = await fetch(url, { headers: { 'x-gatehouse-identity': passport } })
    expect([answer.status, failures]).toEqual([500, [new Error('mine')]])
  })
})
