/** Plays cases of `framing-grammar.ts` through a gateway, many at once, and holds what came of each against `framing-reference.ts`. */
import { connect } from 'node:net'
import type { TestGateway } from './gateway.ts'
import type { AnswerCase, ClientCase } from './framing-grammar.ts'
import { readAnswerOf, readClient, type ReadRequest } from './framing-reference.ts'
import {
  countOf,
  faultOfAnswer,
  faultOfClient,
  incompleteness,
  lossOf,
  printOf,
  type Conversation,
  type Tally,
} from './framing-verdict.ts'
import { MARK } from './framing-words.ts'
import type { Message } from './strict-http.ts'
import { openWire, strictUpstream } from './wire.ts'

export interface Stage {
  readonly tally: Tally
  readonly gateway: TestGateway
  /** @throws Error that says what was sent and what is wrong with what came of it */
  playClients(cases: readonly ClientCase[], isComplete?: 'complete'): Promise<void>
  playAnswers(cases: readonly AnswerCase[], isComplete?: 'complete'): Promise<void>
  close(): Promise<void>
}

/** How long a connection may stay open that should be over. */
const LIMIT_MS = 10_000
/**
 * Of a body that it cannot read the parser says nothing where the request asks for another protocol: the gateway waits as long as it
 * may take, which is not waited for here.
 */
const MAY_STALL = /^upgrade:/im
const STALL_MS = 1500
/** Requests of how many batches the upstream may still come to see. */
const REMEMBERED_BATCHES = 10
export async function openStage(): Promise<Stage> {
  const tally: Tally = { cases: 0, answered: 0, refused: 0 }
  /** Requests that clients have made and the upstream has not seen, by batch. */
  const awaited: Map<string, number>[] = []
  const strays: string[] = []
  /** What was sent last, to say where a stray came from. */
  const recent: string[] = []
  /** By target; a request that may be sent twice is, where its answer is lost with a connection that was used before. */
  const answers = new Map<string, { readonly special: AnswerCase; left: number; isLate: boolean }>()
  let next = 0
  const upstream = await strictUpstream((socket, message) => {
    const { method, target } = lineOf(message)
    const prepared = answers.get(target)
    if (prepared !== undefined && prepared.left > 0) {
      const { special } = prepared
      prepared.left -= 1
      prepared.isLate = socket.writableEnded
      const end = (): void => {
        if (special.leave === 'end') socket.end()
        else if (special.leave === 'reset') socket.resetAndDestroy()
      }
      writeCut(special, (octets, done) => void socket.write(octets, 'latin1', done), end)
      return
    }
    if (!take(awaited, printOf({ method, target, body: message.body.toString('latin1') }))) {
      const from = recent.filter((octets) => octets.includes(target)).map((octets) => JSON.stringify(octets))
      strays.push(`${message.start} with ${text(message.body)} of ${from.join(' or ')}`)
    }
    const body = method === 'HEAD' ? '' : target
    socket.write(`HTTP/1.1 200 OK\r\nX-Seen: ${target}\r\nContent-Length: ${target.length}\r\n\r\n${body}`, 'latin1')
  })
  const gateway = await openWire(upstream.port, {
    listener: ['overload: { enabled: false }'],
    upstream: ['connections: 64'],
    more: 'telemetry: { accessLog: { sample: 0% } }',
  })
  return { tally, gateway, playClients, playAnswers, close }

  async function playClients(cases: readonly ClientCase[], isComplete?: 'complete'): Promise<void> {
    const played = cases.map((one) => {
      const octets = marked(one.octets)
      return { ...one, octets, reading: readClient(octets) }
    })
    remember(played.flatMap(({ reading }) => reading.requests))
    recent.unshift(...played.map(({ octets }) => octets))
    recent.length = Math.min(recent.length, REMEMBERED_BATCHES * cases.length)
    const outcomes = await Promise.all(
      played.map(async (one) => {
        const { reading } = one
        const isOver = (received: Buffer): boolean =>
          (reading.end === 'partial' || reading.end === 'between') && countOf(received, reading) >= reading.requests.length
        return { ...one, ...(await converse(gateway.port, one, isOver)) }
      }),
    )
    for (const one of outcomes) {
      const wrong = faultOfClient(one, tally) ?? (isComplete === undefined ? undefined : incompleteness(one))
      if (wrong !== undefined)
        throw new Error(`${wrong}\nsent ${describe(one)}\nread ${JSON.stringify(one.reading)}\ngot ${text(one.received)}`)
    }
    await settle(played.map(describe))
    tally.cases += cases.length
  }

  async function playAnswers(cases: readonly AnswerCase[], isComplete?: 'complete'): Promise<void> {
    const played = cases.map((one) => {
      next += 1
      const first = `/a/${next}`
      const second = `/b/${next}`
      const octets = one.octets.replaceAll(MARK, String(next).padStart(MARK.length, '0'))
      // What never comes would be waited for.
      const isKept = one.leave === 'keep' && readAnswerOf(octets, one.method, false).end === 'whole'
      const leave = one.leave === 'keep' && !isKept ? 'end' : one.leave
      const special = { ...one, octets, leave }
      answers.set(first, { special, left: one.method === 'POST' ? 1 : 2, isLate: false })
      return { ...special, first, second, reading: readAnswerOf(octets, one.method, !isKept) }
    })
    // Twice where it meets with the end of a connection, which the upstream goes on reading.
    const seconds = played.map(({ second }) => ({ method: 'GET', target: second, body: '' }))
    remember([...seconds, ...seconds])
    const outcomes = await Promise.all(
      played.map(async (one) => {
        const body = one.method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n'
        const octets = `${one.method} ${one.first} HTTP/1.1\r\nHost: gateway.test\r\n${body}GET ${one.second} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n`
        return { ...one, ...(await converse(gateway.port, { octets, cuts: [], leave: 'wait' }, () => false)) }
      }),
    )
    for (const one of outcomes) {
      const mayBeLost = isComplete === undefined || metWithAnEnd(one.first, one.method, cases)
      const wrong = faultOfAnswer(one, tally) ?? (mayBeLost ? undefined : lossOf(one))
      if (wrong !== undefined)
        throw new Error(
          `${wrong}\nupstream sent ${describe(one)}\nread ${JSON.stringify(one.reading)}\nclient got ${text(one.received)}`,
        )
    }
    await settle(played.map(describe))
    answers.clear()
    tally.cases += cases.length
  }

  /** A POST that went out on a kept connection just when the upstream ended it is not sent again (RFC 9110 §9.2.2). */
  function metWithAnEnd(target: string, method: string, cases: readonly AnswerCase[]): boolean {
    const prepared = answers.get(target)
    if (method !== 'POST' || prepared === undefined || cases.every(({ leave }) => leave === 'keep')) return false
    return prepared.isLate || prepared.left > 0
  }

  function marked(octets: string): string {
    next += 1
    return octets.replaceAll(MARK, String(next).padStart(MARK.length, '0'))
  }

  function remember(requests: readonly ReadRequest[]): void {
    const batch = new Map<string, number>()
    for (const request of requests) {
      const print = printOf(request)
      batch.set(print, (batch.get(print) ?? 0) + 1)
    }
    awaited.unshift(batch)
    awaited.length = Math.min(awaited.length, REMEMBERED_BATCHES)
  }

  /** What the upstream has seen is all in order, and no half request is left with it. */
  async function settle(sent: readonly string[]): Promise<void> {
    await upstream.until(() => upstream.rests().length === 0 || upstream.faults.length > 0, LIMIT_MS)
    const wrong = { faults: [...upstream.faults], strays: strays.splice(0), rests: upstream.rests() }
    upstream.faults.length = 0
    upstream.requests.length = 0
    if (wrong.faults.length + wrong.strays.length + wrong.rests.length === 0) return
    throw new Error(`the upstream saw ${JSON.stringify(wrong)}\nsent ${sent.join('\n     ')}`)
  }

  async function close(): Promise<void> {
    await gateway.close()
    await upstream.close()
  }
}

/** Sends the octets, and waits for the end of the connection, or ends it itself as soon as it is over. */
function converse(port: number, sent: ClientCase, isOver: (received: Buffer) => boolean): Promise<Conversation> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let received: Buffer = Buffer.alloc(0)
    const timer = setTimeout(() => finish(true), LIMIT_MS)
    const patience = MAY_STALL.test(sent.octets) ? setTimeout(() => void socket.end(), STALL_MS) : undefined
    let isSent = false
    socket.on('error', () => undefined)
    socket.on('connect', () =>
      writeCut(
        sent,
        (octets, done) => void socket.write(octets, 'latin1', done),
        () => {
          isSent = true
          if (sent.leave === 'end') socket.end()
          else if (sent.leave === 'reset') socket.resetAndDestroy()
          else if (isOver(received)) socket.end()
        },
      ),
    )
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      if (isSent && isOver(received)) socket.end()
    })
    socket.on('close', () => finish(false))
    function finish(isHung: boolean): void {
      clearTimeout(timer)
      clearTimeout(patience)
      socket.destroy()
      resolve({ received, isHung })
    }
  })
}

/** Writes octets in the packets that the case says. */
function writeCut(
  { octets, cuts }: Pick<ClientCase, 'octets' | 'cuts'>,
  write: (octets: string, done: () => void) => void,
  done: () => void,
): void {
  const ends = [...cuts, octets.length]
  let at = 0
  step()
  function step(): void {
    const end = ends.shift()
    if (end === undefined) {
      done()
      return
    }
    const part = octets.slice(at, end)
    at = end
    write(part, () => setImmediate(step))
  }
}

function lineOf({ start }: Message): { method: string; target: string } {
  const [method = '', target = ''] = start.split(' ')
  return { method, target }
}

function take(batches: readonly Map<string, number>[], print: string): boolean {
  for (const batch of batches) {
    const count = batch.get(print) ?? 0
    if (count === 0) continue
    batch.set(print, count - 1)
    return true
  }
  return false
}

function describe({ octets, cuts, leave }: { octets: string; cuts: readonly number[]; leave: string }): string {
  return `${JSON.stringify(octets)}${cuts.length > 0 ? ` cut at ${cuts.join(', ')}` : ''}, then ${leave}`
}

function text(octets: Buffer): string {
  return JSON.stringify(octets.toString('latin1'))
}
