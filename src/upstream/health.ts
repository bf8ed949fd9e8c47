import type { HealthConfig } from '../config/config.ts'
import { openPool, type Destination, type PoolNeeds } from './destination.ts'
import type { DispatchController } from './dispatch.ts'
import { codeOf } from './failures.ts'

/** Asks destinations how they are, on connections of its own. */
export interface HealthCheck {
  /** Asks one again and again. */
  watch(to: Destination): HealthWatch
}

export interface HealthWatch {
  /** Resolves when the first answer came, or did not come in time. */
  readonly asked: Promise<void>
  stop(): void
}

export interface HealthNeeds extends PoolNeeds {
  /** From 0, below 1. */
  random(): number
  /** A destination is healthy now, or is not any more; `why` says what it answered, without its address. */
  changed(to: Destination, why: string): void
}

/** How far the time between two questions is off, so that gateways that started together do not ask together. */
const JITTER = 0.1

/**
 * A destination counts as healthy until it is asked. The first answer decides alone; later ones only so many in a row.
 */
export function createHealthCheck(needs: HealthNeeds, config: HealthConfig): HealthCheck {
  return { watch }

  function watch(to: Destination): HealthWatch {
    const pool = openPool(needs, to, {
      connections: 1,
      connectMs: config.timeoutMs,
      responseMs: config.timeoutMs,
      idleMs: config.timeoutMs,
    })
    let inARow = 0
    let isFirst = true
    let isOver = false
    let cancel: (() => void) | undefined
    const { promise: asked, resolve: noteAsked } = Promise.withResolvers<void>()
    ask()
    return { asked, stop }

    function ask(): void {
      let given: DispatchController | undefined
      let isKnown = false
      const cancelLimit = needs.schedule(config.timeoutMs, () => conclude(false, 'no answer in time'))
      const request = { path: config.path, method: 'GET', headers: FIELDS, body: null, servername: to.url.hostname, reset: true }
      pool.dispatch(request, {
        onRequestStart(controller) {
          given = controller
          if (isKnown) controller.abort(DONE)
        },
        onResponseStart(_, status) {
          if (status >= 200) conclude(status < 300, `status ${status}`)
        },
        onResponseData: () => undefined,
        onResponseEnd: () => undefined,
        onResponseError: (_, error) => conclude(false, codeOf(error)),
      })

      function conclude(isGood: boolean, why: string): void {
        if (isKnown) return
        isKnown = true
        cancelLimit()
        // Of the body nothing is wanted, and the connection is for one question.
        given?.abort(DONE)
        if (isOver) return
        take(isGood, why)
        noteAsked()
        cancel = needs.schedule(config.intervalMs * (1 - JITTER + 2 * JITTER * needs.random()), ask)
      }
    }

    function take(isGood: boolean, why: string): void {
      const { standing } = to
      inARow = isGood === standing.isHealthy ? 0 : inARow + 1
      const enough = standing.isHealthy ? config.unhealthyAfter : config.healthyAfter
      if (inARow > 0 && (isFirst || inARow >= enough)) {
        inARow = 0
        standing.isHealthy = isGood
        needs.changed(to, why)
      }
      isFirst = false
    }

    function stop(): void {
      isOver = true
      cancel?.()
      noteAsked()
      void pool.destroy()
    }
  }
}

const DONE = new Error('the health of the target is known')
const FIELDS: string[] = ['user-agent', 'gatehouse-health', 'accept', '*/*']
