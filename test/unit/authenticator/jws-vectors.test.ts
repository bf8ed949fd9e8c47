import { expect, it } from 'vitest'
import { z } from 'zod'
import { ALGORITHM_NAMES } from '../../../src/authenticator/algorithms.ts'
import { EMPTY_KEY_SET, MAX_UNNAMED, createKeySet } from '../../../src/authenticator/key-set.ts'
import { verifyCompact } from '../../../src/authenticator/verifier.ts'
import { readVectors } from '../../support/vectors.ts'

const ROW = z.object({
  id: z.string(),
  comment: z.string(),
  keys: z.array(z.looseObject({ kty: z.string().optional(), k: z.string().optional() })),
  token: z.string(),
  expect: z.enum(['accept', 'reject', 'reject-at-bearer']),
})
const FILE = z.object({ count: z.number(), vectors: z.array(ROW) })
type Row = z.infer<typeof ROW>

const EMPTY_PAYLOAD = 'an empty payload is a valid JWS and no JWT: a bearer token has three segments with something in each'
const OTHER_ALG = 'the key states another algorithm than the token (a slip in the published data)'

/** Rows that are valid and refused all the same. */
const REFUSED = new Map<string, string>([
  ...[259, 264, 268, 272, 320, 325].map((n) => [`wycheproof/signature/${n}`, EMPTY_PAYLOAD] as const),
  ...[346, 347, 350, 351].map((n) => [`wycheproof/signature/${n}`, OTHER_ALG] as const),
  ['wycheproof/signature/372', 'a character outside the alphabet, valid for lenient base64 only'],
  ['wycheproof/signature/373', 'a character outside the alphabet, valid for lenient base64 only'],
  ['rfc-cookbook/jws/4_5.signature_with_detached_content.json#compact', 'the payload is not in the token'],
  ['rfc-cookbook/rfc7797/hmac-sha2_b64_false.json#compact', 'crit and b64 are refused: no extension is understood'],
])

/** Rows that are to be refused and are accepted: their token is the valid one of row 357, the padding is not in the file. */
const ACCEPTED = new Set(['wycheproof/signature/367', 'wycheproof/signature/370'])
const VALID = 'wycheproof/signature/357'

const { data, missing } = readVectors('jwt/jws_vectors.json')
const file = FILE.parse(data ?? { count: 0, vectors: [] })
const title = missing ?? ''

it.skipIf(missing !== undefined)(`replays every JWS vector ${title}`, async () => {
  const wrong: string[] = []
  const unusedExceptions = new Set(REFUSED.keys())
  let rows = 0
  for (const row of file.vectors) {
    rows += 1
    const result = await verifyCompact(row.token, keysOf(row), new Set(ALGORITHM_NAMES))
    const accepted = result === 'ok'
    if (!accepted) unusedExceptions.delete(row.id)
    const due = (row.expect === 'accept' && !REFUSED.has(row.id)) || ACCEPTED.has(row.id)
    if (accepted !== due) wrong.push(`${row.id} (${row.comment}): ${result}, expected ${row.expect}`)
  }
  expect(wrong).toEqual([])
  expect([...unusedExceptions]).toEqual([])
  const valid = file.vectors.find((row) => row.id === VALID)?.token
  expect(file.vectors.filter((row) => ACCEPTED.has(row.id)).map((row) => row.token)).toEqual([valid, valid])
  expect(rows).toBe(file.count)
  expect(rows).toBe(504)
})

/** Secrets come from the configuration alone: the symmetric key of a set that also has others is not used. */
function keysOf(row: Row) {
  const secrets = row.keys.every((key) => key.kty === 'oct')
  return createKeySet(secrets ? row.keys.map(withCanonicalSecret) : row.keys, EMPTY_KEY_SET, {
    symmetric: secrets ? 'secret' : 'published',
    maxUnnamed: MAX_UNNAMED,
    onDropped: () => undefined,
  })
}

/** The configuration hands secrets over as bytes, so their encoding is always the canonical one. */
function withCanonicalSecret(key: Row['keys'][number]): Row['keys'][number] {
  return { ...key, k: Buffer.from(key.k ?? '', 'base64url').toString('base64url') }
}
