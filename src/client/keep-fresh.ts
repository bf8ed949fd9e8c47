import type { TokenPair } from './answers.ts'

/** A session whose access token is renewed as it is asked for. */
export interface FreshSession {
  /** The access token, renewed before it is over. Rejects with UnknownRefreshTokenError when the session is. */
  accessToken(): Promise<string>
  /** The tokens as they are now. */
  tokens(): TokenPair
}

export interface KeepFreshOptions {
  /** Told of each new pair, to store it before the old one is forgotten. What it rejects with, `accessToken` does too. */
  readonly onRenewed?: (tokens: TokenPair) => void | Promise<void>
  /** How long before its end an access token is renewed, seconds; half of its life at most. Default: 30. */
  readonly earlySeconds?: number
}

interface KeepFreshNeeds {
  refresh(refreshToken: string): Promise<TokenPair>
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number
}

/** Refreshes once at a time, however many ask: an old refresh token that comes back ends the session. */
export function createFreshSession(needs: KeepFreshNeeds, first: TokenPair, options: KeepFreshOptions): FreshSession {
  const earlySeconds = options.earlySeconds ?? 30
  let tokens = first
  let renewAtMs = dueAfter(first)
  let renewing: Promise<void> | undefined
  return { accessToken, tokens: () => tokens }

  async function accessToken(): Promise<string> {
    if (needs.monotonicMs() >= renewAtMs) {
      renewing ??= renew().finally(() => {
        renewing = undefined
      })
      await renewing
    }
    return tokens.accessToken
  }

  async function renew(): Promise<void> {
    const next = await needs.refresh(tokens.refreshToken)
    tokens = next
    await options.onRenewed?.(next)
    renewAtMs = dueAfter(next)
  }

  function dueAfter({ expiresIn }: TokenPair): number {
    return needs.monotonicMs() + Math.max(expiresIn - earlySeconds, expiresIn / 2) * 1000
  }
}
