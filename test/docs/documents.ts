/** The documents of the repository, taken apart as far as the tests need it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

const SKIPPED: ReadonlySet<string> = new Set(['node_modules', '.git', 'data', 'coverage', 'dist'])

export interface Page {
  /** Relative to the root. */
  readonly name: string
  readonly text: string
  /** The text without what stands in fences. */
  readonly prose: string
  readonly blocks: readonly Block[]
}

/** A fenced block. */
export interface Block {
  /** What follows the fence: `yaml gateway.yaml`. */
  readonly info: string
  readonly text: string
}

const FENCED = /^```(.*)\n([^]*?)^```$/gm

export function readPage(name: string): Page {
  const text = readFileSync(join(ROOT, name), 'utf8')
  const blocks = [...text.matchAll(FENCED)].map(([, info, inner]) => ({ info: info ?? '', text: inner ?? '' }))
  return { name, text, prose: text.replace(FENCED, ''), blocks }
}

/** Every document of the repository. */
export function readPages(): readonly Page[] {
  return filesBelow(ROOT)
    .map((file) => relative(ROOT, file))
    .filter((name) => name.endsWith('.md'))
    .map(readPage)
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path)
    return [path]
  })
}

/** Rows of every table below a heading, or of the whole page: cells as written, headings and rules left out. */
export function rowsOf(page: Page, heading?: string): readonly (readonly string[])[] {
  return sectionOf(page, heading)
    .split('\n\n')
    .flatMap((paragraph) => {
      const lines = paragraph.split('\n').filter((line) => line.startsWith('|'))
      return lines.slice(2).map(cellsOf)
    })
}

function cellsOf(line: string): readonly string[] {
  return line
    .slice(1, line.endsWith('|') ? -1 : undefined)
    .split('|')
    .map((cell) => cell.trim())
}

/** From the heading of this name to the next one of its level or above. */
function sectionOf(page: Page, heading: string | undefined): string {
  if (heading === undefined) return page.prose
  const [, marks, rest] = new RegExp(`^(#+) ${heading}$([^]*)`, 'm').exec(page.prose) ?? []
  if (marks === undefined || rest === undefined) throw new Error(`${page.name} has no heading ${heading}`)
  const end = rest.search(new RegExp(`^#{1,${marks.length}} `, 'm'))
  return end < 0 ? rest : rest.slice(0, end)
}

/** The text in backticks; the text itself where there are none. */
export function codeIn(cell: string | undefined): string {
  return /`([^`]+)`/.exec(cell ?? '')?.[1] ?? cell ?? ''
}

/** Every text in backticks. */
export function codesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? '')
}

/** `undici` of `undici/lib/core/errors.js`. */
export function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
