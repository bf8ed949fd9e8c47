import { afterAll, expect, it } from 'vitest'
import { readPage } from './documents.ts'
import { createReader } from './reader.ts'

const page = readPage('docs/getting-started.md')
const reader = await createReader()
afterAll(() => reader.close())

it('does what docs/getting-started.md says, command by command', { timeout: 120_000 }, async () => {
  const kinds = new Set(page.blocks.map(({ info }) => info))
  expect(kinds).toEqual(new Set(['sh terminal gateway', 'text', 'sh', 'sh terminal shop', 'sh soon', 'sh stops shop']))
  await reader.follow(page)
})
