/**
 * Looks at what stands around a gateway: its folder, issuers, upstreams, certificates.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { accessSync, constants, mkdirSync, statfsSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import type { Finding } from './check-up.ts'
import type { IssuerConfig, PublicListenerConfig, SessionStorageConfig, UpstreamConfig } from '../config/config.ts'
import { nowMs } from '../world.ts'

const CONNECT_MS = 2_000
const LITTLE_SPACE = 1024 * 1024 * 1024
const NO_SPACE = 64 * 1024 * 1024
const SOON_DAYS = 21
const DAY_MS = 86_400_000
const SOME_SKEW_SECONDS = 5
const LARGEST_JWKS = 1024 * 1024

export async function checkDirectory(directory: string): Promise<readonly Finding[]> {
  const check = 'directory'
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  const { bavail, bsize } = statfsSync(directory)
  const free = bavail * bsize
  const space = `${Math.floor(free / 1024 / 1024)} MiB free`
  if (free < NO_SPACE)
    return [{ level: 'fail', check, what: `${directory}: ${space}`, advice: 'make room: nothing can be written soon' }]
  const mode = statSync(directory).mode & 0o777
  if ((mode & 0o077) !== 0) {
    const what = `${directory}: mode ${mode.toString(8)}: others may look into it`
    return [{ level: 'warn', check, what, advice: `chmod 700 ${directory}` }]
  }
  if (free < LITTLE_SPACE) return [{ level: 'warn', check, what: `${directory}: ${space}`, advice: 'make room, or watch it' }]
  return [{ level: 'ok', check, what: `${directory}: can be written, mode 700, ${space}` }]
}

export async function checkIssuer({ name, keys, clockSkewSeconds }: IssuerConfig): Promise<readonly Finding[]> {
  const check = `issuer ${name}`
  // Files and secrets are read with the configuration.
  if (keys.kind !== 'uri')
    return [{ level: 'ok', check, what: `keys from ${keys.kind === 'file' ? 'a file' : 'shared secrets'}` }]
  const advice = `its tokens are refused until its keys are there: see issuers.${name}.jwks`
  try {
    const response = await fetch(keys.uri, { redirect: 'error', signal: AbortSignal.timeout(keys.timeoutMs) })
    const around = [...clockOf(check, response.headers.get('date'), clockSkewSeconds), ...(await certificateOf(check, keys.uri))]
    if (response.status !== 200) return [{ level: 'fail', check, what: `its keys: status ${response.status}`, advice }, ...around]
    const count = countKeys(await response.text())
    if (count > 0) return [{ level: 'ok', check, what: `${count} keys fetched` }, ...around]
    return [{ level: 'fail', check, what: 'its keys: no JWKS, or an empty one', advice }, ...around]
  } catch (error) {
    return [{ level: 'fail', check, what: `its keys cannot be fetched: ${causeOf(error)}`, advice }]
  }
}

/** RFC 9110 §6.6.1: its clock as it says itself, in whole seconds. Tokens from the future are refused, and late ones too. */
function clockOf(check: string, date: string | null, skewSeconds: number): readonly Finding[] {
  const theirs = date === null ? Number.NaN : Date.parse(date)
  if (Number.isNaN(theirs)) return []
  const ahead = Math.round((theirs - nowMs()) / 1000)
  const what = `its clock is ${Math.abs(ahead)} s ${ahead < 0 ? 'behind' : 'ahead'}, clockSkew is ${skewSeconds} s`
  // A second is what the header leaves open.
  if (Math.abs(ahead) <= Math.min(SOME_SKEW_SECONDS, skewSeconds) + 1) return [{ level: 'ok', check, what }]
  const level = Math.abs(ahead) > skewSeconds + 1 ? 'fail' : 'warn'
  return [{ level, check, what, advice: 'keep the clocks in step by NTP: its tokens would not be valid yet, or no more' }]
}

async function certificateOf(check: string, uri: string): Promise<readonly Finding[]> {
  const { protocol, hostname, port } = new URL(uri)
  if (protocol !== 'https:') return []
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const expires = await expiryOf({ host, port: Number(port === '' ? 443 : port), ...serverName(host) })
  return [validity(check, host, expires, "its operator's to renew: its keys cannot be fetched after that")]
}

function countKeys(text: string): number {
  if (text.length > LARGEST_JWKS) return 0
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys) ? value.keys.length : 0
  } catch {
    // No JSON: no keys.
    return 0
  }
}

/** An upstream may start later: what cannot be reached is worth a word, and no fault of the gateway. */
export async function checkTarget({ name, targets, tls }: UpstreamConfig): Promise<readonly Finding[]> {
  const check = `upstream ${name}`
  const findings: Finding[] = []
  for (const { url } of targets) {
    const isTls = url.protocol === 'https:'
    const port = Number(url.port === '' ? (isTls ? 443 : 80) : url.port)
    const address = { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port }
    const options = {
      ...address,
      rejectUnauthorized: tls.verify,
      ...(tls.ca !== undefined && { ca: tls.ca }),
      ...(tls.certificate !== undefined && { cert: tls.certificate }),
      ...(tls.key !== undefined && { key: tls.key }),
      ...serverName(tls.serverName ?? address.host),
    }
    const where = `${address.host}:${port}`
    try {
      findings.push(isTls ? validity(check, where, await expiryOf(options)) : await reached(check, where, address))
    } catch (error) {
      const advice = 'requests to it are 502 until it is there'
      findings.push({ level: 'warn', check, what: `${where} cannot be reached: ${causeOf(error)}`, advice })
    }
  }
  return findings
}

/** The certificates of the public listener, as they stand in their files. */
export function checkCertificates({ tls }: PublicListenerConfig): readonly Finding[] {
  return (tls?.certificates ?? []).map(({ certificate, certificateFile }) =>
    validity('certificate', certificateFile, Date.parse(new X509Certificate(certificate).validTo)),
  )
}

/** The certificates of Redis. */
export async function checkTls(config: SessionStorageConfig): Promise<readonly Finding[]> {
  if (config.kind === 'embedded') return []
  const urls = config.kind === 'redis' ? [config.url] : config.urls
  const findings: Finding[] = []
  for (const url of urls.map((text) => new URL(text)).filter(({ protocol }) => protocol === 'rediss:')) {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    const port = Number(url.port === '' ? (config.kind === 'sentinel' ? 26_379 : 6_379) : url.port)
    const options = { host, port, ...(config.ca !== undefined && { ca: config.ca }), ...serverName(host) }
    findings.push(validity('redis certificate', `${host}:${port}`, await expiryOf(options)))
  }
  return findings
}

/** RFC 6066 §3: an address is no server name. */
function serverName(host: string): { readonly servername?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host }
}

function validity(check: string, where: string, expiresMs: number, advice = 'renew it'): Finding {
  const days = Math.floor((expiresMs - nowMs()) / DAY_MS)
  const what = `${where}: its certificate ends in ${days} days`
  if (days >= SOON_DAYS) return { level: 'ok', check, what }
  return { level: days < 0 ? 'fail' : 'warn', check, what, advice }
}

function expiryOf(options: ConnectionOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...options, timeout: CONNECT_MS }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to))
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${CONNECT_MS / 1000} s`)))
  })
}

function reached(check: string, where: string, address: { readonly host: string; readonly port: number }): Promise<Finding> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, timeout: CONNECT_MS }, () => {
      resolve({ level: 'ok', check, what: `${where}: reached` })
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${CONNECT_MS / 1000} s`)))
  })
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  const { cause } = error
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
