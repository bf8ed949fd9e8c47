/**
 * The published JWS vectors whose fault is in a key or in a header, signed again with real claims and sent to a gateway whose
 * issuer uses that key set.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { expectNoPass, openScene, type Scene } from '../support/attack.ts'
import { claims, compact, createSigner, hs, signWith, type Json } from '../support/foreign.ts'
import { readVectors } from '../support/vectors.ts'

const JWK = z.looseObject({ kty: z.string().optional() })
const ROW = z.object({
  id: z.string(),
  comment: z.string(),
  keys: z.array(JWK),
  private: z.union([JWK, z.object({ keys: z.array(JWK) })]).nullish(),
  serialization: z.enum(['compact', 'json']),
  expect: z.enum(['accept', 'reject', 'reject-at-bearer']),
  header: z.string().nullish(),
})
type Row = z.infer<typeof ROW>
const FILE = z.object({ count: z.number(), vectors: z.array(ROW) })

const PUBLISHED_SECRET =
  'the key is a secret, and a published set never is one: HS256 is for issuers that are configured with secrets'
const OTHER_ALG = 'the key states another algorithm than the token (a slip in the published data)'

/** Rows that are valid and refused all the same. */
const REFUSED = new Map<string, string>([
  ...['signature/1', 'signature/348', 'signature/357', 'key/2', 'key/13', 'key/14', 'key/15'].map(
    (id) => [`wycheproof/${id}`, PUBLISHED_SECRET] as const,
  ),
  ['rfc-cookbook/rfc7797/hmac-sha2_b64_false.json#compact', PUBLISHED_SECRET],
  ...[346, 347, 350, 351].map((number) => [`wycheproof/signature/${number}`, OTHER_ALG] as const),
])

const { data, missing } = readVectors('jwt/jws_vectors.json')
const file = FILE.parse(data ?? { count: 0, vectors: [] })

interface Case {
  readonly row: Row
  readonly header: Json
  readonly issuer: string
}

/** One row for each pair of key set and header; where a valid row has the same pair, the fault of the others is elsewhere. */
function casesOf(rows: readonly Row[]): readonly Case[] {
  const cases = new Map<string, Case>()
  for (const row of rows) {
    const header = row.serialization === 'compact' ? headerOf(row) : undefined
    if (header === undefined || row.private === undefined || row.private === null) continue
    const pair = JSON.stringify([row.keys, header])
    const known = cases.get(pair)
    if (known === undefined || (known.row.expect !== 'accept' && row.expect === 'accept')) {
      cases.set(pair, { row, header, issuer: known?.issuer ?? `https://vector-${cases.size}.test/` })
    }
  }
  return [...cases.values()]
}

function headerOf(row: Row): Json | undefined {
  try {
    const header: unknown = JSON.parse(row.header ?? '')
    return typeof header === 'object' && header !== null ? (header as Json) : undefined
  } catch {
    // The fault is that there is no header to sign again.
    return undefined
  }
}

const cases = casesOf(file.vectors)
const decoy = createSigner('ES256', 'decoy')
let scene: Scene | undefined

beforeAll(async () => {
  if (missing !== undefined) return
  const files = cases.map(
    ({ row }, index) => [`vector-${index}.json`, JSON.stringify({ keys: [...row.keys, decoy.jwk] })] as const,
  )
  const issuers = cases.map(
    ({ issuer }, index) =>
      `  vector-${index}: { issuer: "${issuer}", tenant: acme, audiences: [api], algorithms: [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA], jwks: { file: vector-${index}.json } }`,
  )
  scene = await openScene({ files: Object.fromEntries(files), issuers: issuers.join('\n') })
})
afterAll(() => scene?.close())

it.skipIf(missing !== undefined)(`every JWS vector is read ${missing ?? ''}`, () => {
  expect([file.vectors.length, file.count]).toEqual([504, 504])
  expect(cases.length).toBeGreaterThan(50)
  const accepted = new Set(cases.filter(({ row }) => row.expect === 'accept').map(({ row }) => row.id))
  expect([...REFUSED.keys()].filter((id) => !accepted.has(id))).toEqual([])
})

it.skipIf(missing !== undefined).each(cases.map((one) => [one.row.id, one.row.comment, one.row.expect, one] as const))(
  '%s (%s): %s',
  async (id, _, expected, one) => {
    if (scene === undefined) throw new Error('no gateway')
    scene.upstream.seen.length = 0
    const answer = await scene.ask({ target: '/admin', token: signedAgain(one) })
    if (expected === 'accept' && !REFUSED.has(id)) {
      expect([answer.status, scene.upstream.seen.length]).toEqual([200, 1])
      return
    }
    expectNoPass(answer, scene.upstream)
    expect(answer.status).toBe(401)
    // The other keys of the set serve all the same.
    expect((await scene.ask({ target: '/admin', token: decoy.token(claims(one.issuer)) })).status).toBe(200)
  },
)

/** Real claims under the row's header, signed as well as the published private key allows. */
function signedAgain({ row, header, issuer }: Case): string {
  const { alg } = header
  const sign = typeof alg === 'string' ? signatureBy(alg, row) : undefined
  return compact(header, claims(issuer), sign ?? (() => Buffer.alloc(64, 1)))
}

function signatureBy(alg: string, row: Row): ((data: string) => Buffer) | undefined {
  if (alg.toLowerCase() === 'none') return () => Buffer.alloc(0)
  const list =
    row.private === undefined || row.private === null
      ? []
      : 'keys' in row.private && Array.isArray(row.private.keys)
        ? row.private.keys
        : [row.private]
  const keys = list.filter((key) => typeof key === 'object' && key !== null) as Json[]
  if (alg.startsWith('HS')) {
    const [secret] = keys.flatMap(({ k }) => (typeof k === 'string' ? [k] : []))
    // Without a secret the attacker takes what is public.
    return hs(alg, secret === undefined ? publicBytes(row) : Buffer.from(secret, 'base64url'))
  }
  const key = keys.map(importPrivate).find((imported) => imported !== undefined && fits(alg, imported))
  return key === undefined ? undefined : (data) => signWith(alg, key, data)
}

function importPrivate(jwk: Json): KeyObject | undefined {
  const kty = typeof jwk['crv'] === 'string' && jwk['kty'] === 'RSA' ? 'EC' : jwk['kty']
  try {
    return createPrivateKey({ key: { ...jwk, kty: String(kty) }, format: 'jwk' })
  } catch {
    // A key that nobody can sign with: any signature will do.
    return undefined
  }
}

function fits(alg: string, key: KeyObject): boolean {
  if (alg.startsWith('ES')) return key.asymmetricKeyType === 'ec'
  if (alg === 'EdDSA') return key.asymmetricKeyType === 'ed25519'
  return key.asymmetricKeyType === 'rsa'
}

function publicBytes(row: Row): Buffer {
  try {
    return createPublicKey({ key: { kty: '', ...row.keys[0] } as { kty: string }, format: 'jwk' }).export({
      type: 'spki',
      format: 'der',
    })
  } catch {
    return generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })
  }
}
