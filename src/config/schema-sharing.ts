import { z } from 'zod'
import { readNetwork, type OriginPattern } from '../exchange/exchange.ts'
import { headerName, isHostName, method } from './addresses.ts'
import { faultOfCountry } from './countries.ts'
import { isConnectionHeader } from './names.ts'
import { choice, flag, integer, plainText, scalar, seconds, text, type Reading } from './scalars.ts'
import { list, mapping } from './shapes.ts'

/** A network in CIDR form or one address, in lower case. */
function network() {
  return text<string>(
    'must be a network or an address, such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32',
    '^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$',
    (value): Reading<string> | undefined => {
      if (readNetwork(value) !== undefined) return { value: value.toLowerCase() }
      const [address = ''] = value.split('/')
      if (readNetwork(address) === undefined || !/\/\d{1,3}$/.test(value)) return undefined
      return { fault: 'must be the first address of its network: it has bits behind the prefix, or the prefix is too long' }
    },
  )
}

/** `ip` of a route. */
export const ip = mapping({
  allow: list(network()).prefault([]).describe('Networks (CIDR) or addresses that are let in. Default: all.'),
  deny: list(network()).prefault([]).describe('Networks (CIDR) or addresses that are not; goes before allow.'),
})

/** Two letters (ISO 3166-1), in upper case. */
function country() {
  const must = 'must be the code of a country: two letters, such as NO'
  return text<string>(must, '^[A-Za-z]{2}$', (value): Reading<string> | undefined => {
    const code = value.toUpperCase()
    const fault = /^[A-Z]{2}$/.test(code) ? faultOfCountry(code) : ''
    if (fault === undefined) return { value: code }
    return fault === '' ? undefined : { fault: `${fault}: write the code of one, two letters` }
  })
}

/** `countries` of a route or a tenant. */
export const countries = mapping({
  allow: list(country())
    .prefault([])
    .describe('Countries that are let in; a client whose country is not known is in none of them. Default: all.'),
  deny: list(country()).prefault([]).describe('Countries that are not; goes before allow.'),
})

/** `geography`. */
export const geography = mapping({
  header: headerName()
    .optional()
    .describe(
      'Header in which a trusted proxy names the country of the client, such as cf-ipcountry. From others it is removed.',
    ),
  file: plainText('the path of a file')
    .optional()
    .describe('Networks and their countries, one NETWORK,COUNTRY for each line; relative to this file.'),
})

export type OriginDraft = { readonly any: true } | { readonly origin: string } | OriginPattern

const SUCH = 'such as https://app.example.com or https://*.example.com'

/** An origin as browsers write it (RFC 6454 §6.2), with `*.` for one or more labels, or `*` for all. */
function sharedOrigin() {
  return text<OriginDraft>(
    `must be an origin, ${SUCH}`,
    '^(\\*|https?://[^/]+/?)$',
    (value): Reading<OriginDraft> | undefined => {
      if (value === '*') return { value: { any: true } }
      if (value === 'null')
        return { fault: `must not be null: every page can make itself one without an origin. Write an origin, ${SUCH}` }
      const [, scheme, host = '', port = ''] = /^(https?):\/\/([^/:@?#\s]+|\[[0-9a-f:.]+\])(:\d{1,5})?\/?$/i.exec(value) ?? []
      if (scheme === undefined) return undefined
      const name = host.toLowerCase()
      if (/[^\x20-\x7e]/.test(name)) return { fault: 'must be in ASCII: write the xn-- form' }
      const wild = name.startsWith('*.')
      const plain = wild ? name.slice(2) : name
      if (plain.includes('*'))
        return { fault: 'must be an origin: * stands for whole labels in front, as in https://*.example.com' }
      if (wild && (!plain.includes('.') || /^[\d.]+$/.test(plain)))
        return { fault: 'must name a domain behind *., such as https://*.example.com' }
      if (!plain.startsWith('[') && !isHostName(plain)) return undefined
      if (!URL.canParse(`${scheme}://${plain}${port}`)) return undefined
      const { origin } = new URL(`${scheme}://${plain}${port}`)
      if (!wild) return { value: { origin } }
      const start = `${scheme.toLowerCase()}://`
      return { value: { start, end: `.${origin.slice(start.length)}` } }
    },
  )
}

function fieldName() {
  return scalar<string>({ type: 'string' }, (value) => {
    if (value === '*')
      return { fault: 'must be the name of a header: with credentials * means nothing, and it never means authorization' }
    const read = headerName().safeParse(value)
    if (!read.success) return { fault: 'must be a header name, such as authorization' }
    return isConnectionHeader(read.data)
      ? { fault: 'belongs to the connection, and no page can set it: remove it' }
      : { value: read.data }
  })
}

/** `cors` of a route. */
export const cors = mapping({
  origins: list(sharedOrigin())
    .optional()
    .describe(
      'Origins whose pages may call and read; https://*.example.com for all below; * for every one, without credentials.',
    ),
  methods: list(method())
    .optional()
    .describe('Methods that they may use. Default: those of match.methods, else GET, HEAD, POST, PUT, PATCH and DELETE.'),
  headers: list(fieldName()).optional().describe('Headers that they may send. Default: authorization and content-type.'),
  exposedHeaders: list(fieldName())
    .optional()
    .describe('Headers of an answer that they may read. Default: x-request-id, retry-after, ratelimit and ratelimit-policy.'),
  credentials: flag().prefault(false).describe('true: cookies come along.'),
  maxAge: seconds('0s', '1d').prefault('10m').describe('How long a browser may keep what a preflight said.'),
  privateNetwork: flag().prefault(false).describe('true: pages from a public network may call a gateway on a private one.'),
})

/** `split` of a route. */
export const split = list(
  mapping({
    upstream: plainText('the name of an upstream').optional().describe('One of upstreams.'),
    weight: integer(0, 1_000_000).optional().describe('Its share of the users, as a part of all weights. 0: nobody.'),
  }),
)

/** `host` of a route. */
export const hostRule = z.union([
  choice(['upstream', 'preserve']),
  mapping({
    set: text<string>('must be a host name, such as orders.internal or orders.internal:8443', '^[^/\\s]+$', (value) => {
      const [, name = '', port] = /^([^:]{1,253})(?::(\d{1,5}))?$/.exec(value.toLowerCase()) ?? []
      return isHostName(name) && Number(port ?? 1) > 0 && Number(port ?? 1) < 65_536 ? value.toLowerCase() : undefined
    })
      .optional()
      .describe('The Host header that the upstream sees, with or without a port.'),
  }),
])
