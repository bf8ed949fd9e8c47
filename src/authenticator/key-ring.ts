import type { JwsAlgorithm } from '../config/config.ts'
import { EMPTY_KEY_SET, KeySetFault, MAX_UNNAMED, createKeySet, readKeySet } from './key-set.ts'
import type { KeySet } from './key-set.ts'
import type { DropReason, VerificationKey } from './keys.ts'

/** The keys of one issuer as time goes by. Each issuer has a ring of its own, so that equal key names never meet. */
export interface KeyRing {
  /** As {@link KeySet.candidates}, for the keys that are served now. */
  candidates(kid: string | undefined, algorithm: JwsAlgorithm): readonly VerificationKey[] | undefined
  /** Whether the very key is served now. */
  holds(key: VerificationKey): boolean
  /** Settles once newer keys may be here; undefined when none will come for this token. Never rejects. */
  refresh(): Promise<void> | undefined
  /** Loads the keys. Rejects only where they could never come by themselves. */
  start(): Promise<void>
  stop(): void
}

export type OnDropped = (reason: DropReason) => void

/** A ring whose keys change only when somebody says so. */
export interface HeldKeyRing extends KeyRing {
  replace(jwks: readonly unknown[]): void
}

export interface HeldKeyNeeds {
  readonly onDropped: OnDropped
  /** Sees to it that newer keys are handed in, if there are any. Never rejects. */
  reload(): Promise<void>
  /** Milliseconds of a clock that is never set back. */
  monotonicMs(): number
}

/** Unknown keys cause no more than one reload in this time, however many there are: each is a look into the store. */
const RELOAD_MS = 1000

/**
 * Keys that are handed in: the gateway's own. Where an emergency put a new one in the place of a key, the token of another
 * gateway may be here before the news of it: a token whose key is unknown has the keys read again.
 */
export function createReloadedKeyRing({ onDropped, reload, monotonicMs }: HeldKeyNeeds): HeldKeyRing {
  const held = createHeldKeyRing(onDropped)
  let inFlight: Promise<void> | undefined
  let reloadedMs = Number.NEGATIVE_INFINITY
  return { ...held, refresh }

  function refresh(): Promise<void> | undefined {
    if (inFlight !== undefined) return inFlight
    const nowMs = monotonicMs()
    if (nowMs - reloadedMs < RELOAD_MS) return undefined
    reloadedMs = nowMs
    inFlight = reload().finally(() => {
      inFlight = undefined
    })
    return inFlight
  }
}

/** Keys that are handed in, and change only then. */
function createHeldKeyRing(onDropped: OnDropped): HeldKeyRing {
  let keys = EMPTY_KEY_SET
  return {
    candidates: (kid, algorithm) => keys.candidates(kid, algorithm),
    holds: (key) => keys.has(key),
    refresh: () => undefined,
    start: () => Promise.resolve(),
    stop: () => undefined,
    replace(jwks) {
      keys = createKeySet(jwks, keys, { symmetric: 'published', maxUnnamed: MAX_UNNAMED, onDropped })
    },
  }
}

/**
 * Shared secrets. They have no names: a token that names its key is not one of theirs.
 *
 * Throws when none of them is as long as the hash of an algorithm that the issuer allows (RFC 7518 §3.2).
 */
export function createSecretKeyRing(
  issuer: string,
  secrets: readonly Uint8Array[],
  algorithms: readonly JwsAlgorithm[],
  onDropped: OnDropped,
): KeyRing {
  const jwks = secrets.flatMap((secret) => {
    const k = Buffer.from(secret).toString('base64url')
    return algorithms.map((alg) => ({ kty: 'oct', use: 'sig', alg, k }))
  })
  const options = { symmetric: 'secret', maxUnnamed: jwks.length, onDropped } as const
  const keys: KeySet = createKeySet(jwks, EMPTY_KEY_SET, options)
  if (keys.size === 0) throw new Error(`issuers.${issuer}.secrets: none is long enough for the algorithms`)
  return {
    candidates: (kid, algorithm) => keys.candidates(kid, algorithm),
    holds: (key) => keys.has(key),
    refresh: () => undefined,
    start: () => Promise.resolve(),
    stop: () => undefined,
  }
}

/** A ring whose keys change when its file is read again. */
export interface FileKeyRing extends KeyRing {
  /**
   * Reads the file.
   *
   * @returns puts what was read in force
   * @throws Error when the file cannot be used
   */
  read(): Promise<() => void>
}

/** The keys of a file, in force from the start on. */
export function createFileKeyRing(
  issuer: string,
  file: string,
  readFile: (path: string) => Promise<string>,
  onDropped: OnDropped,
): FileKeyRing {
  const held = createHeldKeyRing(onDropped)
  return { ...held, read, start: async () => (await read())() }

  async function read(): Promise<() => void> {
    try {
      const jwks = readKeySet(Buffer.from(await readFile(file), 'utf8'))
      const usable = createKeySet(jwks, EMPTY_KEY_SET, {
        symmetric: 'published',
        maxUnnamed: MAX_UNNAMED,
        onDropped: () => undefined,
      })
      if (usable.size === 0) throw new KeySetFault('the key set has no usable key')
      return () => held.replace(jwks)
    } catch (cause) {
      const why = cause instanceof KeySetFault ? cause.message : 'the file cannot be read'
      throw new Error(`issuers.${issuer}.jwks.file: ${why}`, { cause })
    }
  }
}
