import { generateKeyPair } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint } from 'jose'
import type { SigningAlgorithm } from '../config/config.ts'
import { advance, isDue, withKey } from './key-life.ts'
import type { Change, KeyPolicy } from './key-life.ts'
import type { KeyRecord } from './key-record.ts'
import { union } from './key-union.ts'
import { publicJwkOf, readKeySet, writeKeySet } from './key-record.ts'
import { KeySetError } from './seal.ts'
import type { Seal } from './seal.ts'
import type { KeyStore } from './tenants.ts'

/** The key set of one owner, as it is in the store and as it was last seen here. */
export interface KeyKeeper {
  /** As last seen; has a current key. */
  records(): readonly KeyRecord[]
  /** Whole seconds since 1970 at which the store was last heard. */
  seenAt(): number
  /** Loads the set and does what time has brought. */
  refresh(): Promise<void>
  /** Puts the outcome of `step` into the store and here. It is asked again when another process was faster. */
  change<T>(act: Act, step: (records: readonly KeyRecord[]) => Step<T>): Promise<T>
}

/** Who changes keys, and why. */
export interface Act {
  readonly actor: string
  readonly reason: string
  readonly ip?: string
  readonly requestId?: string
}

/** What a step makes of a set; without a change the set stays. */
export interface Step<T> {
  readonly change?: Change
  /** Told the records as they are stored in the end. */
  readonly result: (records: readonly KeyRecord[]) => T
}

export interface KeeperNeeds {
  readonly store: KeyStore
  readonly seal: Seal
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** The set here is another one now; by whom, where this process stored it. */
  changed(before: readonly KeyRecord[], after: readonly KeyRecord[], by: Act | 'others'): void
}

interface Held {
  readonly sealed: string
  readonly records: readonly KeyRecord[]
}

const BY_ITSELF: Act = Object.freeze({ actor: 'gateway', reason: 'schedule' })
const HEALING: Act = Object.freeze({ actor: 'gateway', reason: 'the store had lost keys' })

/** How often others may be faster before it is an error. */
const ATTEMPTS = 8

const generate = promisify(generateKeyPair)

/**
 * Opens the set of an owner, making it where there is none, and seals it anew where an older master key did.
 *
 * @throws KeySetError when the stored set cannot be opened; it is left as it is
 */
export async function openKeeper(needs: KeeperNeeds, owner: string, policy: KeyPolicy): Promise<KeyKeeper> {
  const kept = await first()
  let { held, seenAt } = kept
  let tail: Promise<unknown> = Promise.resolve()
  const keeper = { records: () => held.records, seenAt: () => seenAt, refresh: () => exclusive(refresh), change }
  if (kept.isCopy) return keeper
  await keeper.refresh()
  if (!needs.seal.isOfFirst(held.sealed)) await exclusive(() => store(held.records, BY_ITSELF))
  return keeper

  /** One after the other, so that what was loaded earlier never replaces what was stored later. */
  function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = tail.then(work, work)
    tail = done.catch(() => undefined)
    return done
  }

  async function first(): Promise<{ readonly held: Held; readonly seenAt: number; readonly isCopy: boolean }> {
    let sealed: string | undefined
    try {
      sealed = await needs.store.load(owner)
    } catch (cause) {
      const copy = await needs.store.kept?.(owner)
      if (copy === undefined) throw cause
      // A clock that went backwards does not say how long ago that was: nothing is signed before the store is read.
      const seenAt = copy.heardAt <= needs.nowSeconds() ? copy.heardAt : Number.NEGATIVE_INFINITY
      return { held: await unseal(copy.sealed), seenAt, isCopy: true }
    }
    return { held: await firstOf(sealed), seenAt: needs.nowSeconds(), isCopy: false }
  }

  async function firstOf(sealed: string | undefined): Promise<Held> {
    if (sealed !== undefined) return unseal(sealed)
    const copy = await usableCopy()
    if (copy !== undefined) return unseal(await needs.store.save(owner, copy, undefined))
    const { records } = await completed({ records: [], missing: { state: 'current' } }, policy, needs.nowSeconds())
    const closed = await seal(records)
    const stored = await needs.store.save(owner, closed, undefined)
    if (stored !== closed) return unseal(stored)
    needs.changed([], records, BY_ITSELF)
    return { sealed: closed, records }
  }

  /** An empty store has lost what it had where this machine has a copy; one that cannot be opened is of another store. */
  async function usableCopy(): Promise<string | undefined> {
    const copy = await needs.store.kept?.(owner)
    if (copy === undefined) return undefined
    try {
      await unseal(copy.sealed)
      return copy.sealed
    } catch (error) {
      if (error instanceof KeySetError) return undefined
      throw error
    }
  }

  async function refresh(): Promise<void> {
    await hear(await needs.store.load(owner))
    if (!isDue(held.records, policy, needs.nowSeconds())) return
    await attempt(BY_ITSELF, (records) => ({ change: advance(records, policy, needs.nowSeconds()), result: () => undefined }))
  }

  function change<T>(act: Act, step: (records: readonly KeyRecord[]) => Step<T>): Promise<T> {
    return exclusive(async () => {
      await hear(await needs.store.load(owner))
      return attempt(act, step)
    })
  }

  async function attempt<T>(act: Act, step: (records: readonly KeyRecord[]) => Step<T>): Promise<T> {
    for (let count = 0; count < ATTEMPTS; count++) {
      const { change, result } = step(held.records)
      if (change === undefined) return result(held.records)
      const { records } = await completed(change, policy, needs.nowSeconds())
      if ((await store(records, act)) === 'ours') return result(held.records)
    }
    throw new Error(`the signing keys of ${owner} change all the time`)
  }

  async function store(records: readonly KeyRecord[], act: Act): Promise<'ours' | 'theirs'> {
    const closed = await seal(records)
    const stored = await needs.store.save(owner, closed, held.sealed)
    if (stored === closed) adopt({ sealed: closed, records }, act)
    else await hear(stored)
    return stored === closed ? 'ours' : 'theirs'
  }

  /**
   * Takes what is stored. What the store lost of what is known here is put back first: tokens of these keys are about, and a
   * key that was revoked stays so.
   */
  async function hear(loaded: string | undefined): Promise<void> {
    let sealed = loaded ?? (await needs.store.save(owner, held.sealed, undefined))
    for (let count = 0; count < ATTEMPTS; count++) {
      const stored = await unsealed(sealed)
      const now = needs.nowSeconds()
      const merged = stored === held ? stored.records : union(stored.records, { records: held.records, seenAt }, policy, now)
      if (merged === stored.records) {
        adopt(stored, 'others')
        return
      }
      const { records } = await completed(signing(merged), policy, now)
      const closed = await seal(records)
      sealed = await needs.store.save(owner, closed, stored.sealed)
      if (sealed === closed) {
        adopt({ sealed: closed, records }, HEALING)
        return
      }
    }
    throw new Error(`the signing keys of ${owner} change all the time`)
  }

  function adopt(next: Held, by: Act | 'others'): void {
    seenAt = needs.nowSeconds()
    if (next.sealed === held.sealed) return
    const before = held.records
    held = next
    needs.changed(before, next.records, by)
  }

  async function unsealed(sealed: string): Promise<Held> {
    return sealed === held.sealed ? held : unseal(sealed)
  }

  async function unseal(sealed: string): Promise<Held> {
    return { sealed, records: readKeySet(owner, await needs.seal.open(owner, sealed)) }
  }

  function seal(records: readonly KeyRecord[]): Promise<string> {
    return needs.seal.close(owner, writeKeySet(owner, records))
  }
}

/** A set in which a key signs. */
function signing(records: readonly KeyRecord[]): Change {
  return records.some(({ state }) => state === 'current') ? { records } : { records, missing: { state: 'current' } }
}

/** The change with the key that it lacks. */
async function completed({ records, missing }: Change, policy: KeyPolicy, now: number): Promise<Change> {
  if (missing === undefined) return { records }
  const { alg, tokenSeconds } = policy
  const { publicKey, privateKey } = await newPair(alg)
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = await calculateJwkThumbprint({ kty: '', ...jwk })
  const material = {
    publicJwk: publicJwkOf(kid, alg, { ...jwk }),
    privateKey,
    ...(missing.state === 'current' && { tokenSeconds }),
  }
  return { records: withKey(records, { ...missing, alg, kid, createdAt: now, since: now, ...material }) }
}

function newPair(alg: SigningAlgorithm): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  if (alg === 'RS256') return generate('rsa', { modulusLength: 2048 })
  return alg === 'ES256' ? generate('ec', { namedCurve: 'P-256' }) : generate('ed25519')
}
