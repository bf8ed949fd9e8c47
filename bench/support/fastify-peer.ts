/** @fastify/http-proxy behind @fastify/jwt, without a log: node fastify-peer.ts PORT UPSTREAM_PORT PEM CACHE_ENTRIES ISSUER AUDIENCE */
import { readFileSync } from 'node:fs'
import httpProxy from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import fastify from 'fastify'

const [port, upstreamPort, pem = '', cacheEntries, issuer = '', audience = ''] = process.argv.slice(2)
const app = fastify({ logger: false, keepAliveTimeout: 60_000 })
const cache = Number(cacheEntries)
await app.register(jwt, {
  secret: { public: readFileSync(pem, 'utf8') },
  verify: {
    algorithms: ['RS256'],
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['exp'],
    ...(cache === 0 ? {} : { cache }),
  },
})
await app.register(httpProxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 128, pipelining: 1 },
  preHandler: async (request) => {
    await request.jwtVerify()
  },
  replyOptions: {
    rewriteRequestHeaders(request, headers) {
      const { authorization: _, ...kept } = headers
      return { ...kept, ...identityOf('user' in request ? request.user : undefined) }
    },
  },
})
await app.listen({ port: Number(port), host: '127.0.0.1' })
process.on('SIGTERM', () => process.exit(0))

function identityOf(user: unknown): Record<string, string> {
  const { sub, scope, jti } = user as Record<'sub' | 'scope' | 'jti', string>
  return { 'x-user-id': sub, 'x-scopes': scope, 'x-token-id': jti }
}
