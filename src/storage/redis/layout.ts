import { userInKey } from './user-names.ts'

/** How many parts a cluster's sessions are cut into. Tokens carry the part, so the number is fixed for the life of a store. */
const CLUSTER_BUCKETS = 16

/** Where the number of buckets is recorded. */
export const BUCKETS_KEY = 'storage:buckets'

/**
 * Names of the keys. `{b}`, the bucket of a user, is the only hash tag and stands before anything that a user or a client
 * chose, so all keys of one script are in one slot.
 */
export interface Layout {
  readonly buckets: number
  bucketOf(user: { readonly tenant: string; readonly user: string }): number
  /** The bucket of what belongs to no user. */
  bucketOfText(text: string): number
  /** Hash: a session and the generation of its refresh token. */
  session(tenant: string, bucket: number, id: string): string
  /** Sorted set: ids of a user's sessions by the second at which each ends unless it is used. */
  index(tenant: string, bucket: number, user: string): string
  /** Number: the epoch of a user or, without one, of the tenant. */
  epoch(tenant: string, bucket: number, user?: string): string
  /** Why a token (`jti`) or a session (`sid`) was revoked, for as long as its tokens live. */
  revoked(tenant: string, bucket: number, id: string): string
  /** The newest fact that ended all sessions of a user or, without one, of the tenant, for as long as it counts. */
  ended(tenant: string, bucket: number, user?: string): string
  /** That a token was used on a route that takes each one once, for as long as it lives. Issuer names have no colon. */
  used(tenant: string, bucket: number, issuer: string, id: string): string
  /** Hash: the devices that a user has logged in from. */
  devices(tenant: string, bucket: number, user: string): string
  /** Number: until when a caller of a rate limit is in debt. Only the name of the route may hold anything; policies have no colon. */
  limit(bucket: number, route: string, policy: string, caller: string): string
  /** Stream: the ordered feed of revocations. */
  feed(bucket: number): string
  /** Sorted set: the facts of all live revocations by expiry. */
  live(bucket: number): string
  /** What is written to learn whether a replica follows. */
  mark(bucket: number): string
  /** What a gateway that reads from a replica writes to learn how far behind that is. */
  beat(id: string): string
}

export function createLayout(isCluster: boolean): Layout {
  const buckets = isCluster ? CLUSTER_BUCKETS : 1
  return {
    buckets,
    bucketOf: ({ tenant, user }) => (buckets === 1 ? 0 : hash(`${tenant}\0${user}`) % buckets),
    bucketOfText: (text) => (buckets === 1 ? 0 : hash(text) % buckets),
    session: (tenant, bucket, id) => `tenant:${tenant}:refresh:{${bucket}}:${id}`,
    index: (tenant, bucket, user) => `tenant:${tenant}:sessions:{${bucket}}:${userInKey(user)}`,
    epoch: (tenant, bucket, user) => `tenant:${tenant}:epoch:{${bucket}}${endOf(user)}`,
    revoked: (tenant, bucket, id) => `tenant:${tenant}:revoked:{${bucket}}:${id}`,
    ended: (tenant, bucket, user) => `tenant:${tenant}:ended:{${bucket}}${endOf(user)}`,
    used: (tenant, bucket, issuer, id) => `tenant:${tenant}:used:{${bucket}}:${issuer}:${id}`,
    devices: (tenant, bucket, user) => `tenant:${tenant}:devices:{${bucket}}:${userInKey(user)}`,
    // Encoded, since a route without a name is called by its match: `:` and `{` would be read as ours.
    limit: (bucket, route, policy, caller) => `limit:{${bucket}}:${encodeURIComponent(route)}:${policy}:${caller}`,
    feed: (bucket) => `revocations:{${bucket}}`,
    live: (bucket) => `revocations:live:{${bucket}}`,
    mark: (bucket) => `storage:mark:{${bucket}}`,
    beat: (id) => `storage:beat:{0}:${id}`,
  }
}

function endOf(user: string | undefined): string {
  return user === undefined ? '' : `:${userInKey(user)}`
}

/** FNV-1a, 32 bits, the upper half folded in. Every gateway must find the same bucket: never change it. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  return (value ^ (value >>> 16)) >>> 0
}
