/** What else does the gateway's work, or a part of it, on one core. */
import { join } from 'node:path'
import { apacheConfig, caddyConfig, haproxyConfig, nginxProxyConfig } from './configs.ts'
import { AUDIENCE, ISSUER, type TokenAlgorithm } from './issuer.ts'
import { NGINX_USER } from './rig.ts'
import { startPeer, type Subject } from './subjects.ts'

const SCRIPTS = join(import.meta.dirname, '..', 'support')
const APACHE_MODULES = '/usr/lib/apache2/modules'
/** More than there are tokens, so that none falls out. */
const FASTIFY_CACHE = 5000

const plain = { path: '/small', tokens: 'none', verifies: false, accessLog: false, isPeer: true } as const
const verifying = { path: '/small', tokens: 'warm', verifies: true, accessLog: false, isPeer: true } as const

/** @param level - how much of the gateway's work it does, see {@link haproxyConfig} */
export function haproxyJwt(
  name: string,
  algorithm: TokenAlgorithm,
  level: 'checked' | 'signature',
  tokens: Subject['tokens'] = 'warm',
): Subject {
  const what = level === 'checked' ? 'the same checks and headers' : 'signature alone'
  return {
    ...verifying,
    name,
    title: `HAProxy, ${algorithm} jwt_verify, ${what}`,
    tokens,
    program: 'haproxy',
    version: ['-v'],
    start: (rig) =>
      startPeer(rig, 'haproxy', (place) => ({
        files: { 'haproxy.cfg': haproxyConfig(place, { algorithm, pem: rig.issuer.pemFiles[algorithm], level }) },
        args: ['-db', '-f', join(place.folder, 'haproxy.cfg')],
      })),
  }
}

export const PEERS: readonly Subject[] = [
  haproxyJwt('haproxy-jwt', 'RS256', 'checked'),
  haproxyJwt('haproxy-signature', 'RS256', 'signature'),
  {
    ...plain,
    name: 'haproxy',
    title: 'HAProxy, no authentication',
    program: 'haproxy',
    version: ['-v'],
    start: (rig) =>
      startPeer(rig, 'haproxy', (place) => ({
        files: { 'haproxy.cfg': haproxyConfig(place) },
        args: ['-db', '-f', join(place.folder, 'haproxy.cfg')],
      })),
  },
  {
    ...plain,
    name: 'nginx',
    title: 'nginx, no authentication',
    program: 'nginx',
    version: ['-v'],
    start: (rig) =>
      startPeer(rig, 'nginx', (place) => ({
        files: { 'nginx.conf': nginxProxyConfig(place, NGINX_USER) },
        args: ['-p', place.folder, '-c', join(place.folder, 'nginx.conf'), '-e', join(place.folder, 'error.log')],
      })),
  },
  {
    ...verifying,
    name: 'apache-oauth2',
    title: 'Apache with mod_oauth2, RS256, its cache on',
    program: 'apache2',
    needs: join(APACHE_MODULES, 'mod_oauth2.so'),
    version: ['-v'],
    start: (rig) =>
      startPeer(rig, 'apache2', (place) => ({
        files: { 'apache.conf': apacheConfig(place, APACHE_MODULES, rig.issuer.jwks.RS256, NGINX_USER && 'nobody') },
        args: ['-DFOREGROUND', '-f', join(place.folder, 'apache.conf')],
      })),
  },
  {
    ...plain,
    name: 'caddy',
    title: 'Caddy, no authentication',
    program: 'caddy',
    version: ['version'],
    start: (rig) =>
      startPeer(rig, 'caddy', (place) => ({
        files: { Caddyfile: caddyConfig(place) },
        args: ['run', '--config', join(place.folder, 'Caddyfile'), '--adapter', 'caddyfile'],
      })),
  },
  fastify('fastify-jwt-cache', 'its cache on', FASTIFY_CACHE),
  fastify('fastify-jwt', 'its cache off', 0),
  {
    ...plain,
    name: 'http-proxy-3',
    title: 'http-proxy-3, no authentication',
    start: (rig) =>
      startPeer(rig, 'node', ({ port, upstreamPort }) => ({
        files: {},
        args: [join(SCRIPTS, 'http-proxy-peer.ts'), String(port), String(upstreamPort)],
      })),
  },
]

function fastify(name: string, how: string, cache: number): Subject {
  return {
    ...verifying,
    name,
    title: `@fastify/http-proxy with @fastify/jwt, RS256, ${how}`,
    start: (rig) =>
      startPeer(rig, 'node', ({ port, upstreamPort }) => ({
        files: {},
        args: [
          join(SCRIPTS, 'fastify-peer.ts'),
          String(port),
          String(upstreamPort),
          rig.issuer.pemFiles.RS256,
          String(cache),
          ISSUER,
          AUDIENCE,
        ],
      })),
  }
}
