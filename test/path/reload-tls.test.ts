/** Another configuration of a listener that speaks TLS and HTTP/2: connections that are open go by it as well as new ones. */
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createAuthority, type Authority } from '../support/authority.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2 } from '../support/http2.ts'

let authority: Authority
let gateway: TestGateway

beforeAll(async () => {
  authority = createAuthority()
  const [one, two] = [authority.server(['gateway.test']), authority.server(['other.test'])]
  gateway = await startGateway(yaml(), {
    files: { 'one.pem': one.certificate, 'one-key.pem': one.key, 'two.pem': two.certificate, 'two-key.pem': two.key },
  })
})
afterAll(() => gateway.close())

function yaml(name = 'one', auth = 'public', more = ''): string {
  return `listeners:
  public:
    {{public}}
    tls: { certificate: ${name}.pem, key: ${name}-key.pem${more} }
  admin: { address: 127.0.0.1:0 }
routes:
  - { name: echo, match: { path: /echo }, auth: ${auth}, service: echo }
`
}

function nameShown(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

it('holds for the next request of an HTTP/2 connection, and shows new certificates to new connections', async () => {
  const client = await openHttp2(gateway.port)
  expect([(await client.ask({ path: '/echo' })).status, await nameShown()]).toEqual([200, 'gateway.test'])
  await gateway.reload(yaml('two', 'required'))
  expect([(await client.ask({ path: '/echo' })).status, await nameShown()]).toEqual([401, 'other.test'])
  await gateway.reload(yaml('one', 'public'))
  expect([(await client.ask({ path: '/echo' })).status, await nameShown()]).toEqual([200, 'gateway.test'])
  client.close()
})

it('is refused whole where it would have another language spoken', async () => {
  await expect(gateway.reload(yaml('two', 'required', ', http2: false'))).rejects.toThrow(
    /gateway\.yaml:\d+:\d+ listeners\.public\.tls: cannot change while the gateway runs/,
  )
  expect(await nameShown()).toBe('gateway.test')
})
