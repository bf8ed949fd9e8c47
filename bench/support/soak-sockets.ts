/** WebSockets that stay open: each sends a message again and again, and must hear it. */
import { WebSocket } from 'ws'

export interface SocketsLoad {
  readonly token: string
  /** Whose server stays: they must, too. */
  readonly stay: { readonly path: string; readonly count: number }
  /** Whose server comes and goes: they are opened again. */
  readonly comeAndGo: { readonly path: string; readonly count: number }
}

export interface KeptSockets {
  /** Open from the beginning to the end. */
  readonly kept: number
  /** Heard again. */
  readonly messages: number
  readonly reopened: number
  /** Longest way of a message to the server and back. */
  readonly slowestMs: number
}

const EVERY_MS = 1000
const PATIENCE_MS = 5000
/** As clients do it that lost a connection. */
const AGAIN_MS = 200

/** Resolves when all are open. `fail` is told of each that does not stay, and of each message that is not heard again. */
export async function keepSockets(
  origin: string,
  { token, stay, comeAndGo }: SocketsLoad,
  fail: (what: string) => void,
): Promise<{ stop(): KeptSockets }> {
  const url = origin.replace(/^http/, 'ws')
  const stops: (() => void)[] = []
  let [kept, messages, reopened, slowestMs, isOver] = [0, 0, 0, 0, false]
  const open: Promise<void>[] = []
  for (let count = 0; count < stay.count; count += 1) open.push(start(stay.path, false))
  for (let count = 0; count < comeAndGo.count; count += 1) open.push(start(comeAndGo.path, true))
  await Promise.all(open)
  kept = stay.count
  return { stop }

  function stop(): KeptSockets {
    isOver = true
    for (const end of stops) end()
    return { kept, messages, reopened, slowestMs: Math.round(slowestMs) }
  }

  function start(path: string, mayGo: boolean): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })
      const end = (): void => socket.terminate()
      stops.push(end)
      let timer: ReturnType<typeof setTimeout> | undefined
      let [sentMs, isWaiting] = [0, false]
      const speak = (): void => {
        timer = setTimeout(speak, EVERY_MS)
        if (isWaiting && performance.now() - sentMs < PATIENCE_MS) return
        if (isWaiting) fail(`a message over ${path} was not heard again`)
        isWaiting = true
        sentMs = performance.now()
        socket.send(String(sentMs))
      }
      socket.on('open', () => {
        // Spread evenly enough.
        timer = setTimeout(speak, Math.random() * EVERY_MS)
        resolve()
      })
      socket.on('message', (data: Buffer) => {
        if (data.toString() !== String(sentMs)) fail(`another message over ${path}`)
        isWaiting = false
        messages += 1
        slowestMs = Math.max(slowestMs, performance.now() - sentMs)
      })
      socket.on('unexpected-response', (_request, answer) => {
        fail(`a WebSocket to ${path} was answered with ${answer.statusCode}`)
        end()
      })
      socket.on('error', () => undefined)
      socket.on('close', (code) => {
        clearTimeout(timer)
        stops.splice(stops.indexOf(end), 1)
        if (isOver) return
        if (!mayGo) {
          kept -= 1
          fail(`a WebSocket to ${path} was closed with ${code}`)
        }
        reopened += 1
        setTimeout(() => void start(path, mayGo).then(resolve), AGAIN_MS)
      })
    })
  }
}
