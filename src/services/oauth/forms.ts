import { z } from 'zod'

/** Parameters by which a client may prove itself in the body (RFC 6749 §2.3.1, RFC 7521 §4.2). */
const PROOF = {
  client_id: z.string().max(256).optional(),
  client_secret: z.string().max(1_024).optional(),
  client_assertion_type: z.literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer').optional(),
  client_assertion: z.string().max(8_192).optional(),
}

const token = z.string().max(16_384)

/** POST /token (RFC 6749 §4.4.2, §6). Which grants there are is told by the answer `unsupported_grant_type`. */
export const TOKEN_FORM = z.object({
  grant_type: z
    .string()
    .max(256)
    .meta({ examples: ['client_credentials', 'refresh_token'] }),
  scope: z.string().max(4_096).optional().describe('Space-separated. Without it: all that the client or the session has.'),
  refresh_token: token.optional().describe('For grant_type=refresh_token.'),
  ...PROOF,
})

export type TokenForm = z.infer<typeof TOKEN_FORM>

/** POST /introspect (RFC 7662 §2.1) and POST /revoke (RFC 7009 §2.1). The hint is passed over: the token tells its type. */
export const PRESENTED_FORM = z.object({
  token: token.describe('An access token or a refresh token.'),
  token_type_hint: z.string().max(256).optional(),
  ...PROOF,
})
