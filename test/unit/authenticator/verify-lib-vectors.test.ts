import { createPublicKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ALGORITHM_NAMES } from '../../../src/authenticator/algorithms.ts'
import { areWellTyped } from '../../../src/authenticator/claims.ts'
import { EMPTY_KEY_SET, MAX_UNNAMED, createKeySet, readKeySet } from '../../../src/authenticator/key-set.ts'
import type { KeySet } from '../../../src/authenticator/key-set.ts'
import { readClaims, readCompact } from '../../../src/authenticator/token.ts'
import { verifyCompact } from '../../../src/authenticator/verifier.ts'
import { readVectors } from '../../support/vectors.ts'

const SIGNED_ROW = z.object({
  id: z.string(),
  keyset: z.union([z.string(), z.looseObject({ keys: z.array(z.looseObject({ kty: z.string().optional() })).optional() })]),
  token: z.string(),
  expect_verify: z.string(),
  fuzz_signature: z.boolean(),
})
const PARSE_ROW = z.object({ id: z.string(), token: z.string(), expect: z.string() })
const SET_ROW = z.object({ id: z.string(), text: z.string(), expect: z.string(), keys: z.number().nullable() })
const FILE = z.object({ jws: z.array(SIGNED_ROW), parse: z.array(PARSE_ROW), jwks: z.array(SET_ROW) })
type SignedRow = z.infer<typeof SIGNED_ROW>
type ParseRow = z.infer<typeof PARSE_ROW>

const NOT_A_SET = 'a map of X.509 certificates or a PEM is no JWK Set (RFC 7517 §5), the only form that is taken'
const SHORT = 'a coordinate of P-521 lacks its leading zero (RFC 7518 §6.2.1.2)'
const NO_CURVE = 'EC keys without crv (RFC 7518 §6.2.1.1 requires it)'

/** Id → usable keys here, with the reason why they are others than in the origin. */
const SETS = new Map<string, readonly [number, string]>([
  ['jwks_test.cc:JwksParseTest.JwksGoodX509', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.RealJwksX509', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.goodPEMRSA', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.goodPEMEC', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.goodPEMEd25519', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.addKeyFromPemSuccess', [0, NOT_A_SET]],
  ['jwks_test.cc:JwksParseTest.GoodEC', [3, SHORT]],
  ['jwks_test.cc:JwksParseTest.JwksECMatchAlgES512CrvP521', [0, SHORT]],
  ['jwks_test.cc:JwksParseTest.JwksECMissingBothAlgCrvES256', [0, NO_CURVE]],
  ['jwks_test.cc:JwksParseTest.JwkECMissingCrv', [0, NO_CURVE]],
  ['jwks_test.cc:JwksParseTest.JwksECUnspecifiedCrv', [0, NO_CURVE]],
])

const TOO_LARGE = 'the token is larger than the 8 KiB that a bearer token may have here'

const SIGNED = new Map<string, string>([
  ['verify_x509_test.cc:VerifyX509Test.NoKidToken', NOT_A_SET],
  ['verify_x509_test.cc:VerifyX509Test.RealToken', NOT_A_SET],
  ['verify_jwk_ec_test.cc:VerifyJwkECTest.KidES512OK', SHORT],
  ['verify_jwk_rsa_test.cc:VerifyJwkRsaTest.LongClaimsWithCorrectKidOk', TOO_LARGE],
])

const PARSED = new Map<string, string>([
  ['jwt_test.cc:JwtParseTest.GoodJwtLongClaim', TOO_LARGE],
  ['jwt_test.cc:JwtParseTest.GoodJwtLongCustomClaims', TOO_LARGE],
])

const { data, missing } = readVectors('jwt/jwt_verify_lib.json')
const file = FILE.parse(data ?? { jws: [], parse: [], jwks: [] })

describe.skipIf(missing !== undefined)(`vectors of jwt_verify_lib ${missing ?? ''}`, () => {
  it('verifies the tokens that it verifies, and none with a changed signature', async () => {
    const wrong: string[] = []
    const unused = new Set(SIGNED.keys())
    for (const row of file.jws) {
      const keys = keysOf(row)
      const result = await verifyCompact(row.token, keys, new Set(ALGORITHM_NAMES))
      const due = row.expect_verify === 'Ok' && !SIGNED.has(row.id)
      if (result !== 'ok') unused.delete(row.id)
      if ((result === 'ok') !== due) wrong.push(`${row.id}: ${result}, expected ${row.expect_verify}`)
      if (!row.fuzz_signature) continue
      for (const changed of changedSignatures(row.token)) {
        const answer = await verifyCompact(changed, keys, new Set(ALGORITHM_NAMES))
        if (answer === 'ok') wrong.push(`${row.id}: accepts a changed signature`)
      }
    }
    expect(wrong).toEqual([])
    expect([...unused]).toEqual([])
    expect(file.jws).toHaveLength(35)
  })

  it('refuses the tokens whose form or claim types it refuses', () => {
    const wrong = file.parse.filter((row) => parses(row.token) !== isDue(row)).map((row) => row.id)
    expect(wrong).toEqual([])
    expect(file.parse).toHaveLength(33)
  })

  it('finds the usable keys of a set, and none in a broken one', () => {
    const wrong: string[] = []
    for (const row of file.jwks) {
      const due = SETS.get(row.id)?.[0] ?? (row.expect === 'Ok' ? row.keys : 0)
      const found = usable(row.text)
      if (due === null ? found === 0 : found !== due) wrong.push(`${row.id}: ${found} keys, expected ${due}`)
    }
    expect(wrong).toEqual([])
    expect(file.jwks).toHaveLength(68)
  })
})

/** Each character of the signature replaced by its neighbour in the alphabet, one at a time, and one left out. */
function changedSignatures(token: string): string[] {
  const start = token.lastIndexOf('.') + 1
  const changed = [token.slice(0, -1), `${token}A`]
  for (let index = start; index < token.length; index += 7) changed.push(swap(token, index))
  return [...changed, swap(token, token.length - 1)]
}

function swap(token: string, index: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const next = alphabet[(alphabet.indexOf(token.charAt(index)) + 1) % 64] ?? ''
  return token.slice(0, index) + next + token.slice(index + 1)
}

function isDue(row: ParseRow): boolean {
  return row.expect === 'Ok' && !PARSED.has(row.id)
}

function parses(token: string): boolean {
  const compact = readCompact(token)
  const claims = typeof compact === 'string' ? undefined : readClaims(compact)
  return claims !== undefined && areWellTyped(claims)
}

function usable(text: string): number {
  try {
    return keySet(readKeySet(Buffer.from(text)), 'published').size
  } catch {
    return 0
  }
}

function keysOf(row: SignedRow): KeySet {
  if (typeof row.keyset === 'string') return keySet([createPublicKey(row.keyset).export({ format: 'jwk' })], 'published')
  const keys = row.keyset.keys ?? []
  return keySet(keys, keys.every((key) => key.kty === 'oct') ? 'secret' : 'published')
}

function keySet(keys: readonly unknown[], symmetric: 'secret' | 'published'): KeySet {
  return createKeySet(keys, EMPTY_KEY_SET, { symmetric, maxUnnamed: MAX_UNNAMED, onDropped: () => undefined })
}
