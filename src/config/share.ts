import type { Config, PublicListenerConfig } from './config.ts'

/** What each of the processes takes: connections come to them in turn, so that their parts are the whole. */
export function listenerOfProcess({ listeners, workers }: Config): PublicListenerConfig {
  const { limits, overload } = listeners.public
  if (workers === 1) return listeners.public
  const part = (whole: number): number => Math.ceil(whole / workers)
  return {
    ...listeners.public,
    limits: { ...limits, connections: part(limits.connections) },
    overload: {
      ...overload,
      maxRequests: part(overload.maxRequests),
      badSignaturesPerMinute: part(overload.badSignaturesPerMinute),
    },
  }
}
