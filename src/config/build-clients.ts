import type { Build } from './build.ts'
import { readSecret } from './build.ts'
import type { ClientConfig, TenantConfig } from './config.ts'
import type { Path } from './faults.ts'
import type { ClientDraft } from './schema.ts'
import { didYouMean, orList } from './suggest.ts'

type Jwk = Readonly<Record<string, unknown>>

const LEAST_SECRET_BYTES = 16
/** `client_id` of what the gateway issues at a login. */
const OWN_CLIENT = 'gatehouse'
const MAX_KEYS = 16
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])
/** RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** The clients: each of one tenant, each with a secret or with public keys. */
export function buildClients(
  drafts: Readonly<Record<string, ClientDraft>>,
  tenants: ReadonlyMap<string, TenantConfig>,
  build: Build,
): ReadonlyMap<string, ClientConfig> {
  return new Map(Object.entries(drafts).map(([id, draft]) => [id, buildClient(id, draft, tenants, build)]))
}

function buildClient(id: string, draft: ClientDraft, tenants: ReadonlyMap<string, TenantConfig>, build: Build): ClientConfig {
  const path = ['clients', id]
  if (id === OWN_CLIENT) build.report(path, 'is what the gateway calls itself: choose another id')
  const require = (key: string, write: string): void => {
    if (!build.isFaulty([...path, key])) build.report([...path, key], `is required: write ${write}`)
  }
  if (draft.tenant === undefined)
    require('tenant', `the tenant that it may act for, such as ${[...tenants.keys()][0] ?? 'default'}`)
  else if (!tenants.has(draft.tenant)) {
    const near = didYouMean(draft.tenant, tenants.keys()) || `: write ${orList([...tenants.keys()].slice(0, 8))}`
    build.report([...path, 'tenant'], `there is no such tenant${near}`)
  }
  if (draft.scopes === undefined) require('scopes', 'a list such as [sessions:write], or []')
  if (draft.secret !== undefined && draft.keys !== undefined) {
    build.report([...path, 'keys'], 'does not go with secret: remove one of the two')
  } else if (draft.keys === undefined && draft.secret === undefined && !build.isFaulty([...path, 'keys'])) {
    require('secret', '{ env: NAME } or { file: PATH }, or keys: { file: PATH }')
  }
  return {
    id,
    tenant: draft.tenant ?? 'default',
    ...buildSecret([...path, 'secret'], draft.secret, build),
    ...buildKeys([...path, 'keys'], draft.keys, build),
    scopes: [...new Set((draft.scopes ?? []).map((item) => item.value))],
  }
}

function buildSecret(path: Path, source: ClientDraft['secret'], build: Build): Pick<ClientConfig, 'secret'> {
  const text = source === undefined ? undefined : readSecret(source, path, build)
  if (text === undefined) return {}
  const secret = new TextEncoder().encode(text)
  if (secret.length < LEAST_SECRET_BYTES) {
    build.report(
      path,
      `the secret is too short: it needs at least ${LEAST_SECRET_BYTES} bytes; gatehouse clients create makes one`,
    )
  }
  return { secret }
}

function buildKeys(path: Path, draft: ClientDraft['keys'], build: Build): Pick<ClientConfig, 'keys'> {
  if (draft === undefined) return {}
  if (draft.file === undefined) {
    if (!build.isFaulty([...path, 'file'])) build.report([...path, 'file'], 'is required: write the path of a JWKS file')
    return {}
  }
  const text = build.readText(draft.file, [...path, 'file'])
  if (text === undefined) return {}
  const keys = readKeys(text)
  if (typeof keys !== 'string') return { keys }
  build.report([...path, 'file'], keys)
  return {}
}

/** The public keys of a JWKS file (RFC 7517 §5), or what is wrong with it. */
function readKeys(text: string): readonly Jwk[] | string {
  const keys = listOf(text)
  if (keys === undefined) return 'is not a JWKS file: it has no "keys" list'
  if (keys.length === 0 || keys.length > MAX_KEYS) return `must hold 1 to ${MAX_KEYS} keys`
  const kids = new Set<unknown>()
  for (const key of keys) {
    if (!isObject(key) || !KEY_TYPES.has(key['kty'])) return 'must hold keys of kty RSA, EC or OKP only'
    if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name))) return 'holds a private key: write the public part alone'
    if (keys.length > 1 && typeof key['kid'] !== 'string') return 'must name each of several keys by a kid'
    if (kids.has(key['kid'])) return 'must not name two keys by one kid'
    kids.add(key['kid'])
  }
  return keys.filter(isObject)
}

function listOf(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && Array.isArray(value['keys']) ? value['keys'] : undefined
  } catch {
    // The parser quotes the file, which may hold a private key by mistake.
    return undefined
  }
}

function isObject(value: unknown): value is Jwk {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
