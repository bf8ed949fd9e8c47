/**
 * Orders, as a service behind the gateway keeps them: each by its tenant and user.
 *
 *     GET  /orders    the caller's, with the scope orders:read
 *     POST /orders    {"item": "…"}, with the scope orders:write
 *     GET  /healthz   for probes: 200 once passports can be verified
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createValidator, type Identity } from 'gatehouse/validator'

const port = Number(process.env['PORT'] ?? 9001)
const gate = createValidator({
  origin: process.env['GATEWAY_ORIGIN'] ?? 'http://localhost:8080',
  ...(process.env['GATEWAY_URL'] !== undefined && { reachAt: process.env['GATEWAY_URL'], allowInsecure: true }),
  service: 'orders',
  onEvent: (event) => {
    if (event.kind === 'refused') console.log(`refused: ${event.error.code} ${event.error.reason ?? ''}`)
  },
})

interface Order {
  readonly id: number
  readonly item: string
}

const ordersOf = new Map<string, Order[]>()
const LONGEST_BODY = 10_000

const list = gate.protect((_, response, identity) => answer(response, 200, { orders: shelf(identity) }), {
  scopes: ['orders:read'],
})
const add = gate.protect(
  async (request, response, identity) => {
    const item = itemIn(await bodyOf(request))
    if (item === undefined) return answer(response, 400, { error: 'invalid_request', error_description: 'Send {"item": "…"}.' })
    const orders = shelf(identity)
    const order = { id: orders.length + 1, item }
    orders.push(order)
    answer(response, 201, order)
  },
  { scopes: ['orders:write'] },
)

const server = createServer((request, response) => {
  route(request, response).catch((error: unknown) => {
    console.error(error)
    if (!response.headersSent) answer(response, 500, { error: 'internal_error' })
  })
})
server.listen(port, process.env['HOST'] ?? '127.0.0.1', () => console.log(`orders listens on ${port}`))
process.once('SIGTERM', stop)
process.once('SIGINT', stop)

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path] = (request.url ?? '').split('?')
  if (path === '/healthz') return health(response)
  if (path !== '/orders') return answer(response, 404, { error: 'not_found' })
  if (request.method === 'GET') return list(request, response)
  if (request.method === 'POST') return add(request, response)
  answer(response, 405, { error: 'method_not_allowed' })
}

async function health(response: ServerResponse): Promise<void> {
  const isReady = await gate.ready(0).then(
    () => true,
    () => false,
  )
  answer(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'waiting for keys' })
}

/** A user id is unique within its tenant only. */
function shelf({ tenantId, userId }: Identity): Order[] {
  const key = JSON.stringify([tenantId, userId])
  const orders = ordersOf.get(key) ?? []
  ordersOf.set(key, orders)
  return orders
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > LONGEST_BODY) return ''
  }
  return text
}

function itemIn(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text)
    const item = typeof body === 'object' && body !== null && 'item' in body ? body.item : undefined
    return typeof item === 'string' && item !== '' ? item : undefined
  } catch {
    return undefined
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function stop(): void {
  server.close()
  void gate.close()
}
