/**
 * The house rules of ARCHITECTURE.md as data: who may import what. Each breach is named with its file.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const SRC = join(import.meta.dirname, '..', 'src')
const HALL = ['exchange', 'problem', 'config']
const MAX_LINES = 300

interface Rule {
  /** Rooms whose door may be imported, types and values; the hall is named where it may be entered. */
  readonly rooms: readonly string[]
  /** Rooms of which only types may be imported, from any file of theirs. */
  readonly types?: readonly string[]
  readonly packages: readonly string[]
  readonly node: readonly string[]
}

const ANY_ROOM = readdirSync(SRC, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

/** Place → what it may import. A file directly in src/ is a place of its own. */
const RULES: Readonly<Record<string, Rule>> = {
  exchange: { rooms: [], packages: [], node: [] },
  problem: { rooms: [], packages: [], node: [] },
  config: { rooms: ['exchange'], packages: ['yaml', 'zod'], node: ['fs', 'path', 'crypto', 'net', 'url', 'process', 'util'] },
  router: { rooms: HALL, packages: [], node: [] },
  cors: { rooms: HALL, packages: [], node: [] },
  networks: { rooms: HALL, packages: [], node: [] },
  geography: { rooms: HALL, packages: [], node: [] },
  split: { rooms: HALL, packages: [], node: [] },
  'access-diff': { rooms: [...HALL, 'router', 'services'], packages: [], node: [] },
  policy: { rooms: HALL, packages: [], node: [] },
  quota: { rooms: HALL, packages: [], node: [] },
  reload: { rooms: [], packages: [], node: [] },
  workers: { rooms: [], packages: [], node: ['cluster'] },
  'login-counts.ts': { rooms: HALL, types: ['services', 'workers'], packages: [], node: [] },
  'rate-counts.ts': { rooms: [], types: ['quota', 'workers'], packages: [], node: [] },
  'member.ts': {
    rooms: [...HALL, 'login-counts.ts', 'rate-counts.ts', 'workers', 'world.ts'],
    types: ['admin', 'gateway.ts', 'quota', 'services', 'telemetry'],
    packages: [],
    node: [],
  },
  'crew-metrics.ts': { rooms: ['telemetry'], types: ['workers'], packages: [], node: [] },
  'crew-console.ts': { rooms: ['console', 'telemetry', 'world.ts'], types: ['workers'], packages: [], node: [] },
  'crew-views.ts': { rooms: [], packages: [], node: [] },
  'crew.ts': {
    rooms: [
      ...HALL,
      'admin',
      'crew-console.ts',
      'crew-metrics.ts',
      'crew-views.ts',
      'login-counts.ts',
      'quota',
      'rate-counts.ts',
      'services',
      'telemetry',
      'workers',
      'world.ts',
    ],
    types: ['gateway.ts', 'member.ts'],
    packages: [],
    node: [],
  },
  replay: { rooms: HALL, packages: [], node: [] },
  legacy: { rooms: HALL, packages: [], node: [] },
  identity: { rooms: HALL, packages: [], node: [] },
  live: { rooms: HALL, packages: [], node: [] },
  overload: { rooms: HALL, packages: [], node: [] },
  listener: { rooms: HALL, packages: [], node: ['http', 'http2', 'tls', 'net', 'stream', 'crypto', 'events'] },
  authenticator: { rooms: HALL, packages: [], node: ['crypto'] },
  errors: { rooms: [], packages: [], node: [] },
  client: { rooms: ['errors'], packages: [], node: [] },
  validator: {
    rooms: [...HALL, 'authenticator', 'errors', 'revocation', 'storage', 'world.ts'],
    types: ['services'],
    packages: [],
    node: ['crypto', 'http'],
  },
  revocation: { rooms: HALL, packages: ['opossum', 'lru-cache'], node: [] },
  upstream: {
    rooms: HALL,
    packages: ['undici', 'http-proxy-3'],
    node: ['dns/promises', 'http', 'http2', 'module', 'net', 'stream'],
  },
  telemetry: { rooms: HALL, packages: ['prom-client'], node: ['perf_hooks', 'process'] },
  traces: {
    rooms: HALL,
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/exporter-trace-otlp-proto',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
    ],
    node: [],
  },
  'tracing.ts': {
    rooms: ['config', 'problem', 'telemetry', 'traces', 'world.ts'],
    types: ['exchange', 'foundation.ts', 'pipeline.ts'],
    packages: [],
    node: [],
  },
  tenants: { rooms: HALL, packages: ['jose'], node: ['crypto', 'util'] },
  services: { rooms: HALL, packages: ['graphql', 'lru-cache', 'opossum', 'zod'], node: ['crypto'] },
  storage: {
    rooms: HALL,
    types: ['quota', 'replay', 'revocation', 'services', 'tenants'],
    packages: ['ioredis', 'kysely', 'mysql2', 'opossum', 'pg'],
    node: ['sqlite', 'fs', 'fs/promises', 'path', 'crypto', 'perf_hooks', 'net'],
  },
  admin: { rooms: HALL, packages: [], node: ['http', 'net', 'crypto'] },
  console: { rooms: HALL, packages: [], node: ['fs'] },
  'pipeline.ts': { rooms: HALL, types: ANY_ROOM, packages: [], node: ['http', 'stream'] },
  'world.ts': { rooms: [], packages: [], node: ['process', 'v8'] },
  'targets.ts': { rooms: [...HALL, 'listener'], types: ANY_ROOM, packages: [], node: ['http', 'stream'] },
  'stores.ts': {
    rooms: [...HALL, 'storage', 'world.ts'],
    types: ['quota', 'replay', 'revocation', 'services', 'tenants'],
    packages: [],
    node: [],
  },
  'legacy-service.ts': {
    rooms: [...HALL, 'legacy', 'storage', 'world.ts'],
    types: ['services', 'telemetry'],
    packages: [],
    node: [],
  },
  'notes.ts': { rooms: ['listener', 'problem'], types: ['telemetry'], packages: [], node: [] },
  'audited.ts': { rooms: [], types: ['services', 'storage'], packages: [], node: [] },
  'breached-file.ts': { rooms: ['config', 'services'], packages: [], node: ['fs/promises'] },
  'built-ins.ts': {
    rooms: [...HALL, 'authenticator', 'services', 'world.ts'],
    types: ['geography', 'quota', 'revocation', 'stores.ts', 'telemetry', 'tenants'],
    packages: [],
    node: ['crypto', 'os'],
  },
  'usernames.ts': {
    rooms: [...HALL, 'services', 'world.ts'],
    types: ['quota', 'stores.ts', 'telemetry'],
    packages: [],
    node: ['crypto', 'fs/promises'],
  },
  'upkeep.ts': {
    rooms: [...HALL, 'storage', 'tenants', 'stores.ts', 'world.ts'],
    types: ['admin', 'services'],
    packages: [],
    node: [],
  },
  'tidiness.ts': { rooms: [], packages: [], node: [] },
  'neighbours.ts': { rooms: ['services', 'world.ts'], types: ['member.ts', 'stores.ts'], packages: [], node: [] },
  'what-lasts.ts': {
    rooms: ['live'],
    types: ['exchange', 'revocation', 'services', 'telemetry', 'world.ts'],
    packages: [],
    node: [],
  },
  'check-up': {
    rooms: [
      ...HALL,
      'authenticator',
      'revocation',
      'services',
      'storage',
      'telemetry',
      'traces',
      'stores.ts',
      'upkeep.ts',
      'world.ts',
    ],
    types: ['tenants'],
    packages: [],
    node: ['crypto', 'fs', 'fs/promises', 'net', 'os', 'timers/promises', 'tls'],
  },
  'foundation.ts': {
    rooms: [
      ...ANY_ROOM,
      'audited.ts',
      'legacy-service.ts',
      'neighbours.ts',
      'notes.ts',
      'stores.ts',
      'upkeep.ts',
      'what-lasts.ts',
      'world.ts',
    ],
    types: ['member.ts'],
    packages: [],
    node: ['crypto', 'fs/promises', 'os'],
  },
  'arrangement.ts': {
    rooms: [
      ...ANY_ROOM,
      'audited.ts',
      'breached-file.ts',
      'built-ins.ts',
      'explain.ts',
      'foundation.ts',
      'pipeline.ts',
      'targets.ts',
      'tracing.ts',
      'usernames.ts',
      'world.ts',
    ],
    packages: [],
    node: ['crypto'],
  },
  'explain.ts': { rooms: [...HALL, 'pipeline.ts'], packages: [], node: [] },
  'explain-once.ts': {
    rooms: ['admin', 'config', 'arrangement.ts', 'explain.ts', 'foundation.ts', 'world.ts'],
    packages: [],
    node: [],
  },
  'succession.ts': { rooms: ['config', 'arrangement.ts', 'foundation.ts'], packages: [], node: [] },
  'operators.ts': {
    rooms: ['admin', 'config', 'console', 'services', 'upkeep.ts', 'world.ts'],
    types: ['arrangement.ts', 'foundation.ts'],
    packages: [],
    node: [],
  },
  'gateway.ts': {
    rooms: [
      ...ANY_ROOM,
      'arrangement.ts',
      'explain.ts',
      'foundation.ts',
      'operators.ts',
      'succession.ts',
      'notes.ts',
      'tidiness.ts',
      'world.ts',
    ],
    types: ['member.ts'],
    packages: [],
    node: ['crypto'],
  },
  commands: {
    rooms: [
      ...HALL,
      'access-diff',
      'breached-file.ts',
      'check-up',
      'crew.ts',
      'gateway.ts',
      'upkeep.ts',
      'reload',
      'world.ts',
      'explain-once.ts',
    ],
    types: ['member.ts'],
    packages: [],
    node: ['fs', 'util', 'crypto', 'fs/promises', 'os', 'path'],
  },
  'main.ts': {
    rooms: ['commands', 'gateway.ts', 'member.ts', 'workers', ...HALL],
    packages: [],
    node: ['process', 'module', 'util', 'fs', 'url', 'path'],
  },
}

interface Import {
  readonly file: string
  readonly place: string
  readonly specifier: string
  readonly typeOnly: boolean
}

describe('the architecture', () => {
  const files = sourceFiles(SRC)
  const imports = files.flatMap(importsOf)

  it('has files to look at', () => {
    expect(files.length).toBeGreaterThan(40)
    expect(imports.length).toBeGreaterThan(100)
  })

  it('names every place of src/ in its table', () => {
    const places = new Set(files.map(placeOf))
    expect([...places].filter((place) => RULES[place] === undefined)).toEqual([])
  })

  it('gives every room a door of its own name', () => {
    const doorless = ANY_ROOM.filter(
      (room) => !['storage', 'commands'].includes(room) && !files.includes(join(SRC, room, `${room}.ts`)),
    )
    expect(doorless).toEqual([])
  })

  it('lets rooms import the hall only, and everyone enter by the door', () => {
    expect(imports.flatMap(faultOfRoomImport)).toEqual([])
  })

  it('gives every package and every node: module an owner', () => {
    expect(imports.flatMap(faultOfOutsideImport)).toEqual([])
  })

  it('touches the process in main.ts and the commands only', () => {
    const faults = files
      .filter((file) => !['main.ts', 'commands'].includes(placeOf(file)) && !file.endsWith('schema-file.ts'))
      .filter((file) => /\bprocess\.(?!off\b)/.test(withoutComments(readFileSync(file, 'utf8'))))
      .map((file) => relative(SRC, file))
    expect(faults).toEqual([])
  })

  it('keeps files short', () => {
    const long = files
      .map((file) => `${relative(SRC, file)}: ${readFileSync(file, 'utf8').split('\n').length}`)
      .filter((row) => Number(row.split(': ')[1]) > MAX_LINES && !row.startsWith('problem/table.ts'))
    expect(long).toEqual([])
  })

  it('has no default exports and no index files', () => {
    const faults = files.filter((file) => file.endsWith('/index.ts') || /^export default/m.test(readFileSync(file, 'utf8')))
    expect(faults).toEqual([])
  })
})

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}

function placeOf(file: string): string {
  return relative(SRC, file).split('/')[0] ?? ''
}

function importsOf(file: string): Import[] {
  const text = withoutComments(readFileSync(file, 'utf8'))
  const found = [...text.matchAll(/^(import|export)( type)?\b[^'"\n]*(?:\{[^}]*\})?[^'"\n]*?from\s+'([^']+)'/gm)]
  return found.map(([, , type, specifier]) => ({
    file: relative(SRC, file),
    place: placeOf(file),
    specifier: specifier ?? '',
    typeOnly: type !== undefined,
  }))
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

function faultOfRoomImport(one: Import): string[] {
  if (!one.specifier.startsWith('.')) return []
  const target = normalize(join(dirname(one.file), one.specifier))
  const room = target.split('/')[0] ?? ''
  if (room === one.place) return []
  const rule = RULES[one.place]
  if (one.typeOnly && rule?.types?.includes(room) === true) return []
  if (rule?.rooms.includes(room) !== true) return [`${one.file} imports ${target}: ${one.place} may not enter ${room}`]
  const isDoor = target === room || target === `${room}/${room}.ts` || isInnerDoor(target)
  return isDoor ? [] : [`${one.file} imports ${target}: enter by the door ${room}/${room}.ts`]
}

/** `storage` and `services` are houses of rooms: `storage/embedded/embedded.ts` is a door; so is each command. */
function isInnerDoor(target: string): boolean {
  const [room, inner, file] = target.split('/')
  if (room === 'commands') return true
  return (room === 'storage' || room === 'services') && file === `${inner}.ts`
}

function faultOfOutsideImport(one: Import): string[] {
  if (one.specifier.startsWith('.')) return []
  const rule = RULES[one.place]
  const node = one.specifier.startsWith('node:') ? one.specifier.slice(5) : undefined
  if (node === undefined && builtinModules.includes(one.specifier)) return [`${one.file}: write node:${one.specifier}`]
  if (node !== undefined) return rule?.node.includes(node) === true ? [] : [`${one.file}: ${one.place} may not use node:${node}`]
  const name = one.specifier.startsWith('@')
    ? one.specifier.split('/').slice(0, 2).join('/')
    : (one.specifier.split('/')[0] ?? '')
  return rule?.packages.includes(name) === true ? [] : [`${one.file}: ${one.place} does not own the package ${name}`]
}
