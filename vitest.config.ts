import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    // Far more than any of them takes on a machine that has nothing else to do: only a fault reaches them.
    testTimeout: 60_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 20_000, interval: 20 } },
    maxWorkers: 2,
    // Many tests start real servers and share two cores. One that needs its second try is told by the reporter, and mended.
    retry: process.env['CI'] === 'true' ? 1 : 0,
  },
})
