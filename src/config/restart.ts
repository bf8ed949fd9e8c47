import type { Config } from './config.ts'
import { isSame } from './describe.ts'
import type { Path } from './faults.ts'
import type { ConfigRemark } from './parse.ts'

interface Fixed {
  readonly path: Path
  of(config: Config): unknown
}

/** What is opened once and held for as long as the process lives. */
const FIXED: readonly Fixed[] = [
  {
    path: ['listeners', 'public', 'address'],
    of: ({ listeners }) => ({ host: listeners.public.host, port: listeners.public.port }),
  },
  {
    path: ['listeners', 'public', 'tls'],
    of: ({
      listeners: {
        public: { tls },
      },
    }) => tls && { http2: tls.http2, asks: tls.clientCa !== undefined },
  },
  {
    path: ['listeners', 'public', 'redirect'],
    of: ({
      listeners: {
        public: { redirect },
      },
    }) => redirect && { host: redirect.host, port: redirect.port },
  },
  { path: ['listeners', 'public', 'proxyProtocol'], of: ({ listeners }) => listeners.public.proxyProtocol },
  { path: ['listeners', 'admin'], of: ({ listeners }) => listeners.admin },
  { path: ['workers'], of: ({ workers }) => workers },
  { path: ['storage'], of: ({ storage }) => storage },
  { path: ['masterKey'], of: ({ masterKeys }) => masterKeys },
  { path: ['revocation', 'legacyChannel'], of: ({ revocation }) => revocation.legacyChannel },
  { path: ['rateLimits'], of: ({ rateLimits }) => rateLimits },
]

/** Where a configuration says what a gateway that runs by another one cannot take on: it has to be started again for that. */
export function restartRemarks(running: Config, next: Config): readonly ConfigRemark[] {
  return FIXED.filter(({ of }) => !isSame(of(running), of(next))).map(({ path }) => ({
    path,
    message: 'cannot change while the gateway runs: restart it, or write what was there before',
  }))
}
