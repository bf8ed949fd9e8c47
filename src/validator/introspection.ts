import { RevocationUnavailableError, TokenRevokedError } from '../errors/errors.ts'
import type { Identified } from '../exchange/exchange.ts'
import type { Surroundings } from './options.ts'
import type { Settings, TokenSettings } from './settings.ts'

type IntrospectionSettings = Extract<TokenSettings, { readonly kind: 'introspection' }>

interface Answer {
  readonly isActive: boolean
  readonly untilMs: number
}

/**
 * Asks the gateway whether a token is still good (RFC 7662). Only tokens that were verified get this far, so nobody makes it ask
 * by sending rubbish; one question serves all that wait for it, and all that come while the answer counts.
 */
export function createIntrospection(
  surroundings: Surroundings,
  config: IntrospectionSettings,
  settings: Settings,
): (principal: Identified, token: string) => Promise<void> {
  // Weak: an answer lives as long as the verified token is remembered.
  const answers = new WeakMap<Identified, Answer>()
  const asking = new WeakMap<Identified, Promise<Answer>>()
  const url = `${settings.reachAt}${config.path}/introspect`
  const authorization = basicOf(config)
  return async function check(principal, token) {
    const known = answers.get(principal)
    const answer = known !== undefined && surroundings.monotonicMs() < known.untilMs ? known : await askOnce(principal, token)
    if (!answer.isActive) throw new TokenRevokedError(undefined, { reason: 'inactive' })
  }

  function askOnce(principal: Identified, token: string): Promise<Answer> {
    const under = asking.get(principal)
    if (under !== undefined) return under
    const answering = ask(token)
      .then((isActive) => {
        // What was revoked once stays so.
        const untilMs = isActive ? surroundings.monotonicMs() + config.rememberMs : Number.POSITIVE_INFINITY
        const answer = { isActive, untilMs }
        answers.set(principal, answer)
        return answer
      })
      .finally(() => asking.delete(principal))
    asking.set(principal, answering)
    return answering
  }

  async function ask(token: string): Promise<boolean> {
    const controller = new AbortController()
    const cancel = surroundings.schedule(config.timeoutMs, () => controller.abort())
    try {
      const response = await settings.fetch(url, {
        method: 'POST',
        redirect: 'error',
        headers: { authorization, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
        signal: controller.signal,
      })
      if (response.status === 200) return isActive(await response.json())
      await response.body?.cancel()
      throw new Error(`the gateway answered introspection with ${response.status}`)
    } catch (cause) {
      throw new RevocationUnavailableError(undefined, { reason: 'introspection', retryAfterSeconds: 1, cause })
    } finally {
      cancel()
    }
  }
}

/** @throws Error for an answer that says neither */
function isActive(answer: unknown): boolean {
  const active = typeof answer === 'object' && answer !== null && 'active' in answer ? answer.active : undefined
  if (typeof active !== 'boolean') throw new Error('the gateway did not say whether the token is active')
  return active
}

/** How a client proves itself (RFC 6749 §2.3.1). */
export function basicOf({ clientId, clientSecret }: { readonly clientId: string; readonly clientSecret: string }): string {
  return `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')}`
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
