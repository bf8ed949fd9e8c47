import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseConfig } from '../../src/config/config.ts'
import { findRouteFaultsOf } from '../../src/gateway.ts'
import { codeIn, readPage, readPages, ROOT, rowsOf } from './documents.ts'

/** A node of a JSON Schema, as far as it says what keys there are. */
interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly default?: unknown
}

const SECTIONS = [
  'Listeners',
  'Process and storage',
  'Tenants',
  'Accounts and usernames',
  'Clients',
  'Issuers',
  'Revocation and identity',
  'Upstreams',
  'Routes',
  'Telemetry',
]

const page = readPage('docs/configuration.md')
const supported = SECTIONS.flatMap((section) => rowsOf(page, section))

describe('docs/configuration.md', () => {
  it('has every key of config/gateway.schema.json with its default, and no other', () => {
    const schema = JSON.parse(readFileSync(join(ROOT, 'config/gateway.schema.json'), 'utf8')) as Node
    const documented = supported.map(([key, value]) => [codeIn(key), value === '–' ? '' : codeIn(value)])
    const written = leavesOf(schema, '').map(([key, node]) => [key, scalarDefault(node)])
    expect(documented.toSorted(byKey)).toEqual(written.toSorted(byKey))
  })

  it('says of each in which range it is and what it means', () => {
    const isSelfEvident = (key: string) => key.startsWith('identity.headers.')
    expect(supported.filter(([key, , range, meaning]) => !range || (!meaning && !isSelfEvident(codeIn(key))))).toEqual([])
  })
})

describe('a configuration in a document', () => {
  const blocks = readPages().flatMap(({ name, blocks }) => blocks.map((block) => ({ name, ...block })))
  const whole = blocks.filter(({ info }) => info === 'yaml gateway.yaml')

  it('is there', () => {
    expect(whole.map(({ name }) => name)).toContain('README.md')
  })

  it.each(whole)('has no fault: $name', ({ text }) => {
    const needs = { environment: {}, readFile: () => '', inspect: findRouteFaultsOf }
    expect(parseConfig(text, 'gateway.yaml', needs).routes.length).toBeGreaterThan(0)
  })

  const record = z.record(z.string(), z.any())
  const written = record.parse(JSON.parse(readFileSync(join(ROOT, 'config/gateway.schema.json'), 'utf8')))
  const sections = Object.keys(record.parse(written['properties']))
  const schema = z.fromJSONSchema(written)
  const parts = blocks.filter(({ info }) => info === 'yaml')

  it.each(parts)('has keys that exist and values that are taken, where it is a part of one: $name', ({ text }) => {
    for (const document of text.split(/^---$/m)) {
      const part = record.parse(parse(document))
      // What is no section is a part of a route.
      const isSections = Object.keys(part).every((key) => sections.includes(key))
      const whole = isSections ? part : { routes: [{ match: { path: '/' }, ...part }] }
      expect(schema.safeParse(whole).error?.issues ?? []).toEqual([])
    }
  })
})

function leavesOf(node: Node, path: string): [string, Node][] {
  const own: [string, Node][] = Object.entries(node.properties ?? {}).flatMap(([key, inner]) =>
    branchesOf(inner, path === '' ? key : `${path}.${key}`),
  )
  return own
}

/** A key with what is below it; a key with nothing below it, or with a choice of a value or what is below, is a leaf itself. */
function branchesOf(node: Node, path: string): [string, Node][] {
  const inner = innerOf(node, path)
  const isSecret = inner.length > 0 && inner.every(([key]) => /\.(?:env|file)$/.test(key)) && !/(?:jwks|keys)$/.test(path)
  if (inner.length === 0 || isSecret) return [[path, node]]
  return hasValueBeside(node) ? [[path, node], ...inner] : inner
}

function innerOf(node: Node, path: string): [string, Node][] {
  if (node.properties !== undefined) return leavesOf(node, path)
  if (typeof node.additionalProperties === 'object' && node.additionalProperties.properties !== undefined) {
    return leavesOf(node.additionalProperties, `${path}.${['tenants', 'clients'].includes(path) ? '<id>' : '<name>'}`)
  }
  if (node.items !== undefined) return innerOf(node.items, `${path}[]`)
  // A mapping, or a list of such: the same keys.
  const isEither = node.anyOf?.some((option) => option.properties !== undefined) ?? false
  return (node.anyOf ?? []).flatMap((option) => (isEither && option.items !== undefined ? [] : innerOf(option, path)))
}

/** A value or a mapping, or a list of such. */
function hasValueBeside(node: Node): boolean {
  return (node.anyOf ?? node.items?.anyOf)?.some((option) => option.properties === undefined) ?? false
}

function scalarDefault(node: Node): string {
  const value = node.default
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

function byKey(a: readonly string[], b: readonly string[]): number {
  return (a[0] ?? '') < (b[0] ?? '') ? -1 : 1
}
