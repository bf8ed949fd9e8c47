/** What the product is made of, and how it is released. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const ROOT = join(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8')

interface Locked {
  readonly version: string
  readonly resolved?: string
  readonly integrity?: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
  readonly peer?: boolean
  readonly link?: boolean
}

const manifest = JSON.parse(read('package.json')) as { readonly dependencies: Readonly<Record<string, string>> }
const lock = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> }
const packages = Object.entries(lock.packages).filter(([path]) => path.includes('node_modules/'))
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
const running = packages.filter(([, one]) => one.dev !== true && one.devOptional !== true)

/** May be passed on with the product without a word about the product's own source (OSI, no copyleft). */
const FREE: ReadonlySet<string> = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0'])
/** Of tools, which nobody gets. */
const FREE_FOR_TOOLS: ReadonlySet<string> = new Set([
  ...FREE,
  'MPL-2.0',
  'CC0-1.0',
  'CC-BY-4.0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
])

describe('every package of the lock file', () => {
  it('is held to its hash', () => {
    expect(packages.length).toBeGreaterThan(100)
    const loose = packages.filter(([, one]) => one.link === true || !/^sha512-[A-Za-z0-9+/]{86}==$/.test(one.integrity ?? ''))
    expect(loose.map(([path]) => path)).toEqual([])
    expect(packages.filter(([, one]) => !(one.resolved ?? 'https://').startsWith('https://')).map(([path]) => path)).toEqual([])
  })

  it('that runs may be passed on with the product', () => {
    expect(running.length).toBeGreaterThan(Object.keys(manifest.dependencies).length)
    expect(running.flatMap(([path, { license }]) => (isIn(FREE, license) ? [] : [`${nameOf(path)}: ${license}`]))).toEqual([])
  })

  it('that is a tool is free to use', () => {
    expect(
      packages.flatMap(([path, { license }]) => (isIn(FREE_FOR_TOOLS, license) ? [] : [`${nameOf(path)}: ${license}`])),
    ).toEqual([])
  })

  it('is named exactly, where the product names it', () => {
    expect(Object.entries(manifest.dependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })
})

/** Of `(MIT OR GPL-2.0)` one is enough. */
function isIn(allowed: ReadonlySet<string>, license: string | undefined): boolean {
  const choices = (license ?? '').replace(/^\(|\)$/g, '').split(' OR ')
  return choices.some((choice) => choice.split(' AND ').every((one) => allowed.has(one)))
}

describe('the bill of materials', () => {
  interface Component {
    readonly name: string
    readonly version: string
    readonly purl: string
    readonly hashes?: readonly { readonly alg: string }[]
    readonly licenses?: readonly unknown[]
  }

  it('has everything that runs, at its version, with hash and licence, and no tool', { timeout: 60_000 }, () => {
    const text = execFileSync(process.execPath, [join(ROOT, '.ci/sbom.mjs')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const bill = JSON.parse(text) as { readonly bomFormat: string; readonly components: readonly Component[] }
    expect(bill.bomFormat).toBe('CycloneDX')
    const listed = bill.components.map(({ name, version }) => `${name}@${version}`)
    const named = Object.entries(manifest.dependencies).map(([name, version]) => `${name}@${version}`)
    expect(listed).toEqual(expect.arrayContaining(named))
    expect([...new Set(listed)].toSorted()).toEqual(
      [...new Set(running.map(([path, { version }]) => `${nameOf(path)}@${version}`))].toSorted(),
    )
    const bare = bill.components.filter(
      ({ purl, hashes, licenses }) => !purl.startsWith('pkg:npm/') || hashes?.[0]?.alg !== 'SHA-512' || licenses === undefined,
    )
    expect(bare).toEqual([])
  })
})

describe('a workflow', () => {
  interface Job {
    readonly permissions?: Readonly<Record<string, string>>
    readonly 'timeout-minutes'?: number
    readonly steps: readonly {
      readonly uses?: string
      readonly run?: string
      readonly with?: Readonly<Record<string, unknown>>
    }[]
  }
  interface Workflow {
    readonly on: unknown
    readonly permissions?: unknown
    readonly jobs: Readonly<Record<string, Job>>
  }
  const names = readdirSync(join(ROOT, '.github/workflows'))
  const workflows = names.map((name) => [name, parse(read(`.github/workflows/${name}`)) as Workflow] as const)
  const stepsOf = (workflow: Workflow) => Object.values(workflow.jobs).flatMap(({ steps }) => steps)

  it.each(workflows)('%s may do no more than it has to', (_, workflow) => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    expect(JSON.stringify(workflow.on)).not.toContain('pull_request_target')
    for (const job of Object.values(workflow.jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0)
    for (const step of stepsOf(workflow)) {
      if (step.uses?.startsWith('actions/checkout') === true) expect(step.with).toMatchObject({ 'persist-credentials': false })
      // What others may name, a branch or a title, is no part of a script.
      expect(step.run ?? '').not.toContain('${{')
    }
  })

  it.each(workflows)('%s runs files and actions with a version', (_, workflow) => {
    for (const { uses, run } of stepsOf(workflow)) {
      if (uses !== undefined) expect(uses).toMatch(/^[\w.-]+\/[\w./-]+@(?:v\d+|[0-9a-f]{40})$/)
      for (const [file] of (run ?? '').matchAll(/(?<=^|\s)(?:\.ci|deploy)\/[\w./-]+/g))
        expect(existsSync(join(ROOT, file))).toBe(true)
    }
  })

  it('of a release audits, tests, lists what is in it, and says where it comes from', () => {
    const release = workflows.find(([name]) => name === 'release.yml')?.[1]
    const steps = release === undefined ? [] : stepsOf(release)
    const did = steps.map(({ uses = '', run = '' }) => `${uses}\n${run}`)
    const at = (text: string) => did.findIndex((one) => one.includes(text))
    const order = [
      'npm audit --omit dev',
      '.ci/run',
      'npm pack',
      'attest-build-provenance',
      'attest-sbom',
      'gh release create',
    ].map(at)
    expect(order.every((index) => index >= 0)).toBe(true)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(at('npm audit signatures')).toBe(order[0])
  })
})
