import { describe, expect, it } from 'vitest'
import { PROBLEMS } from '../../src/problem/problem.ts'
import { codeIn, readPage, readPages, rowsOf } from './documents.ts'

const { prose } = readPage('docs/troubleshooting.md')
const KINDS = Object.entries(PROBLEMS)

/** The groups of the page, by the statuses that they hold: the heading, and what is below it. */
const groups = prose
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ heading: text.slice(0, text.indexOf('\n')), text }))

const sections = new Map(
  groups.flatMap(({ heading, text }) =>
    text
      .split(/^### /m)
      .slice(1)
      .map((section) => {
        const end = section.indexOf('\n')
        return [section.slice(0, end), { group: heading, text: section.slice(end) }] as const
      }),
  ),
)

describe('docs/troubleshooting.md', () => {
  it('has a section for each row of PROBLEMS, and no other', () => {
    expect([...sections.keys()].toSorted()).toEqual(KINDS.map(([kind]) => kind).toSorted())
  })

  it.each(KINDS)('says what a client sees of %s, why it comes, and what tells more', (kind, { error, status }) => {
    const { text = '', group = '' } = sections.get(kind) ?? {}
    expect(text).toMatch(/\*\*Client sees\*\*/)
    expect(text).toMatch(/\*\*Likely\*\*: /)
    expect(text).toMatch(/\*\*Tells\*\*: /)
    // A page that only shows a status in the browser's tools says so.
    expect(text).toContain(`${status}`)
    expect(text).toContain(`\`${error}\``)
    expect(covers(group, status), `${kind} stands below «${group}»`).toBe(true)
  })

  it('says what to do where no answer comes', () => {
    expect(groups.map(({ heading }) => heading)).toEqual(
      expect.arrayContaining(['It does not start', 'A change of the file has no effect']),
    )
  })
})

describe('a metric in a document', () => {
  it('is there', () => {
    const known = new Set(rowsOf(readPage('docs/metrics.md')).map(([name]) => codeIn(name)))
    const named = readPages().flatMap(({ name, text }) =>
      [...text.matchAll(/\bgatehouse_[a-z_]*[a-z]\b/g)].map(([metric]) => ({ name, metric: metric.replace(/_bucket$/, '') })),
    )
    expect(named.length).toBeGreaterThan(100)
    expect(named.filter(({ metric }) => !known.has(metric))).toEqual([])
  })
})

function covers(group: string, status: number): boolean {
  const [, from, to] = /^(\d{3}) to (\d{3})$/.exec(group) ?? []
  if (from !== undefined && to !== undefined) return Number(from) <= status && status <= Number(to)
  return group === '5xx' ? status >= 500 : group.split(', ').includes(String(status))
}
