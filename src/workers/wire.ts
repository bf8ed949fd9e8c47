/** What two processes of the gateway say to each other. */
type Message =
  | { readonly is: 'ask'; readonly id: number; readonly name: string; readonly body?: unknown }
  | { readonly is: 'answer'; readonly id: number; readonly body?: unknown }
  | { readonly is: 'fault'; readonly id: number }
  | { readonly is: 'tell'; readonly name: string; readonly body?: unknown }

/** What a process does when it is asked, or told, by name. May return a promise. */
export type Handlers = Readonly<Record<string, (body: unknown) => unknown>>

export interface WireNeeds {
  /** Hands a message over to the other process. Never throws; what cannot be handed over is lost. */
  send(message: unknown): void
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Told what a handler threw: the other side learns only that it failed. */
  failed?(name: string, cause: unknown): void
}

/** Questions, answers and news between two processes, over a channel that keeps their order. */
export interface Wire {
  /** Rejects when there is no answer in time, the other side failed, or the wire is cut. Bodies are what JSON can say. */
  ask(name: string, body: unknown, timeoutMs: number): Promise<unknown>
  tell(name: string, body?: unknown): void
  /** Takes what came from the other process. */
  receive(message: unknown): void
  /** The other process is gone: whoever waits for it stops waiting. */
  cut(): void
}

interface Waiting {
  resolve(body: unknown): void
  reject(error: Error): void
}

export function createWire(needs: WireNeeds, handlers: Handlers): Wire {
  const waiting = new Map<number, Waiting>()
  let asked = 0
  let isCut = false
  return { ask, tell, receive, cut }

  async function ask(name: string, body: unknown, timeoutMs: number): Promise<unknown> {
    if (isCut) throw new Error(`nobody is there to answer ${name}`)
    asked += 1
    const id = asked
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    waiting.set(id, { resolve, reject })
    const cancel = needs.schedule(timeoutMs, () => reject(new Error(`${name} was not answered in time`)))
    send({ is: 'ask', id, name, body })
    try {
      return await promise
    } finally {
      cancel()
      waiting.delete(id)
    }
  }

  function tell(name: string, body?: unknown): void {
    send({ is: 'tell', name, body })
  }

  function send(message: Message): void {
    if (!isCut) needs.send(message)
  }

  function receive(message: unknown): void {
    if (!isMessage(message)) return
    if (message.is === 'ask') void answer(message.id, message.name, message.body)
    if (message.is === 'tell') void hear(message.name, message.body)
    if (message.is === 'answer') waiting.get(message.id)?.resolve(message.body)
    if (message.is === 'fault') waiting.get(message.id)?.reject(new Error('the other process failed to answer'))
  }

  async function answer(id: number, name: string, body: unknown): Promise<void> {
    try {
      const handler = handlers[name]
      if (handler === undefined) throw new Error(`nobody knows what to do about ${name}`)
      send({ is: 'answer', id, body: await handler(body) })
    } catch (cause) {
      needs.failed?.(name, cause)
      send({ is: 'fault', id })
    }
  }

  async function hear(name: string, body: unknown): Promise<void> {
    try {
      await handlers[name]?.(body)
    } catch (cause) {
      needs.failed?.(name, cause)
    }
  }

  function cut(): void {
    isCut = true
    for (const { reject } of waiting.values()) reject(new Error('the other process is gone'))
  }
}

function isMessage(message: unknown): message is Message {
  if (typeof message !== 'object' || message === null || !('is' in message)) return false
  if (message.is === 'tell') return 'name' in message && typeof message.name === 'string'
  if (!('id' in message) || typeof message.id !== 'number') return false
  if (message.is === 'ask') return 'name' in message && typeof message.name === 'string'
  return message.is === 'answer' || message.is === 'fault'
}
