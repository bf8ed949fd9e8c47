import { foldHeaderName } from '../exchange/exchange.ts'
import type { Build } from './build.ts'
import type { IdentityConfig } from './config.ts'
import { isTakenHeader } from './names.ts'
import type { Draft } from './schema.ts'

export interface Identity {
  readonly config: IdentityConfig
  /** Folded names of every header that only the gateway may set. */
  readonly owned: ReadonlySet<string>
}

/** The identity headers: each its own name, however an upstream spells it, and none that means something else already. */
export function buildIdentity(draft: Draft['identity'], build: Build): Identity {
  const owners = new Map<string, string>()
  const names: [readonly string[], string][] = Object.entries(draft.headers).map(([fact, name]) => [
    ['identity', 'headers', fact],
    name,
  ])
  names.push([['identity', 'passport', 'header'], draft.passport.header])
  for (const [path, name] of names) {
    const folded = foldHeaderName(name)
    const owner = owners.get(folded)
    if (isTakenHeader(name)) build.report(path, 'has a meaning of its own: choose another header name')
    // The one that is written is at fault, not a default.
    else if (owner !== undefined)
      build.report(
        build.isWritten(path) ? path : owner.split('.'),
        `is the same header as ${build.isWritten(path) ? owner : path.join('.')}: each fact has its own`,
      )
    owners.set(folded, owner ?? path.join('.'))
  }
  return {
    config: { headers: draft.headers, passport: { header: draft.passport.header, lifetimeSeconds: draft.passport.lifetime } },
    owned: new Set([...owners.keys(), 'client-cert', 'client-cert-chain']),
  }
}
