/** An issuer that exists for one run: its keys are made anew, its private ones never leave this process. */
import { generateKeyPairSync, randomBytes, randomUUID, sign, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export type TokenAlgorithm = 'RS256' | 'ES256'

export interface Issuer {
  /** A JWKS with both public keys. */
  readonly jwksFile: string
  readonly pemFiles: Readonly<Record<TokenAlgorithm, string>>
  readonly jwks: Readonly<Record<TokenAlgorithm, object>>
  /** So many tokens, each of a user, an id and a signature of its own. */
  mint(algorithm: TokenAlgorithm, count: number): Promise<readonly string[]>
  /** Names the key, and is not signed with it. */
  forge(algorithm: TokenAlgorithm): string
}

export const ISSUER = 'https://issuer.bench/'
export const AUDIENCE = 'api'
export const SCOPE = 'orders:read orders:write'
const HOUR = 3600
/** At once: as many as the thread pool of Node works on, and some to follow. */
const AT_ONCE = 64
const signed = promisify(sign)

/** @param folder - where the public keys are written */
export function createIssuer(folder: string): Issuer {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  }
  const jwks = { RS256: jwkOf('RS256', pairs.RS256.publicKey), ES256: jwkOf('ES256', pairs.ES256.publicKey) }
  const jwksFile = join(folder, 'jwks.json')
  writeFileSync(jwksFile, JSON.stringify({ keys: [jwks.RS256, jwks.ES256] }))
  const pemFiles = { RS256: join(folder, 'rs256.pem'), ES256: join(folder, 'es256.pem') }
  for (const algorithm of ['RS256', 'ES256'] as const) {
    writeFileSync(pemFiles[algorithm], pairs[algorithm].publicKey.export({ type: 'spki', format: 'pem' }))
  }
  return { jwksFile, pemFiles, jwks, mint, forge }

  async function mint(algorithm: TokenAlgorithm, count: number): Promise<readonly string[]> {
    const tokens: string[] = []
    while (tokens.length < count) {
      const some = Math.min(AT_ONCE, count - tokens.length)
      const first = tokens.length
      const key = pairs[algorithm].privateKey
      tokens.push(...(await Promise.all(Array.from({ length: some }, (_, index) => mintOne(algorithm, key, first + index)))))
    }
    return tokens
  }
}

async function mintOne(algorithm: TokenAlgorithm, key: KeyObject, index: number): Promise<string> {
  const data = unsigned(algorithm, `user-${index}`)
  const signature = await signed('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' })
  return `${data}.${signature.toString('base64url')}`
}

function forge(algorithm: TokenAlgorithm): string {
  return `${unsigned(algorithm, 'user-0')}.${randomBytes(algorithm === 'RS256' ? 256 : 64).toString('base64url')}`
}

function unsigned(algorithm: TokenAlgorithm, user: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: ISSUER, sub: user, aud: AUDIENCE, scope: SCOPE, iat: now, exp: now + HOUR, jti: randomUUID() }
  return `${segment({ alg: algorithm, kid: algorithm, typ: 'at+jwt' })}.${segment(claims)}`
}

function jwkOf(algorithm: TokenAlgorithm, key: KeyObject): object {
  return { ...key.export({ format: 'jwk' }), kid: algorithm, alg: algorithm, use: 'sig' }
}

function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
