/**
 * Puts one arrangement in the place of another, and closes the one before when nobody is left in it.
 *
 * All that can fail comes before the change, and the change itself is one assignment: from one request to the next everything is
 * as the new file says, or nothing is. What is under way stays with the arrangement that it began with, however long it lasts.
 *
 * @module
 */
import { arrange, type Arrangement } from './arrangement.ts'
import { isSame, type Config } from './config/config.ts'
import { publishKeys, type Foundation } from './foundation.ts'

export interface Succession {
  /** The arrangement in force. */
  current(): Arrangement
  /**
   * Puts an arrangement of another configuration in force. One at a time.
   *
   * @param entering Called at the very change; what it throws keeps the arrangement out.
   * @throws Error that says why there is none; nothing has changed then
   */
  replace(config: Config, entering: (next: Arrangement) => void): Promise<void>
  /** Ends the WebSockets of every arrangement. */
  endTunnels(): void
  /** Closes every arrangement, whatever is under way. Replaces nothing from here on. */
  close(): Promise<void>
}

export function createSuccession(foundation: Foundation, first: Arrangement): Succession {
  /** The one in force, and those that somebody is still in. */
  const living = new Set([first])
  let inForce = first
  let isClosed = false
  let replacing: Promise<void> = Promise.resolve()
  return { current: () => inForce, replace, endTunnels, close }

  function replace(config: Config, entering: (next: Arrangement) => void): Promise<void> {
    const work = replacing.then(() => replaceNow(config, entering))
    // Whoever asked for it hears of its failure.
    replacing = work.catch(() => undefined)
    return work
  }

  async function replaceNow(config: Config, entering: (next: Arrangement) => void): Promise<void> {
    if (isClosed) throw new Error('the gateway is stopping')
    const before = inForce
    const next = await arrange(foundation, config, before)
    let takeKeys
    try {
      takeKeys = await foundation.tenants.prepare(config.tenants)
      await next.start()
      if (isClosed) throw new Error('the gateway is stopping')
      entering(next)
    } catch (error) {
      await next.close([...living])
      throw error
    }
    takeKeys()
    foundation.use(config)
    next.enter()
    living.add(next)
    inForce = next
    followUp(before.config, config)
    before.leave(next)
    void closeWhenEmpty(before)
  }

  function followUp(before: Config, now: Config): void {
    const isOfBefore = isSame(before.tenants, now.tenants) && isSame(before.issuers, now.issuers)
    if (isOfBefore) return
    foundation.live.review()
    for (const tenant of now.tenants.keys()) publishKeys(foundation, tenant)
  }

  async function closeWhenEmpty(before: Arrangement): Promise<void> {
    try {
      await before.empty()
      if (!living.delete(before)) return
      await before.close([...living])
    } catch (cause) {
      foundation.telemetry.log.error('an arrangement that was replaced could not be closed', { cause })
    }
  }

  function endTunnels(): void {
    for (const arrangement of living) arrangement.upstreams.endTunnels()
  }

  async function close(): Promise<void> {
    isClosed = true
    const all = [...living]
    living.clear()
    await Promise.all(all.map((arrangement) => arrangement.close()))
    await replacing
  }
}
