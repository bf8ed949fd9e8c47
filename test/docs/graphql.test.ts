import { describe, expect, it } from 'vitest'
import { SDL } from '../../src/services/graphql/graphql.ts'
import { readPage } from './documents.ts'

describe('docs/graphql.md', () => {
  it('has the schema as it is served', () => {
    const block = readPage('docs/graphql.md').blocks.find(({ info }) => info === 'graphql')
    expect(block?.text).toBe(SDL)
  })
})
