import { foldHeaderName } from '../exchange/exchange.ts'
import type { HeaderRules } from '../exchange/exchange.ts'
import type { Build } from './build.ts'
import type { Path } from './faults.ts'
import { isConnectionHeader } from './names.ts'
import type { RouteDraft } from './schema.ts'

const WRITTEN_BY_GATEWAY = 'belongs to the connection or the framing, which the gateway writes: remove it'

/** Header rules: names to set in lower case, names to remove folded. `owned` are the folded names that nobody else may set. */
export function buildHeaderRules(
  path: Path,
  draft: RouteDraft['requestHeaders'],
  owned: ReadonlySet<string>,
  build: Build,
): HeaderRules {
  for (const name of Object.keys(draft.set)) {
    if (isConnectionHeader(name)) build.report([...path, 'set', name], WRITTEN_BY_GATEWAY)
    else if (owned.has(foldHeaderName(name)))
      build.report([...path, 'set', name], 'is an identity header, which only the gateway sets: remove it')
  }
  for (const { at, value } of draft.remove) {
    if (isConnectionHeader(value)) build.report([...path, 'remove', at], WRITTEN_BY_GATEWAY)
  }
  return {
    set: lowerCaseHeaders([...path, 'set'], draft.set, build),
    remove: new Set(draft.remove.map((item) => foldHeaderName(item.value))),
  }
}

/** Two spellings of one name are a fault: which would win would be chance. */
export function lowerCaseHeaders(path: Path, draft: Readonly<Record<string, string>>, build: Build): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const [name, value] of Object.entries(draft)) {
    const lower = name.toLowerCase()
    if (headers.has(lower)) build.report([...path, name], `is the header ${lower} again: remove one`)
    headers.set(lower, value)
  }
  return headers
}
