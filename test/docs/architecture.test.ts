import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeIn, packageOf, readPage, ROOT, rowsOf } from './documents.ts'

const SRC = join(ROOT, 'src')

/** What a place really imports from outside of src/. */
interface Imports {
  readonly packages: Set<string>
  readonly node: Set<string>
}

describe('the table of places in ARCHITECTURE.md', () => {
  const rows = rowsOf(readPage('ARCHITECTURE.md'), 'Who may import what')
  const places = importsByPlace()

  it('has every place of src/, and no other', () => {
    expect(rows.map(([place]) => codeIn(place)).toSorted()).toEqual([...places.keys()].toSorted())
  })

  it.each(rows)('is right about %s', (place, _rooms, packages, node) => {
    const real = places.get(codeIn(place))
    expect(listOf(packages)).toEqual([...(real?.packages ?? [])].toSorted())
    expect(listOf(node)).toEqual(expect.arrayContaining([...(real?.node ?? [])].map((name) => name.split('/')[0])))
  })

  it('names every package that the product needs', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
    const named = rows.flatMap(([, , packages]) => listOf(packages))
    expect([...new Set(named)].toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted())
  })
})

function listOf(cell: string | undefined): string[] {
  const names = (cell ?? '').split(',').map((name) => name.replace(/[¹²³\s]/g, ''))
  return names.filter((name) => name !== '–').toSorted()
}

function importsByPlace(): ReadonlyMap<string, Imports> {
  const places = new Map<string, Imports>()
  for (const name of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const place = relative(SRC, join(SRC, name)).split('/')[0] ?? ''
    const imports = places.get(place) ?? { packages: new Set(), node: new Set() }
    places.set(place, imports)
    for (const [, specifier = ''] of readFileSync(join(SRC, name), 'utf8').matchAll(/^(?:import|export) .*from '([^']+)'$/gm)) {
      if (specifier.startsWith('node:')) imports.node.add(specifier.slice(5))
      else if (!specifier.startsWith('.')) imports.packages.add(packageOf(specifier))
    }
  }
  return places
}
