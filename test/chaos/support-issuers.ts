/** Issuers on loopback that misbehave on demand, each on a port of its own, and the tokens that are sent while they do. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { claims, compact, createSigner, type Signer } from '../support/foreign.ts'

/** Who is no issuer, and signs in the name of the good key. */
const evil = createSigner('ES256', 'good')
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
const MAX_FETCHES = 10_000

export interface Trouble {
  readonly fault: string
  /** Answers a fetch while the fault lasts; absent: nobody listens. */
  readonly answer?: (res: ServerResponse, issuer: Issuer) => void
  /** `serves`: what is published is good all the time. `replaced`: it is good, and another key stands behind the name. */
  readonly keys: 'lost' | 'serves' | 'replaced'
  readonly seen: string
}

const SERVE_ON = 'nothing while the known keys may serve (`staleFor`); then 401 for the tokens of this issuer alone'

export const TROUBLES: readonly Trouble[] = [
  {
    fault: 'none: an issuer that is well, beside ten that are ill at once',
    answer: (res, { good }) => send(res, [good.jwk]),
    keys: 'serves',
    seen: 'nothing',
  },
  { fault: 'down: nobody listens', keys: 'lost', seen: SERVE_ON },
  { fault: 'slow: it never answers', answer: () => undefined, keys: 'lost', seen: SERVE_ON },
  {
    fault: '500, with keys of somebody else as its body',
    answer: (res) => void res.writeHead(500).end(JSON.stringify({ keys: [evil.jwk] })),
    keys: 'lost',
    seen: SERVE_ON,
  },
  { fault: 'garbage in place of keys', answer: (res) => void res.end('<html>{"keys":'), keys: 'lost', seen: SERVE_ON },
  { fault: 'an empty key set', answer: (res) => send(res, []), keys: 'lost', seen: SERVE_ON },
  {
    fault: 'a redirect to keys of somebody else',
    answer: (res, { port }) => void res.writeHead(302, { location: `http://127.0.0.1:${port}/evil` }).end(),
    keys: 'lost',
    seen: SERVE_ON,
  },
  { fault: 'an answer of 10 MB', answer: (res, { good }) => tenMegabytes(res, good), keys: 'lost', seen: SERVE_ON },
  {
    fault: 'bad keys among good ones',
    answer: (res, { good }) => send(res, [{ ...weak, kid: 'weak', alg: 'RS256' }, { kty: 'EC' }, 7, good.jwk]),
    keys: 'serves',
    seen: 'nothing: the bad keys are left out',
  },
  {
    fault: 'two keys of one name',
    answer: (res, { good }) => send(res, [good.jwk, evil.jwk]),
    keys: 'lost',
    seen: `neither is taken: ${SERVE_ON}`,
  },
  {
    fault: 'another key behind the same name',
    answer: (res, { next }) => send(res, [next.jwk]),
    keys: 'replaced',
    seen: 'tokens of the new key pass within `minInterval`, those of the old one are 401: it is published no more',
  },
]

export interface Issuer {
  readonly name: string
  readonly iss: string
  readonly port: number
  readonly good: Signer
  /** The key that replaces it, under the same name. */
  readonly next: Signer
  /** `performance.now()` of each fetch. */
  readonly fetches: readonly number[]
  /** How often somebody followed it elsewhere. */
  followed(): number
  begin(): Promise<void>
  end(): Promise<void>
  close(): Promise<void>
}

export async function startIssuer(name: string, trouble: Trouble): Promise<Issuer> {
  const fetches: number[] = []
  const good = createSigner('ES256', 'good')
  let followed = 0
  let isIll = false
  const server: Server = createServer((req, res) => {
    if (req.url !== '/keys') {
      followed += 1
      send(res, [evil.jwk])
      return
    }
    if (fetches.push(performance.now()) > MAX_FETCHES) throw new Error('too many fetches')
    if (!isIll) send(res, [good.jwk])
    else trouble.answer?.(res, issuer)
  })
  await listen(server, 0)
  const { port } = server.address() as AddressInfo
  const issuer: Issuer = {
    name,
    iss: `https://${name}.test/`,
    port,
    good,
    next: createSigner('ES256', 'good'),
    fetches,
    followed: () => followed,
    async begin() {
      isIll = true
      if (trouble.answer === undefined) await stop(server)
    },
    async end() {
      isIll = false
      if (trouble.answer === undefined) await listen(server, port)
      // What hangs goes on hanging: the gateway gives it up by itself.
    },
    close: () => stop(server),
  }
  return issuer
}

/** Tokens that nobody may let in, whatever state the issuer is in. */
export const FORGERIES: Readonly<Record<string, (issuer: Issuer) => string>> = {
  'signed by a stranger': ({ iss }) => evil.token(claims(iss)),
  'of a key that nobody has': ({ iss }) => evil.token(claims(iss), { kid: crypto.randomUUID() }),
  'not signed': ({ iss }) => compact({ alg: 'none', kid: 'good', typ: 'at+jwt' }, claims(iss)),
  expired: ({ iss, good }) => good.token(claims(iss, { iat: 1, exp: 2 })),
  'for somebody else': ({ iss, good }) => good.token(claims(iss, { aud: 'other' })),
}

function send(res: ServerResponse, keys: readonly unknown[]): void {
  res.end(JSON.stringify({ keys }))
}

const CHUNK = Buffer.alloc(100_000, ' ')
const CHUNKS = 100

function tenMegabytes(res: ServerResponse, good: Signer): void {
  let sent = 0
  const more = (): void => {
    while (sent < CHUNKS && !res.destroyed) {
      sent += 1
      if (!res.write(CHUNK)) {
        res.once('drain', more)
        return
      }
    }
    res.end(JSON.stringify({ keys: [good.jwk] }))
  }
  more()
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
