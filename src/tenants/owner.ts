import { Problem } from '../problem/problem.ts'
import { openKeeper } from './key-keeper.ts'
import type { KeeperNeeds, KeyKeeper } from './key-keeper.ts'
import { LONGEST_LAG_SECONDS } from './key-life.ts'
import type { KeyPolicy } from './key-life.ts'
import { publish } from './published.ts'
import type { Published } from './published.ts'
import type { Signer } from './signing.ts'
import { eventsOf } from './tenant-keys.ts'
import type { KeyEvent } from './tenant-keys.ts'
import type { PublicJwk } from './tenants.ts'

/** A tenant, or the gateway itself, with its keys. */
export interface Owner {
  readonly policy: KeyPolicy
  readonly keeper: KeyKeeper
  published(): Published
  /** The public part of the key that signs. */
  current(): PublicJwk
  /** Throws `storage_unavailable` when the key that signs here may be over elsewhere. */
  signer(): Signer
  refresh(): Promise<void>
}

export interface OwnerNeeds extends Omit<KeeperNeeds, 'changed'> {
  record?(event: KeyEvent): void
  /** The published keys are others now. */
  changed(): void
}

/**
 * A key that was replaced is published for this long and the life of a token. A process that has not read the set for nearly
 * as long must not sign: it may not know that its key was replaced.
 */
const SIGNS_UNSEEN_SECONDS = LONGEST_LAG_SECONDS - 60

export async function openOwner(
  needs: OwnerNeeds,
  { name, policy, tenant }: { readonly name: string; readonly policy: KeyPolicy; readonly tenant: string | undefined },
): Promise<Owner> {
  let published: Published | undefined
  const keeper = await openKeeper({ ...needs, changed }, name, policy)
  const opened = publish(name, keeper.records())
  published = opened
  return { policy, keeper, published: face, current, signer, refresh: keeper.refresh }

  function face(): Published {
    return published ?? opened
  }

  function changed(...[before, after, by]: Parameters<KeeperNeeds['changed']>): void {
    const last = published
    published = publish(name, after)
    if (by !== 'others')
      for (const event of eventsOf(before, after, by)) needs.record?.({ ...event, ...(tenant !== undefined && { tenant }) })
    if (last !== undefined && last.jwks !== published.jwks) needs.changed()
  }

  function current(): PublicJwk {
    const [key] = face().publicKeys
    if (key === undefined) throw new Error(`${name} has no key`)
    return key
  }

  function signer(): Signer {
    if (needs.nowSeconds() - keeper.seenAt() > SIGNS_UNSEEN_SECONDS) {
      throw new Problem('storage_unavailable', {
        headers: { 'retry-after': '1' },
        detail: 'the stored signing keys cannot be read',
      })
    }
    return face().signer
  }
}
