import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codesIn, readPage, readPages, ROOT, type Page } from './documents.ts'

const PAGES = readPages()
const FOLDERS = /^(?:src|test|docs|config|bench|examples|deploy|\.ci)\//

describe('the documents', () => {
  it('are there', () => {
    const names = PAGES.map((page) => page.name)
    for (const name of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'docs/README.md']) {
      expect(names).toContain(name)
    }
  })

  it.each(PAGES)('have links that lead somewhere: $name', (page) => {
    expect(linksOf(page).flatMap((link) => faultOf(page, link))).toEqual([])
  })

  it.each(PAGES)('name files that exist: $name', (page) => {
    const named = codesIn(page.prose).filter((code) => FOLDERS.test(code) && !/[<*…\s]/.test(code))
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it.each(PAGES)('name no place of a workplace and no package registry: $name', (page) => {
    expect(page.text.match(/\/(?:work|home|Users|root|mnt|workspace)\/[^\s)`]*/g) ?? []).toEqual([])
    expect(page.text.match(/[\w.-]*(?:registry|npmjs|verdaccio|artifactory|nexus)\.[\w.-]+/gi) ?? []).toEqual([])
  })

  it('are all in the index', () => {
    const index = readPage('docs/README.md')
    const listed = linksOf(index).map((link) => join('docs', link))
    const pages = PAGES.map((page) => page.name).filter((name) => name.startsWith('docs/') && name !== index.name)
    expect(pages.filter((name) => !listed.includes(name))).toEqual([])
  })
})

function linksOf(page: Page): readonly string[] {
  return [...page.prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '').filter((link) => !/^https?:/.test(link))
}

function faultOf(page: Page, link: string): string[] {
  const [path = '', anchor] = link.split('#')
  const file = path === '' ? page.name : relative(ROOT, join(ROOT, dirname(page.name), path))
  if (!existsSync(join(ROOT, file))) return [`${link}: there is no ${file}`]
  if (anchor === undefined) return []
  return anchorsOf(readPage(file)).includes(anchor) ? [] : [`${link}: ${file} has no such heading`]
}

/** As GitHub makes them of headings. */
function anchorsOf(page: Page): readonly string[] {
  return [...page.prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
