import type { CountryRules } from '../exchange/exchange.ts'
import { foldHeaderName } from '../exchange/exchange.ts'
import type { Build } from './build.ts'
import { packCountries } from './country-table.ts'
import type { Path } from './faults.ts'
import { isTakenHeader } from './names.ts'
import type { Draft, RouteDraft } from './schema.ts'

/** How it is known which country a client is in. */
export interface GeographyConfig {
  /** Lower case; believed from trusted proxies alone. */
  readonly header?: string
  /** `path` as written; `table`: for `countriesIn`. */
  readonly file?: { readonly path: string; readonly networks: number; readonly table: Uint8Array }
}

export function buildGeography(draft: Draft, build: Build): GeographyConfig | undefined {
  const { geography } = draft
  if (geography === undefined) return undefined
  const { header, file } = geography
  if (header === undefined && file === undefined && !build.isFaulty(['geography']))
    build.report(['geography'], 'must say where countries come from: write header or file')
  if (header !== undefined) refuseHeader(header, draft, build)
  const packed = file === undefined ? undefined : readFile(file, build)
  return { ...(header !== undefined && { header }), ...(packed !== undefined && { file: packed }) }
}

function refuseHeader(header: string, { listeners, identity }: Draft, build: Build): void {
  const path = ['geography', 'header']
  const owned = [...Object.values(identity.headers), identity.passport.header].map(foldHeaderName)
  if (isTakenHeader(header) || owned.includes(foldHeaderName(header)))
    build.report(path, 'has a meaning of its own: choose another header name')
  const proxies = ['listeners', 'public', 'trustedProxies']
  if (listeners.public.trustedProxies.length === 0 && !build.isFaulty(proxies))
    build.report(path, 'is believed from listeners.public.trustedProxies alone, and there are none')
}

function readFile(file: string, build: Build): GeographyConfig['file'] {
  const path = ['geography', 'file']
  const text = build.readText(file, path)
  if (text === undefined) return undefined
  const packed = packCountries(text)
  if ('faults' in packed) {
    build.report(path, packed.faults.map(({ line, message }) => `line ${line} ${message}`).join('; '))
    return undefined
  }
  if (packed.networks === 0) build.report(path, 'the file has no networks: write NETWORK,COUNTRY lines into it')
  return { path: file, ...packed }
}

/** Which countries the clients of a route, or the users of a tenant, must be in. */
export function buildCountries(
  path: Path,
  draft: RouteDraft['countries'],
  geography: GeographyConfig | undefined,
  build: Build,
): { readonly countries?: CountryRules } {
  if (draft === undefined) return {}
  const allow = new Set(draft.allow.map((item) => item.value))
  const deny = new Set(draft.deny.map((item) => item.value))
  if (allow.size === 0 && deny.size === 0 && !build.isFaulty(path))
    build.report(path, 'has no effect: write allow or deny, or remove it')
  else if (geography === undefined && !build.isFaulty(['geography']))
    build.report(path, 'needs geography, which says which country a client is in')
  for (const { at, value } of draft.allow)
    if (deny.has(value)) build.report([...path, 'allow', at], 'is in deny too, which goes before: remove one of them')
  return { countries: { allow, deny } }
}
