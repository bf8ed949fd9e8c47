/** Certificates that openssl makes, in a temporary folder of their own. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

/** One that vouches for itself. `names`: such as `DNS:localhost,IP:127.0.0.1`. */
export function selfSigned(names: string): SelfSigned {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-certificate-'))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  try {
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test',
    ]
    execFileSync('openssl', [...made, '-keyout', key, '-out', certificate, '-addext', `subjectAltName=${names}`], {
      stdio: 'pipe',
    })
    return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
