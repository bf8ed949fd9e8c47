/** Bodies far larger than any memory pass where one side or both speak HTTP/2, and the process does not grow. */
import { connect, constants } from 'node:http2'
import { request } from 'node:https'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import {
  gatehouse,
  pause,
  startGatewayProcess,
  startProgram,
  temporaryFolder,
  waitFor,
  type GatewayProcess,
  type Program,
} from '../support/process.ts'

const MIB = 1024 ** 2
const MIB_IN_KIB = 1024
const IN_TIME = { timeout: 10_000, interval: 100 }
const CHUNK = Buffer.alloc(64 * 1024, 'y')
const { certificate, key } = selfSigned('DNS:localhost')

const upstreams: Program[] = []
let gateway: GatewayProcess

beforeAll(async () => {
  // As set-up does: the first run after a change compiles once more, and the compiler takes 10 MB.
  await gatehouse(['--version'])
  const lines: string[] = []
  for (const protocol of ['http1', 'http2']) {
    const port = await freePort()
    const upstream = startProgram(process.execPath, [join(import.meta.dirname, 'upstream.ts'), String(port), protocol])
    upstreams.push(upstream)
    await waitFor(() => upstream.stdout().includes('listening'), upstream)
    lines.push(`  ${protocol}: { targets: ['http://127.0.0.1:${port}'], protocol: ${protocol} }`)
  }
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'cert.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), key)
  gateway = await startGatewayProcess(
    `upstreams:
${lines.join('\n')}
routes:
  - { name: one, match: { path: /http1/* }, auth: public, stripPrefix: /http1, upstream: http1 }
  - { name: two, match: { path: /http2/* }, auth: public, stripPrefix: /http2, upstream: http2 }`,
    { folder, listener: 'limits: { bodyBytes: 2GiB }, tls: { certificate: cert.pem, key: key.pem }' },
  )
})
afterAll(async () => {
  await gateway.end()
  for (const upstream of upstreams) await upstream.end()
})

it.each([
  ['http2', 'http2', 1024 * MIB],
  ['http1', 'http2', 256 * MIB],
  ['http2', 'http1', 256 * MIB],
] as const)(
  'from %s to %s takes %i octets up and down and grows by less than 64 MiB',
  async (front, back, octets) => {
    // What TLS, the protocol and their code take comes with the first bodies.
    await up(front, back, 16 * MIB)
    await down(front, back, 16 * MIB)
    await pause(200)
    const before = gateway.memory()
    expect(await up(front, back, octets)).toBe(octets)
    expect(await down(front, back, octets)).toBe(octets)
    await expect.poll(() => gateway.memory().nowKiB - before.nowKiB, IN_TIME).toBeLessThan(64 * MIB_IN_KIB)
  },
  180_000,
)

interface Outgoing {
  write(chunk: Buffer): boolean
  end(): unknown
  on(event: 'drain', run: () => void): unknown
}

function pump(to: Outgoing, bytes: number): void {
  let left = bytes
  to.on('drain', more)
  more()

  function more(): void {
    while (left > 0) {
      left -= CHUNK.length
      if (!to.write(CHUNK)) return
    }
    to.end()
  }
}

interface Incoming {
  on(event: 'data', run: (chunk: Buffer) => void): unknown
  on(event: 'end', run: () => void): unknown
}

/** Octets, and what they say where they are few. */
function read(from: Incoming): Promise<{ readonly octets: number; readonly text: string }> {
  return new Promise((resolve) => {
    let octets = 0
    let text = ''
    from.on('data', (chunk) => {
      octets += chunk.length
      if (octets < 100) text += chunk.toString()
    })
    from.on('end', () => resolve({ octets, text }))
  })
}

/** Sends a body, if one is to be sent, and reads the answer. */
function ask(front: string, path: string, bytes: number): Promise<{ readonly octets: number; readonly text: string }> {
  const url = `https://localhost:${gateway.port}`
  const method = bytes > 0 ? 'PUT' : 'GET'
  return new Promise((resolve, reject) => {
    if (front === 'http1') {
      const req = request(`${url}${path}`, { method, ca: certificate, headers: bytes > 0 ? { 'content-length': bytes } : {} })
      req.on('error', reject)
      req.on('response', (res) => void read(res).then(resolve))
      pump(req, bytes)
      return
    }
    const session = connect(url, { ca: certificate, settings: { initialWindowSize: MIB } })
    session.on('error', reject)
    const stream = session.request({ ':path': path, ':method': method }, { endStream: bytes === 0 })
    stream.on('error', reject)
    if (bytes > 0) pump(stream, bytes)
    void read(stream).then((outcome) => {
      resolve(outcome)
      session.close()
      if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  })
}

async function up(front: string, back: string, bytes: number): Promise<number> {
  return Number((await ask(front, `/${back}/up`, bytes)).text)
}

async function down(front: string, back: string, bytes: number): Promise<number> {
  return (await ask(front, `/${back}/down?${bytes}`, 0)).octets
}
