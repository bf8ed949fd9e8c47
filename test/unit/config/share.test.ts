import { describe, expect, it } from 'vitest'
import { listenerOfProcess } from '../../../src/config/config.ts'
import { testConfig } from '../../support/config.ts'

const LISTENER = 'listeners: { public: { limits: { connections: 1000 }, overload: { maxRequests: 100, badSignatures: 601/m } } }'

describe('what a process takes of a limit', () => {
  it('is all of it where there is one', () => {
    const config = testConfig(LISTENER)
    expect(listenerOfProcess(config)).toBe(config.listeners.public)
  })

  it('is its part where there are several, rounded up, and nothing else is another', () => {
    const config = testConfig(`workers: 3\n${LISTENER}`)
    const { limits, overload } = config.listeners.public
    expect(listenerOfProcess(config)).toEqual({
      ...config.listeners.public,
      limits: { ...limits, connections: 334 },
      overload: { ...overload, maxRequests: 34, badSignaturesPerMinute: 201 },
    })
  })
})
