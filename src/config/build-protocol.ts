import type { Build } from './build.ts'
import type { UpstreamConfig } from './config.ts'
import type { Path } from './faults.ts'
import type { RouteDraft } from './schema.ts'

/**
 * A WebSocket is opened over HTTP/1.1. Over TLS either version is a matter of the handshake; what is spoken to in HTTP/2 by
 * prior knowledge speaks nothing else.
 */
export function refuseTunnels(
  path: Path,
  { websocket, upstream, split }: RouteDraft,
  upstreams: ReadonlyMap<string, UpstreamConfig>,
  build: Build,
): void {
  if (!websocket) return
  for (const name of [upstream, ...(split ?? []).map(({ value }) => value.upstream)]) {
    const one = name === undefined ? undefined : upstreams.get(name)
    if (one?.protocol !== 'http2' || one.targets.every(({ url }) => url.protocol === 'https:')) continue
    build.report(
      path,
      `takes HTTP/1.1, and http:// targets of ${one.name} speak HTTP/2 alone: write https:// there, or remove it`,
    )
  }
}
