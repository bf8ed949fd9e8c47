import { Problem } from '../../problem/problem.ts'
import type { Connection } from './connection.ts'

/**
 * Looks at a Redis that was away at the opening before the first command goes to it. One that does not fit is refused for
 * ever: what is in it may be laid out otherwise.
 *
 * @param unfit - told why, once
 */
export function checked(connection: Connection, check: () => Promise<void>, unfit: (cause: unknown) => void): Connection {
  let state: 'unknown' | 'fit' | 'unfit' = 'unknown'
  let checking: Promise<void> | undefined
  return {
    async send(...command) {
      if (state !== 'fit') await expectFit()
      return connection.send(...command)
    },
    async run(script, keys, values) {
      if (state !== 'fit') await expectFit()
      return connection.run(script, keys, values)
    },
    async sendTogether(commands) {
      if (state !== 'fit') await expectFit()
      return connection.sendTogether(commands)
    },
    hasReplicas: connection.hasReplicas,
    close: connection.close,
  }

  /** One look for all that ask meanwhile. */
  function expectFit(): Promise<void> {
    if (state === 'unfit') return Promise.reject(refusal(new Error('this Redis does not fit')))
    checking ??= look().finally(() => {
      checking = undefined
    })
    return checking
  }

  async function look(): Promise<void> {
    try {
      await check()
      state = 'fit'
    } catch (error) {
      // Away still: the next command looks again.
      if (error instanceof Problem) throw error
      state = 'unfit'
      unfit(error)
      throw refusal(error)
    }
  }
}

function refusal(cause: unknown): Problem {
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause })
}
