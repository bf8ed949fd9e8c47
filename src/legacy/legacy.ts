/**
 * The channel of an older authentication service: hears what ended there, and tells what ended here.
 *
 * What is heard is a bearer token, as that service publishes them. It counts for nothing unless it verifies like the token of
 * a request; then its revocation goes into the ordered log, from which every gateway has it, those that missed the message too.
 * What is told is a message of ours without the token, and the token itself only where the configuration says so.
 *
 * This room believes nobody because of where a message comes from, keeps no token longer than it takes to judge it, never logs
 * one, and never holds up a request.
 *
 * @module
 */
import type { LegacyChannelConfig } from '../config/config.ts'
import type { Identified } from '../exchange/exchange.ts'
import { createInbox } from './inbox.ts'
import type { Heard } from './inbox.ts'
import { createOutbox } from './outbox.ts'
import type { Told } from './outbox.ts'

export type { Heard } from './inbox.ts'
export type { Told } from './outbox.ts'

/** Something that ended here. */
export interface Ended {
  readonly typ: 'token' | 'session' | 'user'
  readonly tenant: string
  /** `jti`, `sid` or `sub`. */
  readonly id: string
  /** No token that it concerns is taken after this, whole seconds since 1970. */
  readonly exp: number
  readonly reason: string
}

export interface LegacyNeeds {
  /** Verifies a token as the path does. Throws or rejects with a Problem, of status 500 or more where it cannot tell now. */
  verify(token: string): Identified | Promise<Identified>
  /** Whether the revocations that are known here name the token. */
  isRevoked(token: Identified): boolean
  /** Writes the revocation of a token into the log. Rejects when the store cannot take it now. */
  revoke(token: Identified): Promise<void>
  /** Hands a message to the channel. Rejects when it cannot be handed over now. */
  publish(message: string): Promise<void>
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  readonly events: LegacyEvents
}

export interface LegacyEvents {
  /** A message was dealt with. */
  message(direction: 'in' | 'out', result: Heard | Told): void
  /** More came than could be dealt with; told once until all that waits is dealt with. */
  flooded(): void
  /** The revocation of a token that was heard of could not be written, and is given up. */
  lost(cause: unknown): void
}

export interface Legacy {
  /** Takes a message of the channel. Answers at once; whatever it holds, it does not throw. */
  hear(message: Buffer): void
  /** Tells of something that ended, soon. */
  ended(what: Ended): void
  /** Tells of a token that ended as it is, soon; nothing unless `publishRawToken`. */
  tokenEnded(token: string): void
  /** Hears and tells no more. */
  stop(): void
}

export function createLegacy(needs: LegacyNeeds, config: LegacyChannelConfig): Legacy {
  const inbox = createInbox(needs)
  const outbox = createOutbox(needs)
  return {
    hear: inbox.take,
    ended: ({ typ, tenant, id, exp, reason }) =>
      outbox.add(JSON.stringify({ v: 1, t: needs.nowSeconds(), typ, tenant, id, exp, reason })),
    tokenEnded(token) {
      if (config.publishRawToken) outbox.add(token)
    },
    stop() {
      inbox.stop()
      outbox.stop()
    },
  }
}
