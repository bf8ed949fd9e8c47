/**
 * What the workers of one gateway tell each other: that something was revoked, and who failed to prove itself.
 *
 * It is ahead of what each of them would find out by itself, never in its place: what is not told is found in the storage, and
 * of what is counted each has counted its own.
 *
 * @module
 */
import type { Membership } from './member.ts'
import { createFailures, type Failures } from './services/clients/clients.ts'
import type { StoresNeeds } from './stores.ts'
import { monotonicMs } from './world.ts'

const REVOKED = 'revoked'
const CLIENT_FAILED = 'client failed'

/** The way past embedded storage to those who read the same revocations: they look at once, and not at their next look. */
export function readersOf({ neighbours }: Membership): NonNullable<StoresNeeds['neighbours']> {
  return { appended: () => neighbours.tell(REVOKED), onAppended: (look) => neighbours.onTold(REVOKED, look) }
}

/** Failed attempts to be a client, those at other workers included. */
export function openClientFailures(member: Membership | undefined): Failures {
  const neighbours = member?.neighbours
  const failures = createFailures({ nowMs: monotonicMs, failed: (failure) => neighbours?.tell(CLIENT_FAILED, failure) })
  neighbours?.onTold(CLIENT_FAILED, failures.failedElsewhere)
  return failures
}
