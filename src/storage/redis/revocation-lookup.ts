import type { Revocation, RevocationLookup, TokenFacts } from '../../revocation/revocation.ts'
import type { Connection } from './connection.ts'
import { factOf, revocationOf } from './facts.ts'
import type { Layout } from './layout.ts'
import { integer, list } from './replies.ts'
import { script } from './script.ts'

/** KEYS live, ended of the tenant, ended of the user · ARGV facts → [expiries of the facts, both ends] */
const LOOK_UP = script(
  'read',
  `
local expiries = {}
for n, fact in ipairs(ARGV) do expiries[n] = redis.call('ZSCORE', KEYS[1], fact) end
return { expiries, redis.call('MGET', KEYS[2], KEYS[3]) }`,
)

export interface LookupNeeds {
  readonly connection: Connection
  readonly layout: Layout
  nowSeconds(): number
}

/** Asks about one token: whether itself, its session, its key, its user or its tenant was revoked. */
export function createRevocationLookup(needs: LookupNeeds): RevocationLookup {
  const { connection, layout } = needs
  return { isRevoked }

  async function isRevoked(token: TokenFacts): Promise<boolean> {
    const { tenant, user } = token
    const bucket = layout.bucketOf(token)
    const facts: string[] = []
    if (token.tokenId !== undefined) facts.push(factOf('token', tenant, token.tokenId))
    if (token.session !== undefined) facts.push(factOf('session', tenant, token.session))
    if (token.keyId !== undefined) facts.push(factOf('key', tenant, token.keyId))
    const now = needs.nowSeconds()
    const keys = [layout.live(bucket), layout.ended(tenant, bucket), layout.ended(tenant, bucket, user)]
    const [scores, ends] = list(await connection.run(LOOK_UP, keys, facts))
    if (list(scores).some((score) => score !== null && integer(score) >= now)) return true
    return list(ends).some((fact) => fact !== null && concerns(revocationOf(fact, now), token))
  }
}

/** A token without epoch goes by its time; one without either is taken for old. */
function concerns(revocation: Revocation, token: TokenFacts): boolean {
  if (revocation.kind === 'user' && token.epoch !== undefined) return token.epoch < revocation.epoch
  if (revocation.kind !== 'user' && revocation.kind !== 'tenant') return false
  return token.issuedAt === undefined || token.issuedAt <= revocation.at
}
