/**
 * Renders a chart as `helm template` would, as far as this repository's uses it, and stricter: an unknown function, a field of
 * nothing and a value that is not there are errors.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { parseTemplate, type Expression, type Node } from './parse.ts'

type Mapping = Readonly<Record<string, unknown>>

export interface Release {
  readonly name: string
  readonly namespace: string
}

/** Text of each template that renders to something, by file. @throws Error when the values are not what the schema says, or the chart refuses them */
export function renderChart(folder: string, given: Mapping, release: Release): ReadonlyMap<string, string> {
  const chart = readYaml(join(folder, 'Chart.yaml'))
  const values = merge(readYaml(join(folder, 'values.yaml')), given)
  const schema = JSON.parse(readFileSync(join(folder, 'values.schema.json'), 'utf8')) as Parameters<typeof z.fromJSONSchema>[0]
  const checked = z.fromJSONSchema(schema).safeParse(values)
  if (!checked.success)
    throw new Error(checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'))
  const templates = new Map<string, readonly Node[]>()
  const base = `${String(chart['name'])}/templates`
  for (const file of readdirSync(join(folder, 'templates'))) {
    const { body, defined } = parseTemplate(readFileSync(join(folder, 'templates', file), 'utf8'), file)
    templates.set(`${base}/${file}`, body)
    for (const [name, nodes] of defined) templates.set(name, nodes)
  }
  const root = {
    Values: values,
    Chart: Object.fromEntries(Object.entries(chart).map(([key, value]) => [key.charAt(0).toUpperCase() + key.slice(1), value])),
    Release: { Name: release.name, Namespace: release.namespace, Service: 'Helm', IsInstall: true, IsUpgrade: false },
    Template: { BasePath: base },
    Files: { Get: (file: string) => readFileSync(join(folder, file), 'utf8') },
  }
  const render = createRenderer(templates)
  const files = [...templates.keys()].filter((name) => /\/(?!_)[^/]+\.(?:yaml|txt)$/.test(name))
  return new Map(
    files.map((name) => [name.slice(base.length + 1), render(name, root)] as const).filter(([, text]) => text.trim() !== ''),
  )
}

function readYaml(file: string): Mapping {
  return parse(readFileSync(file, 'utf8')) as Mapping
}

/** Mappings are merged, all else is replaced; `null` takes a key away. */
function merge(base: Mapping, given: Mapping): Mapping {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(given)) {
    const before = base[key]
    if (value === null) delete merged[key]
    else merged[key] = isMapping(before) && isMapping(value) ? merge(before, value) : value
  }
  return merged
}

interface Scope {
  readonly dot: unknown
  readonly variables: Map<string, unknown>
}

function createRenderer(templates: ReadonlyMap<string, readonly Node[]>): (name: string, dot: unknown) => string {
  return render

  function render(name: string, dot: unknown): string {
    const nodes = templates.get(name)
    if (nodes === undefined) throw new Error(`there is no template ${name}`)
    return write(nodes, { dot, variables: new Map([['', dot]]) })
  }

  function write(nodes: readonly Node[], scope: Scope): string {
    return nodes.map((node) => writeOne(node, scope)).join('')
  }

  function writeOne(node: Node, scope: Scope): string {
    if (node.kind === 'text') return node.text
    if (node.kind === 'output') return textOf(evaluate(node.value, scope))
    if (node.kind === 'set') {
      scope.variables.set(node.name, evaluate(node.value, scope))
      return ''
    }
    const on = evaluate(node.on, scope)
    if (!isTrue(on)) return write(node.otherwise, inner(scope))
    if (node.kind !== 'range') return write(node.body, node.kind === 'if' ? inner(scope) : inner(scope, on))
    const entries = Array.isArray(on) ? [...on.entries()] : Object.entries(on as Mapping).toSorted(([a], [b]) => (a < b ? -1 : 1))
    return entries
      .map(([key, value]: readonly [string | number, unknown]) => {
        const each = inner(scope, value)
        const [first, second] = node.names
        if (second !== undefined) each.variables.set(first ?? '', key).set(second, value)
        else if (first !== undefined) each.variables.set(first, value)
        return write(node.body, each)
      })
      .join('')
  }

  function evaluate(expression: Expression, scope: Scope): unknown {
    if (expression.kind === 'literal') return expression.value
    if (expression.kind === 'dot') return scope.dot
    if (expression.kind === 'variable') {
      if (!scope.variables.has(expression.name)) throw new Error(`there is no variable $${expression.name}`)
      return scope.variables.get(expression.name)
    }
    if (expression.kind === 'field') {
      const of = evaluate(expression.of, scope)
      if (!isMapping(of)) throw new Error(`.${expression.name} is asked of ${String(of)}`)
      return of[expression.name]
    }
    const words = expression.words.map((word) => evaluate(word, scope))
    if (expression.kind === 'method') {
      const method = evaluate(expression.of, scope)
      if (typeof method !== 'function') throw new Error('what is no function is given words')
      return method(...words) as unknown
    }
    if (expression.name === 'include') return render(String(words[0]), words[1])
    const run = FUNCTIONS[expression.name]
    if (run === undefined) throw new Error(`there is no function ${expression.name}`)
    return run(...words)
  }
}

function inner(scope: Scope, dot: unknown = scope.dot): Scope {
  return { dot, variables: new Map(scope.variables) }
}

const FUNCTIONS: Readonly<Record<string, (...words: unknown[]) => unknown>> = {
  and: (...words) => words.find((word) => !isTrue(word)) ?? words.at(-1),
  or: (...words) => words.find((word) => isTrue(word)) ?? words.at(-1),
  not: (word) => !isTrue(word),
  eq: (one, other) => one === other,
  gt: (one, other) => Number(one) > Number(other),
  int: (word) => Math.trunc(Number(word)),
  contains: (part, text) => String(text).includes(String(part)),
  default: (fallback, word) => (isTrue(word) ? word : fallback),
  fail(text) {
    throw new Error(String(text))
  },
  get: (of, key) => (isMapping(of) ? (of[String(key)] ?? '') : ''),
  list: (...words) => words,
  lower: (text) => String(text).toLowerCase(),
  nindent: (width, text) => `\n${String(text).replaceAll(/^/gm, ' '.repeat(Number(width)))}`,
  print: (...words) => words.map(String).join(''),
  printf(form, ...words) {
    const left = [...words]
    const text = String(form).replaceAll(/%[sdv]/g, () => String(left.shift()))
    if (left.length > 0 || text.includes('undefined')) throw new Error(`printf ${String(form)} does not fit its words`)
    return text
  },
  quote: (word: unknown) => JSON.stringify(textOf(word)),
  replace: (from, to, text) => String(text).replaceAll(String(from), String(to)),
  required(message, word) {
    if (word === undefined || word === '') throw new Error(String(message))
    return word
  },
  sha256sum: (text) => createHash('sha256').update(String(text)).digest('hex'),
  toString: (word: unknown) => (typeof word === 'string' ? word : JSON.stringify(word)),
  toYaml: (word) => stringify(word, { indentSeq: false, sortMapEntries: true, lineWidth: 0 }).trimEnd(),
  trimSuffix: (suffix, text) => (String(text).endsWith(String(suffix)) ? String(text).slice(0, -String(suffix).length) : text),
  trunc: (length, text) => String(text).slice(0, Number(length)),
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isMapping(value)) return Object.keys(value).length > 0
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== ''
}

function textOf(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new Error(`${JSON.stringify(value) ?? 'nothing'} cannot be written`)
}
