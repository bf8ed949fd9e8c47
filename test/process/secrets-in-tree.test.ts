/** Nothing in the repository opens anything: no key, no token, no password that is in use somewhere. */
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** What is a secret by its form, whoever made it. */
const FORMS: readonly (readonly [name: string, form: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s)*[A-Za-z0-9+/=\s\\]{64,}/],
  ['a private JWK', /["']?\bd["']?\s*:\s*["'][A-Za-z0-9_-]{40,}["']/],
  ['a signed token', /\beyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}/],
  ['a refresh token of ours', /\bgwr_[A-Za-z0-9_-]{40,}/],
  ['a device token of ours', /\bgwd_[A-Za-z0-9_-]{40,}/],
  ['a key of AWS', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/],
  ['a key of Google', /\bAIza[A-Za-z0-9_-]{35}\b/],
  ['a token of GitHub', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b/],
  ['a token of GitLab', /\bglpat-[A-Za-z0-9_-]{20,}/],
  ['a token of npm', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a token of Slack', /\bxox[abposr]-[A-Za-z0-9-]{10,}|hooks\.slack\.com\/services\/[A-Z0-9]/],
  ['a key of Stripe', /\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}/],
  ['a password in a URL', /\b[a-z]+:\/\/[A-Za-z0-9_-]+:(?!\$|\{|\[|<|…|\.\.\.)[^\s@/"'`$]{6,}@[a-z0-9.-]+\.[a-z]{2,}/],
]

/** Chance looks like this: long, and hardly anything twice. */
const CANDIDATE = /[A-Za-z0-9+/_-]{40,}={0,2}/g
/** Bits for each character; English has about 3, hex at most 4, base64 at most 6. */
const CHANCE = 4.7

/**
 * Files that have something of such a form, and why it opens nothing. Whoever adds one says why.
 */
const KNOWN: Readonly<Record<string, string>> = {
  'config/examples/client-keys.json': 'the public key of an example of RFC 7517',
  'src/services/openapi/operations.ts': 'an example of a token, cut off',
  'test/unit/config/storage.test.ts': 'made-up passwords of servers that do not exist',
  'test/unit/telemetry/redact.test.ts': 'what redaction must find: keys of RFC 7515, and made-up ones',
}

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\0')
  .filter((name) => name !== '' && !isElsewhere(name))

/** Hashes of packages, and pictures, are chance by design. */
function isElsewhere(name: string): boolean {
  if (name === 'package-lock.json' || /\.(?:png|jpe?g|ico|woff2?|gz)$/.test(name)) return true
  const stats = statSync(join(ROOT, name), { throwIfNoEntry: false })
  return stats === undefined || !stats.isFile()
}

function findingsIn(text: string): readonly string[] {
  const forms = FORMS.flatMap(([what, form]) => (form.test(text) ? [what] : []))
  const chance = (text.match(CANDIDATE) ?? []).filter((one) => isChance(one))
  return [...forms, ...chance.slice(0, 1).map((one) => `chance: ${one.slice(0, 6)}…`)]
}

const ALPHABET = /abcdefghijklmnopqrstuvwxyz|ABCDEFGHIJKLMNOPQRSTUVWXYZ/

/** Of random base64 alone: words, paths and hex are too even. */
function isChance(text: string): boolean {
  if (ALPHABET.test(text)) return false
  if (!/[a-z]/.test(text) || !/[A-Z]/.test(text) || !/\d/.test(text)) return false
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits > CHANCE
}

const found = new Map(
  files.flatMap((name): [string, readonly string[]][] => {
    const findings = findingsIn(readFileSync(join(ROOT, name), 'utf8'))
    return findings.length === 0 ? [] : [[name, findings]]
  }),
)

describe('the files of the repository', () => {
  it('are looked at, all of them', () => {
    expect(files.length).toBeGreaterThan(500)
    for (const name of ['src/main.ts', 'gateway.yaml', 'README.md', '.github/workflows/ci.yml']) expect(files).toContain(name)
  })

  it('have nothing in them that could open something', () => {
    expect([...found].filter(([name]) => KNOWN[name] === undefined)).toEqual([])
  })

  it('are on the list of those that are known only while they have to be', () => {
    expect(Object.keys(KNOWN).filter((name) => !found.has(name))).toEqual([])
  })
})
