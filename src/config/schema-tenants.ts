import { z } from 'zod'
import { host, httpIssuer, scope } from './addresses.ts'
import { choice, duration, flag, integer, percentage, plainText, rate, seconds, text, username } from './scalars.ts'
import { secret } from './secrets.ts'
import { countries } from './schema-sharing.ts'
import { list, mapping } from './shapes.ts'
import { redisUrl, sessionStorage } from './storage-urls.ts'

const CHANNEL = 'must be the name of a channel: visible ASCII, 1 to 128 characters'

function channelName() {
  return text<string>(CHANNEL, '^[\\x21-\\x7e]{1,128}$', (value) => (/^[\x21-\x7e]{1,128}$/.test(value) ? value : undefined))
}

const NAME = 'must be a name of 1 to 100 characters, without control characters or space around it'

function displayName() {
  return text<string>(NAME, '^\\S(.{0,98}\\S)?$', (value) => {
    const isPlain = !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)
    return isPlain && value !== '' && value.length <= 100 && value.trim() === value ? value : undefined
  })
}

/** One value of `tenants`. */
export const tenant = mapping({
  name: displayName().optional().describe('What people call it, shown to operators. Default: its id.'),
  hosts: list(host('exact')).prefault([]).describe('Requests to these hosts belong to this tenant.'),
  issuer: httpIssuer().optional().describe('`iss` of its tokens. Default: the public origin + /t/<tenant>.'),
  audience: plainText('an audience').prefault('api').describe('`aud` of its tokens.'),
  signing: choice(['RS256', 'ES256', 'EdDSA']).prefault('RS256').describe('How its tokens are signed.'),
  accessToken: mapping({
    lifetime: seconds('60s', '12h').prefault('15m').describe('Life of an access token.'),
    jitter: percentage(5)
      .prefault('0%')
      .describe('Each life is cut by up to this share, at random, so that fleets do not refresh in step.'),
  }).prefault({}),
  refreshToken: mapping({
    lifetime: seconds('60s', '3650d').prefault('30d').describe('Life of a session.'),
    idle: seconds('60s', '3650d').prefault('14d').describe('A session that is not used this long ends.'),
    rotation: flag()
      .prefault(true)
      .describe('Each refresh gives a new refresh token; an old one that comes back ends the session.'),
    grace: seconds('0s', '60s')
      .prefault('10s')
      .describe('How long the token before the newest still gets that same newest one, for lost answers.'),
  }).prefault({}),
  sessionsPerUser: integer(1, 10_000).prefault(100).describe('Sessions of one user; one more ends the least recently used.'),
  loginScopes: list(scope()).prefault([]).describe('Scopes of the tokens of a login with a password.'),
  keys: mapping({
    rotateEvery: seconds('1h', '3650d').prefault('90d').describe('How long a signing key signs.'),
    publishBefore: seconds('10m', '30d')
      .prefault('10m')
      .describe('How long a signing key is published before it signs: twice as long as a JWKS is cached, at least.'),
  })
    .prefault({})
    .describe('Rotation of the signing keys.'),
  registration: choice(['open', 'closed']).prefault('open').describe('Whether anyone may register an account.'),
  clockSkew: seconds('0s', '120s').prefault('2s').describe('How long past their expiry its tokens are still taken.'),
  throttle: mapping({
    login: rate().prefault('20/m').describe('Logins of one IP address (a /64 for IPv6).'),
    usernames: rate()
      .prefault('10/m')
      .describe('Checks of usernames by one IP address (a /64 for IPv6); three times as many by a user or with a ticket.'),
    usernamesTotal: rate().prefault('50000/s').describe('Checks of usernames by all together, on each gateway.'),
  }).prefault({}),
  usernames: mapping({
    reserved: list(username()).prefault([]).describe('Names that nobody can have, nor one that looks like them.'),
    protected: list(username()).prefault([]).describe('Names of which nobody can have a look-alike; they themselves can be had.'),
  })
    .prefault({})
    .describe('Usernames that are kept from users.'),
  countries: countries.optional().describe('Countries that its users must be in. Needs geography.'),
  anomalies: mapping({
    newDevice: choice(['off', 'record']).prefault('off').describe('Logins from a device that the user has not logged in from.'),
    impossibleTravel: choice(['off', 'record', 'refuse'])
      .prefault('off')
      .describe('Logins so far from the last one that nobody travels as fast. Needs geography.'),
  })
    .prefault({})
    .describe('What is odd about a login with a password, and what comes of it.'),
})

/** One value of `clients`. */
export const client = mapping({
  tenant: plainText('the id of a tenant').optional().describe('The tenant that it may act for.'),
  secret: secret().optional().describe('Its secret, at least 16 bytes: { env } or { file }.'),
  keys: mapping({
    file: plainText('the path of a JWKS file').optional().describe('Its public keys, relative to this file.'),
  })
    .optional()
    .describe('Its public keys in place of a secret, for private_key_jwt.'),
  scopes: list(scope())
    .optional()
    .describe('What it may do: sessions:write, sessions:read, tokens:introspect, revocations:read, or scopes of your own.'),
})

/** `revocation`. */
export const revocation = mapping({
  maxStaleness: duration('1ms', '1d').prefault('10s').describe('How old the local copy of the revocations may be.'),
  whenStale: choice(['deny', 'allow', 'verify', 'safe-methods'])
    .prefault('deny')
    .describe('What happens to a token when the copy is older.'),
  breaker: mapping({
    timeout: duration('1ms', '1m').prefault('50ms').describe('Longest wait for one look-up.'),
    errorThreshold: percentage().prefault('50%').describe('Share of failures that opens the breaker.'),
    resetAfter: duration('1ms', '1h').prefault('1s').describe('When an open breaker tries again.'),
  })
    .prefault({})
    .describe('Guards the look-ups of whenStale: verify.'),
  legacyChannel: mapping({
    name: channelName().prefault('token_invalidation').describe('Name of the channel.'),
    publishRawToken: flag()
      .prefault(false)
      .describe('Also publishes tokens that end as they are, for subscribers that know nothing else.'),
  })
    .optional()
    .describe('Hears and tells an older authentication service, on a channel of the Redis of storage.sessions, what ended.'),
})

/** `storage.sessions`: a word or URL, or the nodes of several machines. */
export const sessionsPlace = z.union([
  sessionStorage(),
  mapping({
    url: redisUrl().optional().describe('One Redis, as without a mapping.'),
    replica: redisUrl().optional().describe('A replica of it nearby, which revocations are read from. Goes with url.'),
    cluster: list(redisUrl()).optional().describe('Nodes of a Redis Cluster; one that answers leads to the others.'),
    sentinels: list(redisUrl()).optional().describe('Sentinels that know the master.'),
    name: plainText('the name of the master').optional().describe('What the sentinels call the master, such as mymaster.'),
    ca: plainText('the path of a PEM file')
      .optional()
      .describe('Certificates to trust for rediss://, a PEM file. Default: those of the system.'),
  }),
])

/** `masterKey`: one secret, or several, newest first. */
export const masterKey = z.union([secret(), list(secret())])
