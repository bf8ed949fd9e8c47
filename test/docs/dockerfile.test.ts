import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { argumentsOf, readInstructions } from '../support/dockerfile.ts'
import { packageOf, ROOT } from './documents.ts'

const read = (name: string) => readFileSync(join(ROOT, name), 'utf8')

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
}

describe('Dockerfile', () => {
  const instructions = readInstructions(join(ROOT, 'Dockerfile'))
  const said = (name: string) => argumentsOf(instructions, name)
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
  const sources = said('COPY')
    .filter((line) => !line.startsWith('--from'))
    .flatMap((line) => line.split(' ').slice(0, -1))
  const manifest = JSON.parse(read('package.json')) as Manifest

  it('copies what is there', () => {
    expect(sources.length).toBeGreaterThan(3)
    expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([])
  })

  it('gets what it copies, and nothing else, past .dockerignore', () => {
    const lines = read('.dockerignore').split('\n')
    const rules = lines.filter((line) => line !== '' && !line.startsWith('#'))
    expect(rules[0]).toBe('*')
    expect(rules.slice(1).toSorted()).toEqual([...new Set(sources)].map((source) => `!${source}`).toSorted())
  })

  it('starts from the version of Node that the repository pins', () => {
    const images = said('FROM').map((line) => line.split(' ')[0])
    expect(new Set(images)).toEqual(new Set([`node:${manifest.devDependencies['node']}-bookworm-slim`]))
    expect(said('LABEL').join(' ')).toContain(`base.name="docker.io/library/${images[0]}"`)
    expect(said('ARG')).toContain(`VERSION=${manifest.version}`)
  })

  it('runs as a user without rights, known by number, writes to its volume only and says how it is', () => {
    expect(last.findIndex(({ name, text }) => name === 'USER' && text === '1000:1000')).toBeGreaterThan(
      last.findLastIndex(({ name }) => name === 'RUN' || name === 'COPY'),
    )
    expect(last.filter(({ name, text }) => name === 'COPY' && !text.includes('--chown=0:0'))).toEqual([])
    expect(said('VOLUME')).toEqual(['/data'])
    expect(said('EXPOSE')).toEqual(['8080 9901'])
    expect(said('STOPSIGNAL')).toEqual(['SIGTERM'])
    expect(said('HEALTHCHECK')[0]).toContain('http://127.0.0.1:9901/healthz')
    expect(said('ENTRYPOINT')).toEqual(['["node", "/opt/gatehouse/src/main.ts"]'])
    expect(said('CMD')).toEqual(['["start"]'])
  })

  it('has no secret in it, and nothing that fetches what the lock file does not pin', () => {
    const text = instructions.map(({ name, text: words }) => `${name} ${words}`).join('\n')
    expect(text).not.toMatch(/password|secret|token|npm_config|curl|wget|apt-get/i)
    expect(said('ADD')).toEqual([])
    expect(said('ENV').join(' ')).not.toMatch(/KEY|TOKEN|PASSWORD|SECRET/)
  })

  it('needs no development package: src/ imports what dependencies have', () => {
    const imported = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) =>
        [
          ...read(join('src', name)).matchAll(/(?:^(?:import|export) .*|^\} )from '([^'.][^']*)'$|\bimport\('([^'.][^']*)'\)/gm),
        ].map(([, name, loaded]) => name ?? loaded ?? ''),
      )
      .filter((name) => !isBuiltin(name))
      .map(packageOf)
    expect(new Set(imported)).toEqual(new Set(Object.keys(manifest.dependencies)))
  })
})

describe('LICENSE', () => {
  it('is the whole Apache License 2.0', () => {
    const text = read('LICENSE')
    expect(text).toMatch(/^\s*Apache License\s+Version 2\.0, January 2004/)
    expect(text).toContain('END OF TERMS AND CONDITIONS')
    expect(JSON.parse(read('package.json'))).toMatchObject({ license: 'Apache-2.0' })
  })
})

describe('CHANGELOG.md', () => {
  it('has the form of Keep a Changelog 1.1', () => {
    const lines = read('CHANGELOG.md').split('\n')
    expect(lines[0]).toBe('# Changelog')
    expect(read('CHANGELOG.md')).toContain('https://keepachangelog.com/en/1.1.0/')
    const versions = lines.filter((line) => line.startsWith('## '))
    expect(versions[0]).toBe('## [Unreleased]')
    for (const version of versions.slice(1)) expect(version).toMatch(/^## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}$/)
    const kinds = lines.filter((line) => line.startsWith('### '))
    for (const kind of kinds) expect(kind).toMatch(/^### (?:Added|Changed|Deprecated|Removed|Fixed|Security)$/)
  })
})
