import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { beforeEach, expect, it } from 'vitest'
import { createSlowCuts } from '../../../src/listener/slow-cuts.ts'

const TOO_LONG = Object.assign(new Error('too long'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
const MALFORMED = Object.assign(new Error('malformed'), { code: 'HPE_INVALID_METHOD' })

beforeEach(() => {
  later.length = 0
})

it('cuts a crowd one by one, with time for other work in between', () => {
  const { onClientError, refused } = createCuts()
  for (let count = 0; count < 100; count += 1) onClientError(TOO_LONG, new Socket())
  const seen: number[] = []
  while (seen.at(-1) !== 100) {
    seen.push(refused.length)
    pause()
  }
  expect(seen).toEqual(Array.from({ length: 101 }, (_, index) => index))
})

it('cuts more at a time the more wait, so that all are cut soon', () => {
  const { onClientError, refused } = createCuts()
  for (let count = 0; count < 20_000; count += 1) onClientError(TOO_LONG, new Socket())
  pause()
  expect(refused).toHaveLength(79)
  let turns = 1
  for (; refused.length < 20_000; turns += 1) pause()
  expect(turns).toBeLessThan(1600)
})

it('cuts each in the order in which its time was over, and those that come meanwhile after them', () => {
  const { onClientError, refused } = createCuts()
  const sockets = Array.from({ length: 4 }, () => new Socket())
  for (const socket of sockets.slice(0, 2)) onClientError(TOO_LONG, socket)
  pause()
  for (const socket of sockets.slice(2)) onClientError(TOO_LONG, socket)
  for (let turns = 0; turns < 3; turns += 1) pause()
  expect(refused.map(({ socket }) => sockets.indexOf(socket as Socket))).toEqual([0, 1, 2, 3])
})

it('refuses what cannot be read at once', () => {
  const { onClientError, refused } = createCuts()
  const socket = new Socket()
  onClientError(MALFORMED, socket)
  expect(refused).toEqual([{ error: MALFORMED, socket }])
})

it('lets a request be that came to its end while its connection waited to be cut', () => {
  const { onClientError, refused, latest } = createCuts()
  const [head, body, both, none] = [new Socket(), new Socket(), new Socket(), new Socket()]
  const [slowBody, before] = [answerOf(false), answerOf(true)]
  latest.set(body, slowBody)
  latest.set(both, before)
  latest.set(none, before)
  for (const socket of [head, body, both, none]) onClientError(TOO_LONG, socket)
  latest.set(head, answerOf(true))
  slowBody.req.complete = true
  latest.set(both, answerOf(true))
  for (let turns = 0; turns < 4; turns += 1) pause()
  expect(refused.map(({ socket }) => socket === none)).toEqual([true])
})

it('cuts a client whose head came whole while it waited, and whose body did not', () => {
  const { onClientError, refused, latest } = createCuts()
  const socket = new Socket()
  onClientError(TOO_LONG, socket)
  latest.set(socket, answerOf(false))
  pause()
  expect(refused).toEqual([{ error: TOO_LONG, socket }])
})

function createCuts() {
  const refused: { error: Error; socket: Duplex }[] = []
  const latest = new Map<Duplex, ServerResponse>()
  const onClientError = createSlowCuts(
    { schedule },
    (error, socket) => refused.push({ error, socket }),
    (socket) => latest.get(socket),
  )
  return { onClientError, refused, latest }
}

function answerOf(isWhole: boolean): ServerResponse {
  const req = new IncomingMessage(new Socket())
  req.complete = isWhole
  return new ServerResponse(req)
}

/** What is to be done later, in order. */
const later: { readonly delayMs: number; run(): void }[] = []

function schedule(delayMs: number, run: () => void): () => void {
  later.push({ delayMs, run })
  return () => undefined
}

/** Lets the time pass until something is done. */
function pause(): void {
  const next = later.shift()
  if (next === undefined) return
  expect(next.delayMs).toBeGreaterThan(0)
  next.run()
}
