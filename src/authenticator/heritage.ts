import { isSame, type Config } from '../config/config.ts'
import type { AuthenticatorNeeds } from './needs.ts'
import { createTokenCache, type TokenCache } from './token-cache.ts'
import { createTrust, type Trust } from './trust.ts'

/** What goes over from the authenticator of one configuration to that of the next, where both say the same. */
export interface Heritage {
  readonly trust: Trust
  /** The tokens of issuers that are trusted no more stay in it until they are asked for, or pushed out. */
  readonly cache: TokenCache
  readonly cacheConfig: Config['tokenCache']
}

type HeritageConfig = Pick<Config, 'tenants' | 'issuers' | 'tokenCache'>

/** Throws when the issuers contradict each other or a secret is too short. */
export function inherit(needs: AuthenticatorNeeds, config: HeritageConfig, before: Heritage | undefined): Heritage {
  const monotonicMs = needs.monotonicMs?.bind(needs) ?? needs.nowMs.bind(needs)
  const reloadOwnKeys = needs.reloadOwnKeys?.bind(needs) ?? (() => Promise.resolve())
  const cacheConfig = config.tokenCache
  const isSameCache = before !== undefined && isSame(before.cacheConfig, cacheConfig)
  return {
    trust: createTrust({ ...needs, monotonicMs, reloadOwnKeys }, config, before?.trust),
    cache: isSameCache ? before.cache : createTokenCache(cacheConfig, { monotonicMs, nowMs: () => needs.nowMs() }),
    cacheConfig,
  }
}
