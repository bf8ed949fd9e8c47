/**
 * Serves the page of the browser app. It knows nothing of users: the gateway in front of it does, and the page asks that.
 *
 *     node examples/browser-app/server.ts
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

const port = Number(process.env['PORT'] ?? 9004)
const FILES: ReadonlyMap<string, readonly [type: string, content: Buffer]> = new Map([
  ['/', ['text/html; charset=utf-8', read('index.html')]],
  ['/app.js', ['text/javascript; charset=utf-8', read('app.js')]],
  ['/app.css', ['text/css; charset=utf-8', read('app.css')]],
])
const HEADERS = {
  'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const

const server = createServer((request, response) => {
  const [type, content] = FILES.get((request.url ?? '').split('?')[0] ?? '') ?? []
  response.writeHead(type === undefined ? 404 : 200, { ...HEADERS, 'content-type': type ?? 'text/plain' }).end(content)
})
server.listen(port, process.env['HOST'] ?? '127.0.0.1', () => console.log(`the page is on ${port}`))
process.once('SIGTERM', () => server.close())
process.once('SIGINT', () => server.close())

function read(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, 'page', name))
}
