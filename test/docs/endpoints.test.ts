import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import type { Route } from '../../src/exchange/exchange.ts'
import { routesOf } from '../../src/gateway.ts'
import { codeIn, readPage, ROOT, rowsOf } from './documents.ts'

const CALLERS = { public: 'anyone', required: ['the user', 'a token'], optional: 'a token or anyone' } as const

describe('the endpoints in README.md', () => {
  const config = loadConfig(join(ROOT, 'gateway.yaml'), { environment: {}, readFile: (path) => readFileSync(path, 'utf8') })
  const rows = rowsOf(readPage('README.md'), 'Endpoints')

  it('are those of the shipped gateway.yaml', () => {
    const documented = rows.map(([cell]) => (cell ?? '').replaceAll('`', ''))
    expect(documented.toSorted()).toEqual(routesOf(config).map(nameOf).toSorted())
  })

  it('say who may call them', () => {
    const auths = new Map(routesOf(config).map((route) => [nameOf(route), route.auth]))
    for (const [cell, who] of rows) {
      const auth = auths.get((cell ?? '').replaceAll('`', '')) ?? 'public'
      expect([cell, [CALLERS[auth]].flat()]).toEqual([cell, expect.arrayContaining([who])])
    }
  })

  it('are those of docs/sessions.md, as far as they are of the service accounts', () => {
    const documented = rowsOf(readPage('docs/sessions.md'))
      .map(([cell]) => codeIn(cell))
      .filter((code) => /^(?:GET|POST) /.test(code))
    const accounts = routesOf(config).filter(({ target }) => target.kind === 'service' && target.service === 'accounts')
    expect(documented.toSorted()).toEqual(accounts.map(nameOf).toSorted())
  })
})

function nameOf({ match }: Route): string {
  return `${match.methods.length === 0 ? 'any method' : match.methods.join(', ')} ${match.path}`
}
