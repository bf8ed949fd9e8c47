import { readFileSync } from 'node:fs'
import type { ConsoleAnswer } from './console.ts'

const TYPES = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
} as const

const PARTS: readonly (readonly [name: string, type: keyof typeof TYPES])[] = [
  ['console', 'css'],
  ['icon', 'svg'],
  ['console', 'js'],
  ['api', 'js'],
  ['chart', 'js'],
  ['dialog', 'js'],
  ['dom', 'js'],
  ['explain', 'js'],
  ['format', 'js'],
  ['login', 'js'],
  ['refusals', 'js'],
  ['revocation', 'js'],
  ['routes', 'js'],
  ['sessions', 'js'],
  ['tenants', 'js'],
  ['traffic', 'js'],
  ['troubles', 'js'],
  ['upstreams', 'js'],
]

/**
 * Own files alone, no inline script or style, no frame around it; and where the browser knows trusted types, no way to read a
 * text as markup at all.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const PAGE_HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'x-frame-options': 'DENY',
} as const

/** The page under `/`, and its parts below `/console/`. */
export function readAssets(): ReadonlyMap<string, ConsoleAnswer> {
  const page = { status: 200, contentType: 'text/html; charset=utf-8', body: read('console.html'), headers: PAGE_HEADERS }
  const parts = PARTS.map(([name, type]): readonly [string, ConsoleAnswer] => [
    `/console/${name}.${type}`,
    { status: 200, contentType: TYPES[type], body: read(`${name}.${type}`) },
  ])
  return new Map<string, ConsoleAnswer>([['/', page], ...parts])
}

function read(name: string): string {
  return readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8')
}
