import { Problem } from '../../problem/problem.ts'
import type {
  Ending,
  NewSession,
  Revocable,
  Rotation,
  RotationRequest,
  SessionRecord,
  SessionRef,
  SessionStore,
  TokenRef,
  UserRef,
} from '../../services/sessions/sessions.ts'
import type { Connection } from './connection.ts'
import { createTurns } from './turns.ts'
import { factBegin, factOf } from './facts.ts'
import type { Layout } from './layout.ts'
import { bytes, garbled, integer, list, text, understood } from './replies.ts'
import type { Replication } from './replication.ts'
import { fieldsOf, ownerOf, recordOf } from './session-hash.ts'
import {
  CREATE,
  END,
  END_ALL,
  END_OTHERS,
  FIND,
  IDS,
  LIST,
  PEEK,
  REVOKE_KEY,
  REVOKE_ONE,
  REVOKE_TENANT,
  ROTATE,
} from './session-scripts.ts'
import { packedSession, unpackedSession } from './user-names.ts'

export interface SessionStoreNeeds {
  readonly connection: Connection
  readonly layout: Layout
  readonly replication: Replication
  nowSeconds(): number
}

/** How often a step is tried again whose user got other sessions between the look at their ids and the step. */
const ATTEMPTS = 10

/**
 * Sessions and what ends them: each method is one script in one bucket. A script touches only keys that are declared, so
 * where these depend on what is stored (the user of a session, the sessions of a user) they are looked up first, and the
 * script sees for itself that they still hold.
 */
export function createSessionStore(needs: SessionStoreNeeds): SessionStore {
  const { connection, layout } = needs
  const inTurn = createTurns()
  return { create, rotate, peek, find, findByToken, list: listOf, end, endAll, endOthers, revoke }

  async function create(session: NewSession, { sessionsPerUser }: { readonly sessionsPerUser: number }) {
    const { tenant, id } = session
    const bucket = layout.bucketOf(session)
    const fields = fieldsOf(session)
    const keys = [sessionKey(tenant, bucket, id), indexKey(session, bucket), ...epochKeys(session, bucket), ...log(bucket)]
    const { createdAt } = session
    const lives = [session.expiresAt - createdAt, session.idleExpiresAt - createdAt, session.tokensUntil - createdAt]
    const attempt = async (candidates: readonly string[]): Promise<readonly unknown[]> => {
      const head = [needs.nowSeconds(), Math.max(1, sessionsPerUser), packedSession(id), createdAt, ...lives]
      const values = [...head, fields.length, ...fields, ...factsOf(tenant, candidates)]
      return list(await connection.run(CREATE, [...keys, ...keysOf(tenant, bucket, candidates)], values))
    }
    const first = await attempt([])
    const [, epoch, ...evicted] = isAgain(first) ? await inTurn(indexKey(session, bucket), () => evict(attempt)) : first
    await needs.replication.replicated(bucket)
    return { epoch: integer(epoch), bucket, evicted: evicted.map(idOf) }
  }

  /** Tries until all that may have to go are known. */
  async function evict(attempt: (candidates: readonly string[]) => Promise<readonly unknown[]>): Promise<readonly unknown[]> {
    let candidates: readonly string[] = []
    for (let count = 0; count < ATTEMPTS; count += 1) {
      const reply = await attempt(candidates)
      if (!isAgain(reply)) return reply
      candidates = reply.slice(1).map(idOf)
    }
    throw busy()
  }

  async function rotate(request: RotationRequest): Promise<Rotation> {
    const { tenant, bucket, id } = request
    const user = request.user ?? (await peek(request))?.user
    if (user === undefined) return { outcome: 'unknown' }
    const reply = await connection.run(ROTATE, keysOfOne({ tenant, user, id }, bucket), [
      request.now,
      ownerOf(user),
      packedSession(id),
      factOf('session', tenant, id),
      request.generation,
      request.graceSeconds,
      request.rotation,
      request.idleSeconds,
      request.tokensUntil,
      request.reuseReason,
    ])
    const [first, fields] = list(reply)
    const outcome = text(first)
    if (outcome === 'rotated' || outcome === 'retried' || outcome === 'healed') {
      const session = recordOf(tenant, id, list(fields))
      // What was changed on the way would make a token of somebody else, or one that ends the session when it is used.
      const isMoved = outcome === 'retried' || request.rotation === 'on'
      if (session.user !== user || session.generation !== request.generation + (isMoved ? 1 : 0)) throw garbled()
      return { outcome, session }
    }
    if (outcome === 'reused' || outcome === 'epoch') return { outcome, user }
    // Also what is asked of another user's session, so this one may be as it was, and its user have been changed on the way.
    const again = await peek(request)
    if (again !== undefined && again.user !== user) throw garbled()
    return { outcome: 'unknown' }
  }

  /** The user of a session never changes, so it may be looked up before a step. */
  async function peek({ tenant, bucket, id }: TokenRef): Promise<SessionRecord | undefined> {
    if (bucket >= layout.buckets) return undefined
    const fields = list(await connection.run(PEEK, [sessionKey(tenant, bucket, id)], []))
    return fields.length === 0 ? undefined : recordOf(tenant, id, fields)
  }

  function find(session: SessionRef): Promise<SessionRecord | undefined> {
    return findIn(session, layout.bucketOf(session))
  }

  async function findByToken(token: TokenRef): Promise<SessionRecord | undefined> {
    const session = await peek(token)
    return session === undefined ? undefined : findIn(session, token.bucket)
  }

  async function findIn(session: SessionRef, bucket: number): Promise<SessionRecord | undefined> {
    const { tenant, user, id } = session
    const keys = [sessionKey(tenant, bucket, id), ...epochKeys(session, bucket)]
    const fields = await connection.run(FIND, keys, [needs.nowSeconds(), ownerOf(user)])
    return fields === null ? undefined : recordOf(tenant, id, list(fields))
  }

  async function listOf(user: UserRef): Promise<readonly SessionRecord[]> {
    const bucket = layout.bucketOf(user)
    const ids = await idsOf(user, bucket)
    if (ids.length === 0) return []
    const keys = [...epochKeys(user, bucket), ...ids.map((id) => sessionKey(user.tenant, bucket, id))]
    const found = list(await connection.run(LIST, keys, [needs.nowSeconds()]))
    const records: SessionRecord[] = []
    for (const [index, id] of ids.entries()) {
      const fields = list(found[index])
      if (fields.length > 0) records.push(recordOf(user.tenant, id, fields))
    }
    return records.toSorted((a, b) => b.lastUsedAt - a.lastUsedAt || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1))
  }

  async function end(session: SessionRef, ending: Ending): Promise<boolean> {
    const { tenant, user, id } = session
    const bucket = layout.bucketOf(session)
    const fact = factOf('session', tenant, id)
    const values = [needs.nowSeconds(), ownerOf(user), packedSession(id), fact, ending.tokensUntil, ending.reason]
    const wasLive = await connection.run(END, keysOfOne(session, bucket), values)
    await needs.replication.replicated(bucket)
    return wasLive === 1
  }

  async function endAll(user: UserRef, ending: Ending): Promise<number> {
    const bucket = layout.bucketOf(user)
    const ended = layout.ended(user.tenant, bucket, user.user)
    const sessions = (await idsOf(user, bucket)).map((id) => sessionKey(user.tenant, bucket, id))
    const keys = [indexKey(user, bucket), ...epochKeys(user, bucket), ended, ...log(bucket), ...sessions]
    const values = [needs.nowSeconds(), factBegin(user.tenant, user.user), ending.tokensUntil]
    const count = integer(await connection.run(END_ALL, keys, values))
    await needs.replication.replicated(bucket)
    return count
  }

  async function endOthers(session: SessionRef, ending: Ending): Promise<number> {
    const { tenant, id } = session
    const bucket = layout.bucketOf(session)
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const others = (await idsOf(session, bucket)).filter((other) => other !== id)
      const keys = [indexKey(session, bucket), ...epochKeys(session, bucket), ...log(bucket), ...keysOf(tenant, bucket, others)]
      const values = [needs.nowSeconds(), packedSession(id), ending.tokensUntil, ending.reason, ...factsOf(tenant, others)]
      const count = integer(await connection.run(END_OTHERS, keys, values))
      if (count < 0) continue
      await needs.replication.replicated(bucket)
      return count
    }
    throw busy()
  }

  async function revoke(what: Revocable, ending: Ending): Promise<void> {
    if (what.kind === 'token' || what.kind === 'session') {
      const { kind, tenant, id } = what
      const bucket = kind === 'token' ? layout.bucketOf(what) : what.bucket
      const values = [needs.nowSeconds(), factOf(kind, tenant, id), ending.tokensUntil, ending.reason]
      await connection.run(REVOKE_ONE, [layout.revoked(tenant, bucket, id), ...log(bucket)], values)
      await needs.replication.replicated(bucket)
      return
    }
    // In every bucket, so that whoever reads one misses nothing. Should one fail the caller is told to try again, and the
    // buckets that have it stay as they are.
    const buckets = Array.from({ length: layout.buckets }, (_, bucket) => bucket)
    await Promise.all(buckets.map((bucket) => revokeIn(what, bucket, ending)))
  }

  async function revokeIn(
    what: Exclude<Revocable, { kind: 'token' | 'session' }>,
    bucket: number,
    ending: Ending,
  ): Promise<void> {
    const [now, { tenant }] = [needs.nowSeconds(), what]
    if (what.kind === 'key') {
      await connection.run(REVOKE_KEY, log(bucket), [now, factOf('key', tenant, what.id), ending.tokensUntil])
    } else {
      const keys = [layout.ended(tenant, bucket), layout.epoch(tenant, bucket), ...log(bucket)]
      await connection.run(REVOKE_TENANT, keys, [now, factBegin(tenant), ending.tokensUntil])
    }
    await needs.replication.replicated(bucket)
  }

  async function idsOf(user: UserRef, bucket: number): Promise<readonly string[]> {
    return list(await connection.run(IDS, [indexKey(user, bucket)], [])).map(idOf)
  }

  function sessionKey(tenant: string, bucket: number, id: string): string {
    return layout.session(tenant, bucket, id)
  }

  function indexKey({ tenant, user }: UserRef, bucket: number): string {
    return layout.index(tenant, bucket, user)
  }

  function epochKeys({ tenant, user }: UserRef, bucket: number): readonly string[] {
    return [layout.epoch(tenant, bucket, user), layout.epoch(tenant, bucket)]
  }

  function log(bucket: number): readonly string[] {
    return [layout.feed(bucket), layout.live(bucket)]
  }

  function keysOfOne(session: SessionRef, bucket: number): readonly string[] {
    const { tenant, id } = session
    const own = [sessionKey(tenant, bucket, id), indexKey(session, bucket), ...epochKeys(session, bucket)]
    return [...own, layout.revoked(tenant, bucket, id), ...log(bucket)]
  }

  /** Pairs of session and revoked, as the scripts take them. */
  function keysOf(tenant: string, bucket: number, ids: readonly string[]): readonly string[] {
    return ids.flatMap((id) => [sessionKey(tenant, bucket, id), layout.revoked(tenant, bucket, id)])
  }
}

/** Pairs of id and fact, beside {@link keysOf}. */
function factsOf(tenant: string, ids: readonly string[]): readonly (string | Buffer)[] {
  return ids.flatMap((id) => [packedSession(id), factOf('session', tenant, id)])
}

function isAgain([first]: readonly unknown[]): boolean {
  return text(first) === 'again'
}

function idOf(member: unknown): string {
  return understood(() => unpackedSession(bytes(member)))
}

function busy(): Problem {
  const detail = 'the sessions of the user changed at every attempt'
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, detail })
}
