/**
 * Joins what lasts to what can end it: the revocations as they come into force, and the sessions that may carry it on.
 *
 * @module
 */
import type { Identified } from './exchange/exchange.ts'
import { createLive, type Live } from './live/live.ts'
import type { RevocationRoom } from './revocation/revocation.ts'
import type { SessionStore } from './services/sessions/sessions.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import type { World } from './world.ts'

export interface WhatLastsNeeds {
  readonly revocation: RevocationRoom
  readonly sessions: SessionStore
  readonly telemetry: Telemetry
  readonly world: World
  /** Whether the configuration in force still takes tokens of the issuer of this one. */
  knows(principal: Identified): boolean
}

export function openLive({ revocation, sessions, telemetry, world, knows }: WhatLastsNeeds): Live {
  const live = createLive({
    nowMs: world.nowMs,
    schedule: world.schedule,
    isRevoked: (principal) => revocation.lists(principal) || !knows(principal),
    stalenessMs: revocation.stalenessMs,
    check: revocation.check,
    findSession: async ({ tenant, user, session }) =>
      session === undefined ? undefined : sessions.find({ tenant, user, id: session }),
    ended: telemetry.events.live.ended,
  })
  revocation.onRevoked(live.revoked)
  return live
}
