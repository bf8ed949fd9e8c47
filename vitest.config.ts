import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    // Many tests start real servers and share two cores. One that needs its second try is told by the reporter, and mended.
    retry: process.env['CI'] === 'true' ? 1 : 0,
  },
})
