/**
 * TLS of the whole program: several processes behind one port, a new certificate and a new file while they run, and an end that loses nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../support/authority.ts'
import { openHttp2, type Http2Client } from '../support/http2.ts'
import { startGatewayProcess, temporaryFolder, waitFor, type GatewayProcess } from '../support/process.ts'

const WORKERS = 2
const authority = createAuthority()
const folder = temporaryFolder()

describe('a gateway of several workers with TLS', { timeout: 60_000 }, () => {
  let gateway: GatewayProcess
  let client: Http2Client

  beforeAll(async () => {
    certify()
    gateway = await startGatewayProcess(
      `workers: ${WORKERS}\nroutes:\n  - { name: open, match: { path: /open/* }, auth: public, service: echo }\n`,
      { folder, listener: 'tls: { certificate: cert.pem, key: key.pem, reload: 200ms }', startMs: 60_000 },
    )
  }, 120_000)
  afterAll(() => gateway.end())

  function certify(): void {
    const { certificate, key } = authority.server(['gateway.test'])
    writeFileSync(join(folder, 'cert.pem'), certificate)
    writeFileSync(join(folder, 'key.pem'), key)
  }

  function serialShown(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(
        { port: gateway.port, host: '127.0.0.1', servername: 'gateway.test', rejectUnauthorized: false },
        () => {
          resolve(socket.getPeerCertificate().serialNumber)
          socket.destroy()
        },
      )
      socket.on('error', reject)
    })
  }

  it('answers over HTTP/2 on every connection', async () => {
    for (let turn = 0; turn < WORKERS * 2; turn += 1) {
      const one = await openHttp2(gateway.port)
      const answers = await Promise.all(Array.from({ length: 20 }, () => one.ask({ path: '/open/x' })))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      one.close()
    }
  })

  it('has a new certificate on every worker, while connections go on', async () => {
    client = await openHttp2(gateway.port)
    const before = await serialShown()
    certify()
    await waitFor(async () => {
      const serials = [await serialShown(), await serialShown(), await serialShown(), await serialShown()]
      return new Set(serials).size === 1 && serials[0] !== before
    }, gateway)
    expect((await client.ask({ path: '/open/x' })).status).toBe(200)
  })

  it('takes on what a changed file says of answers over TLS', async () => {
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace('reload: 200ms }', 'reload: 200ms }, hsts: { maxAge: 1d }'))
    await waitFor(
      async () => (await client.ask({ path: '/open/x' })).headers['strict-transport-security'] === 'max-age=86400',
      gateway,
    )
  })

  it('refuses a changed file that takes TLS away', async () => {
    const file = join(folder, 'gateway.yaml')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, good.replace(/tls: \{[^}]*\}, hsts: \{[^}]*\}/, 'timeouts: { drain: 3s }'))
    await waitFor(() => gateway.stdout().includes('listeners.public.tls'), gateway)
    expect((await client.ask({ path: '/open/x' })).status).toBe(200)
    writeFileSync(file, good)
  })

  it('stops in order', async () => {
    const ended = gateway.end()
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(gateway.stderr()).toContain('gatehouse is ready at https://localhost:')
    expect(gateway.stderr()).not.toMatch(/Error|Warning/)
    client.close()
  })
})
