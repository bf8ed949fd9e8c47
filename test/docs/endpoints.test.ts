import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import type { Route } from '../../src/exchange/exchange.ts'
import { routesOf } from '../../src/gateway.ts'
import { endpointsOf } from '../../src/services/services.ts'
import { codeIn, readPage, ROOT, rowsOf } from './documents.ts'

const CALLERS = { public: ['anyone'], required: ['the user', 'a token'], optional: ['a token or anyone'] } as const
/** Of endpoints that ask themselves. */
const PROVERS = {
  client: ['a client'],
  holder: ['the holder'],
  'holder or client': ['the holder, or a client'],
  'user or client': ['the user, or a client'],
} as const
/** Services and the page whose table has their endpoints. */
const PAGES = [
  ['docs/sessions.md', ['accounts', 'sessions']],
  ['docs/oauth.md', ['oauth']],
  ['docs/validator.md', ['revocations']],
  ['docs/USERNAME_FEATURE.md', ['usernames']],
] as const

describe('the endpoints in README.md', () => {
  const config = loadConfig(join(ROOT, 'gateway.yaml'), { environment: {}, readFile: (path) => readFileSync(path, 'utf8') })
  const rows = rowsOf(readPage('README.md'), 'Endpoints')

  it('are those of the shipped gateway.yaml', () => {
    const documented = rows.map(([cell]) => (cell ?? '').replaceAll('`', ''))
    expect(documented.toSorted()).toEqual(routesOf(config).map(nameOf).toSorted())
  })

  it('say who may call them', () => {
    const callers = new Map(routesOf(config).map((route) => [nameOf(route), callersOf(route)]))
    for (const [cell, who] of rows) {
      expect([cell, callers.get((cell ?? '').replaceAll('`', ''))]).toEqual([cell, expect.arrayContaining([who])])
    }
  })

  it.each(PAGES)('are those of %s, as far as they are of its services', (name, services) => {
    const documented = rowsOf(readPage(name))
      .map(([cell]) => codeIn(cell))
      .filter((code) => /^[A-Z]+ \/(?!\.well-known)/.test(code))
    const mounted = routesOf(config).filter(({ target }) => target.kind === 'service' && isOneOf(services, target.service))
    expect(documented.toSorted()).toEqual(mounted.map(nameOf).toSorted())
  })
})

function isOneOf(services: readonly string[], service: string): boolean {
  return services.includes(service)
}

function callersOf({ auth, target }: Route): readonly string[] {
  const endpoints = target.kind === 'service' ? endpointsOf(target.service) : []
  const caller = endpoints.find(({ name }) => target.kind === 'service' && name === target.endpoint)?.caller
  return caller === undefined ? CALLERS[auth] : PROVERS[caller]
}

function nameOf({ match }: Route): string {
  return `${match.methods.length === 0 ? 'any method' : match.methods.join(', ')} ${match.path}`
}
