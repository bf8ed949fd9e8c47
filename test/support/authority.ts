/** An authority for the tests, and what it vouches for; made by openssl when they run. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** PEM both. */
export interface Pair {
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  /** PEM. */
  readonly certificate: string
  /** A certificate for these names, the first of which is its common name. */
  server(names: readonly string[], days?: number): Pair
  /** A certificate of a client, its subject as openssl writes it: `/O=Example/CN=billing`. */
  client(subject: string, days?: number): Pair
  /** Another certificate of the authority itself, for the same key. PEM. */
  renewed(): string
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** A new authority. Its files are removed when the process ends. */
export function createAuthority(name = 'Test authority'): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-ca-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', `/CN=${name}`)
  let made = 0
  return {
    certificate: read('ca.pem'),
    server: (names, days) => issue(`/CN=${names[0]}`, `subjectAltName=${names.map((one) => `DNS:${one}`).join(',')}`, days),
    client: (subject, days) => issue(subject, 'extendedKeyUsage=clientAuth', days),
    renewed() {
      openssl('req', '-x509', '-new', '-key', 'ca.key', '-out', 'renewed.pem', '-days', '3', '-subj', `/CN=${name}`)
      return read('renewed.pem')
    },
  }

  function issue(subject: string, extension: string, days = 2): Pair {
    made += 1
    const file = `made-${made}`
    openssl('req', ...KEY, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-utf8', '-subj', subject, '-addext', extension)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy', '-days', String(days)]
    openssl('x509', '-req', '-in', `${file}.csr`, ...by, '-out', `${file}.pem`)
    return { certificate: read(`${file}.pem`), key: read(`${file}.key`) }
  }

  function openssl(...args: readonly string[]): void {
    execFileSync('openssl', [...args], { cwd: folder, stdio: 'pipe' })
  }

  function read(file: string): string {
    return readFileSync(join(folder, file), 'utf8')
  }
}
