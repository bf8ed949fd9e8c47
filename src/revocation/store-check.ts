import { LRUCache } from 'lru-cache'
import CircuitBreaker from 'opossum'
import type { RevocationConfig } from '../config/config.ts'
import type { TokenFacts } from './log.ts'
import type { RevocationNeeds } from './revocation.ts'

/** Asks the store about one token, for routes that say `verify`. */
export interface StoreCheck {
  /** Rejects when the store fails, is too slow, or was so lately. An answer may be as old as `maxAgeMs`, a second at most. */
  isRevoked(token: TokenFacts, maxAgeMs: number): Promise<boolean>
  stop(): void
}

const REMEMBERED_MS = 1000
const REMEMBERED = 10_000
/** opossum's own way back makes a request of the next question. It is never reached: a probe of ours comes first. */
const NEVER_MS = 2 ** 31 - 1
/** Questions within the breaker's window before it may open: one lost answer is no outage. */
const VOLUME = 5
/** Said to each question while it is open, where the breaker's own error would collect a stack for each. */
const GIVEN_UP = new Error('the store did not answer lately')

interface Answer {
  readonly isRevoked: boolean
  readonly askedMs: number
}

type StoreNeeds = Pick<RevocationNeeds, 'lookup' | 'monotonicMs' | 'schedule' | 'events'>

export function createStoreCheck(needs: StoreNeeds, config: RevocationConfig['breaker']): StoreCheck {
  const answers = new LRUCache<string, Answer>({ max: REMEMBERED })
  const asking = new Map<string, Promise<Answer>>()
  const breaker = new CircuitBreaker((token: TokenFacts) => needs.lookup.isRevoked(token), {
    timeout: config.timeoutMs,
    errorThresholdPercentage: config.errorThreshold * 100,
    resetTimeout: NEVER_MS,
    volumeThreshold: VOLUME,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  })
  let lastAsked: TokenFacts | undefined
  let cancelProbe: (() => void) | undefined
  let isStopped = false
  breaker.on('open', () => {
    needs.events.breaker('open')
    planProbe()
  })
  breaker.on('close', () => needs.events.breaker('closed'))
  return { isRevoked, stop }

  function stop(): void {
    isStopped = true
    cancelProbe?.()
    breaker.shutdown()
  }

  async function isRevoked(token: TokenFacts, maxAgeMs: number): Promise<boolean> {
    const key = keyOf(token)
    const known = answers.get(key)
    if (known !== undefined && needs.monotonicMs() - known.askedMs <= Math.min(maxAgeMs, REMEMBERED_MS)) return known.isRevoked
    const answer = await (asking.get(key) ?? ask(key, token))
    return answer.isRevoked
  }

  /** One question for all that wait for the same token. */
  function ask(key: string, token: TokenFacts): Promise<Answer> {
    if (breaker.opened) return Promise.reject(GIVEN_UP)
    const askedMs = needs.monotonicMs()
    lastAsked = token
    const answering = breaker
      .fire(token)
      .then((isRevoked) => {
        const answer = { isRevoked, askedMs }
        answers.set(key, answer)
        return answer
      })
      .finally(() => asking.delete(key))
    asking.set(key, answering)
    return answering
  }

  /** While it is open no request asks: the store is asked again about the last token, with nobody waiting for the answer. */
  function planProbe(): void {
    cancelProbe?.()
    if (!isStopped) cancelProbe = needs.schedule(config.resetAfterMs, () => void probe())
  }

  async function probe(): Promise<void> {
    const asked = lastAsked
    if (asked === undefined || isStopped) return
    try {
      await within(needs.lookup.isRevoked(asked))
      if (!isStopped) breaker.close()
    } catch {
      // Nobody waits for it: the next one may be answered.
      planProbe()
    }
  }

  function within(answering: Promise<boolean>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(config.timeoutMs, () => reject(new Error('the store is slow')))
      answering.then(resolve, reject).finally(cancel)
    })
  }
}

/** Everything that the answer depends on; a list as JSON can be read in one way only. */
function keyOf({ tenant, user, session, tokenId, epoch, issuedAt, keyId }: TokenFacts): string {
  return JSON.stringify([tenant, user, session ?? null, tokenId ?? null, epoch ?? null, issuedAt ?? null, keyId ?? null])
}
