import type { TenantConfig } from '../../config/config.ts'
import type { OAuthNeeds } from './oauth.ts'

/** RFC 6749 §5.1. */
export interface ClientToken {
  readonly access_token: string
  readonly token_type: 'Bearer'
  /** Seconds. */
  readonly expires_in: number
  readonly scope: string
}

interface Issue {
  readonly tenant: TenantConfig
  readonly client: string
  readonly scope: string
}

const ID_BYTES = 16

/**
 * An access token of a client that acts for itself (RFC 9068 §2.2: its subject is the client). It has no session and no
 * epoch: a revocation of all that this subject has goes by when the token was issued.
 */
export async function issueClientToken(
  needs: Pick<OAuthNeeds, 'tokens' | 'nowSeconds' | 'random' | 'randomBytes'>,
  { tenant, client, scope }: Issue,
): Promise<ClientToken> {
  const now = needs.nowSeconds()
  const { lifetimeSeconds, jitter } = tenant.accessToken
  const lifetime = Math.max(1, Math.floor(lifetimeSeconds * (1 - jitter * needs.random())))
  const claims = {
    iss: tenant.issuer,
    sub: client,
    aud: tenant.audience,
    exp: now + lifetime,
    iat: now,
    nbf: now,
    jti: needs.randomBytes(ID_BYTES).toString('hex'),
    tenant_id: tenant.id,
    scope,
    metadata: {},
    token_type: 'access',
    client_id: client,
  }
  const accessToken = await needs.tokens.sign(tenant.id, claims, 'at+jwt')
  return { access_token: accessToken, token_type: 'Bearer', expires_in: lifetime, scope }
}
