/** Issuers that are not the gateway: keys, tokens with any header and claims, and a server for their key sets. */
import { constants, createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Json = Readonly<Record<string, unknown>>

export interface Signer {
  readonly alg: string
  readonly kid: string
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
  /** Public, with `kid`, `alg` and `use`. */
  readonly jwk: Json
  /** A token with these claims; `header` is merged over `alg`, `kid` and `typ`, a member that is undefined is left out. */
  token(claims: Json, header?: Json): string
}

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const

export function createSigner(alg: string, kid: string): Signer {
  const { publicKey, privateKey } = generate(alg)
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
  return {
    alg,
    kid,
    publicKey,
    privateKey,
    jwk,
    token: (claims, header = {}) =>
      compact({ alg, kid, typ: 'at+jwt', ...header }, claims, (data) => signWith(alg, privateKey, data)),
  }
}

function generate(alg: string): { publicKey: KeyObject; privateKey: KeyObject } {
  if (alg.startsWith('ES')) return generateKeyPairSync('ec', { namedCurve: CURVES[alg as keyof typeof CURVES] })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/** The signature of a JWS algorithm (RFC 7518 §3). */
export function signWith(alg: string, key: KeyObject, data: string): Buffer {
  const bytes = Buffer.from(data, 'latin1')
  const hash = `sha${alg.slice(2)}`
  if (alg === 'EdDSA') return sign(null, bytes, key)
  if (alg.startsWith('ES')) return sign(hash, bytes, { key, dsaEncoding: 'ieee-p1363' })
  if (alg.startsWith('PS')) {
    return sign(hash, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(alg.slice(2)) / 8 })
  }
  return sign(hash, bytes, key)
}

export function hs(alg: string, secret: string | Buffer): (data: string) => Buffer {
  return (data) =>
    createHmac(`sha${alg.slice(2)}`, secret)
      .update(data)
      .digest()
}

/** A compact JWS of any header, payload and signature; a text is taken as it is, anything else as JSON. */
export function compact(header: unknown, payload: unknown, signature: (data: string) => Buffer = () => Buffer.alloc(0)): string {
  const data = `${segment(header)}.${segment(payload)}`
  return `${data}.${signature(data).toString('base64url')}`
}

export function segment(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

export function seconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Good claims of a user for five minutes. */
export function claims(issuer: string, more: Json = {}): Json {
  const now = seconds()
  return { iss: issuer, sub: 'alice', aud: 'api', iat: now, exp: now + 300, jti: crypto.randomUUID(), scope: 'read', ...more }
}

export interface JwksServer {
  readonly port: number
  uri(name: string): string
  /** What `/name` answers from now on: keys, or anything at all. */
  serve(name: string, answer: readonly unknown[] | ((req: IncomingMessage, res: ServerResponse) => void)): void
  /** How often `/name` was asked for. */
  fetches(name: string): number
  close(): Promise<void>
}

export async function jwksServer(): Promise<JwksServer> {
  const answers = new Map<string, (req: IncomingMessage, res: ServerResponse) => void>()
  const counts = new Map<string, number>()
  const server = createServer((req, res) => {
    const name = (req.url ?? '').slice(1)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    const answer = answers.get(name)
    if (answer === undefined) res.writeHead(404).end()
    else answer(req, res)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    uri: (name) => `http://127.0.0.1:${port}/${name}`,
    serve(name, answer) {
      answers.set(name, typeof answer === 'function' ? answer : (_, res) => void res.end(JSON.stringify({ keys: answer })))
    },
    fetches: (name) => counts.get(name) ?? 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
