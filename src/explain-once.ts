/**
 * Asks about one request without a gateway that runs: opens what a start would open, as far as a request meets it.
 *
 * @module
 */
import { arrange, type Arrangement } from './arrangement.ts'
import type { Config } from './config/config.ts'
import type { Explanation, Question } from './explain.ts'
import { openFoundation } from './foundation.ts'
import { WORLD } from './world.ts'

export { readAskedRequest } from './admin/admin.ts'
export type { Explanation, Question } from './explain.ts'

/**
 * What would become of a request at a gateway of this configuration, with the keys and the revocations that are stored.
 *
 * @throws Error when storage, keys or key files cannot be opened
 */
export async function explainOnce(config: Config, question: Question): Promise<Explanation> {
  let arrangement: Arrangement | undefined
  const inForce = (): Arrangement | undefined => arrangement
  const foundation = await openFoundation(config, { write: () => undefined, world: WORLD, inForce, connections: () => 0 })
  try {
    arrangement = await arrange(foundation, config)
    await Promise.all([arrangement.authenticator.start(), foundation.load()])
    return await arrangement.explain(question)
  } finally {
    await arrangement?.close()
    await foundation.close()
  }
}
