import type { Call } from './services.ts'
import type { By } from './sessions/sessions.ts'

/** By which request something is done to sessions, for the audit record; `actor` is who proved to be behind it. */
export function by({ admitted }: Call, actor: string): By {
  return { actor, ip: admitted.client, requestId: admitted.id }
}

/** Of a call by someone of whom nothing is known but a token that they hold. */
export const HOLDER = 'holder of the token'
