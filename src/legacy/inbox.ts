import type { Identified } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import type { LegacyNeeds } from './legacy.ts'

/**
 * What became of a message that was heard. `revoked`: written to the log. `known`: revoked already. `own`: of the form that
 * gateways publish, whose facts are in the log. `refused`: no token that is good here now. `too_large`. `dropped`: more came
 * than could be dealt with. `failed`: the store did not take it, in all attempts.
 */
export type Heard = 'revoked' | 'known' | 'own' | 'refused' | 'too_large' | 'dropped' | 'failed'

export interface Inbox {
  /** Answers at once. */
  take(message: Buffer): void
  stop(): void
}

const MAX_BYTES = 16 * 1024
/** What waits at most: messages, and bytes of them. */
const MAX_WAITING = 10_000
const MAX_WAITING_BYTES = 8 * 1024 * 1024
/** In each turn so many are judged, and requests have the time between: 2,000 a second, a tenth of a core of forged ones. */
const TURN = 40
const TURN_MS = 20
/** So many wait for the store at a time. */
const MAX_WRITING = 64
const ATTEMPTS = 6
const FIRST_RETRY_MS = 100

const BRACE = 0x7b
const BEARER = /^bearer +/i

type InboxNeeds = Pick<LegacyNeeds, 'verify' | 'isRevoked' | 'revoke' | 'schedule' | 'events'>

export function createInbox(needs: InboxNeeds): Inbox {
  const { events } = needs
  const waiting: Buffer[] = []
  let waitingBytes = 0
  let writing = 0
  let isPlanned = false
  let isFlooded = false
  let isStopped = false
  return {
    take,
    stop() {
      isStopped = true
      waiting.length = 0
    },
  }

  function take(message: Buffer): void {
    if (isStopped) return
    if (message.length > MAX_BYTES) return events.message('in', 'too_large')
    // Nothing in it is believed, so nothing in it is read.
    if (message[0] === BRACE) return events.message('in', 'own')
    if (waiting.length >= MAX_WAITING || waitingBytes + message.length > MAX_WAITING_BYTES) {
      return drop()
    }
    // The parser's buffer may be a large one that this is a small piece of.
    waiting.push(Buffer.from(message))
    waitingBytes += message.length
    plan(0)
  }

  /** Said once for each flood: what is dropped may have been the end of a token. */
  function drop(): void {
    if (!isFlooded) events.flooded()
    isFlooded = true
    events.message('in', 'dropped')
  }

  function plan(delayMs: number): void {
    if (isPlanned) return
    isPlanned = true
    needs.schedule(delayMs, turn)
  }

  function turn(): void {
    isPlanned = false
    const room = Math.min(TURN, MAX_WRITING - writing)
    for (const message of waiting.splice(0, room)) {
      waitingBytes -= message.length
      void judge(message)
    }
    if (waiting.length > 0) plan(TURN_MS)
    else isFlooded = false
  }

  /** Never rejects. */
  async function judge(message: Buffer): Promise<void> {
    writing += 1
    try {
      events.message('in', await resultOf(message.toString('latin1').trim().replace(BEARER, '')))
    } finally {
      writing -= 1
    }
  }

  async function resultOf(token: string): Promise<Heard> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const principal = await verified(token)
        // A token without an id cannot be revoked alone; those of a shared secret have one always.
        if (principal?.tokenId === undefined) return 'refused'
        if (needs.isRevoked(principal)) return 'known'
        await needs.revoke(principal)
        return 'revoked'
      } catch (cause) {
        if (attempt < ATTEMPTS && !isStopped) {
          await pause(FIRST_RETRY_MS * 2 ** (attempt - 1))
          continue
        }
        events.lost(cause)
        return 'failed'
      }
    }
  }

  async function verified(token: string): Promise<Identified | undefined> {
    try {
      return await needs.verify(token)
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return undefined
      throw error
    }
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      needs.schedule(delayMs, resolve)
    })
  }
}
