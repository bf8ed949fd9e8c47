import { z } from 'zod'

/** What a session may carry besides: it stands in each of its tokens. */
const METADATA = { entries: 16, keyCharacters: 64, valueCharacters: 256, bytes: 2_048 } as const

/** Claims that mean something to whoever reads a token; metadata is not to be mistaken for them. RFC 7519 §4.1, RFC 9068 §2.2. */
const RESERVED: ReadonlySet<string> = new Set([
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'sid',
  'tenant_id',
  'scope',
  'scopes',
  'metadata',
  'token_type',
  'client_id',
  'auth_time',
  'uv',
  'acr',
  'amr',
  'azp',
  'act',
  'may_act',
  'cnf',
  'nonce',
  'roles',
  'groups',
  'entitlements',
])

const SCOPE_CHARACTERS = 1_024
/** RFC 6749 §3.3; or nothing at all. */
const SCOPE = /^(?:[!#-[\]-~]+(?: [!#-[\]-~]+)*)?$/
const CONTROL = /\p{Cc}/u
/** Longer than any token that is taken. */
const TOKEN_CHARACTERS = 16_384

const userId = z.string().min(1).max(256).refine(isPrintable, 'must have no control characters')
const tenantId = z.string().min(1).max(64)
const token = z.string().min(1).max(TOKEN_CHARACTERS)
const reason = z.string().min(1).max(256).refine(isPrintable, 'must have no control characters').optional()

export const CREATION = z.strictObject({
  tenant_id: tenantId,
  user_id: userId,
  scope: z
    .string()
    .max(SCOPE_CHARACTERS)
    .refine((value) => SCOPE.test(value), 'must be scopes with single spaces between them'),
  metadata: z.record(z.string(), z.string()).superRefine(judgeMetadata).optional(),
})

export type Creation = z.infer<typeof CREATION>

export const VALIDATION = z.strictObject({ access_token: token })

export type Validation = z.infer<typeof VALIDATION>

/** Without the token where the cookie has it. */
export const REFRESH = z.strictObject({ refresh_token: token.optional(), tenant_id: tenantId.optional() })

export type Refresh = z.infer<typeof REFRESH>

export const REVOCATION = z.strictObject({ token, reason })

export type RevocationBody = z.infer<typeof REVOCATION>

export const REVOCATION_OF_ALL = z.strictObject({ user_id: userId, tenant_id: tenantId, reason })

export type RevocationOfAll = z.infer<typeof REVOCATION_OF_ALL>

function isPrintable(value: string): boolean {
  return !CONTROL.test(value)
}

function judgeMetadata(metadata: Readonly<Record<string, string>>, context: z.RefinementCtx): void {
  const entries = Object.entries(metadata)
  const complain = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
  if (entries.length > METADATA.entries) {
    complain([], `must have at most ${METADATA.entries} keys`)
    return
  }
  let bytes = 0
  for (const [key, value] of entries) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
    if (key === '' || key.length > METADATA.keyCharacters || !isPrintable(key)) {
      complain([key], `must have a name of 1 to ${METADATA.keyCharacters} characters, none of them a control character`)
    }
    if (RESERVED.has(key)) complain([key], 'is the name of a claim: choose another one')
    if (value.length > METADATA.valueCharacters) complain([key], `must have at most ${METADATA.valueCharacters} characters`)
  }
  if (bytes > METADATA.bytes) complain([], `must have at most ${METADATA.bytes} bytes in all`)
}
