/** Plays the scripts of the Autobahn test-suite as its fuzzing client does: frames masked, the connection closed when done. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import {
  closePayload,
  frameHead,
  masked,
  maskedFrame,
  OPCODES,
  openWebSocket,
  readFrames,
  type WebSocketClient,
} from './websocket.ts'

interface Payload {
  readonly payload_b64?: string
  readonly payload_repeat_b64?: string
  readonly payload_len?: number
}

type Step =
  | ({
      readonly op: 'frame'
      readonly opcode: number
      readonly fin: boolean
      readonly rsv: number
      readonly chopsize?: number
      readonly sync?: boolean
    } & Payload)
  | ({ readonly op: 'message'; readonly binary: boolean; readonly fragment_size?: number } & Payload)
  | { readonly op: 'close' | 'close_frame'; readonly code: number | null; readonly reason_b64?: string }
  | { readonly op: 'begin_message'; readonly opcode: number }
  | { readonly op: 'begin_frame'; readonly payload_len: number }
  | { readonly op: 'frame_data'; readonly payload_b64: string }
  | { readonly op: 'end_message' }
  | { readonly op: 'wait_s'; readonly t: number; readonly tag: string | null }
  | { readonly op: 'kill_after_s' | 'close_after_s'; readonly t: number }

export type Event =
  | ({ readonly ev: 'message'; readonly binary: boolean } & Payload)
  | ({ readonly ev: 'pong' } & Payload)
  | { readonly ev: 'timeout'; readonly tag: string }

export interface AutobahnCase {
  readonly id: string
  readonly script: readonly Step[]
  readonly expected: Readonly<Record<string, readonly Event[]>>
  readonly suppress_close: boolean
  readonly perf: boolean
}

export interface Played {
  /** As `expected` writes them, long payloads as their hash. */
  readonly events: readonly Event[]
  /** Code and reason of the close frame that came, if one did. */
  readonly close: readonly [number, string] | undefined
  /** Whether the other side ended the connection. */
  readonly closed: boolean
  /** Frames, in order, each as opcode, fin, reserved bits and length. */
  readonly frames: string
}

/** A second of a script. */
const SECOND_MS = 500
/** Longest wait for the other side to end the connection. */
const END_MS = 8000

/** @param connect a connection of its own, or the port for one */
export async function playCase(connect: number | (() => Socket), one: AutobahnCase): Promise<Played> {
  const client = await openWebSocket(typeof connect === 'number' ? connect : connect())
  if (client.status !== 101) throw new Error(`${one.id}: ${client.answer}`)
  const timeouts: { readonly at: number; readonly event: Event }[] = []
  let closing = false
  const events = (): Event[] => eventsOf(client, timeouts)
  const wanted = (one.expected['OK'] ?? []).map(normal)
  // The suite closes as soon as it has what it expects.
  const finish = (): void => {
    if (closing || one.suppress_close || wanted.length === 0 || !isDeepStrictEqual(events(), wanted)) return
    closing = true
    client.send(maskedFrame({ opcode: OPCODES.close, payload: closePayload(1000) }))
  }
  client.listen(finish)
  await playSteps(client, one.script, timeouts, events)
  finish()
  await client.until(() => false, one.script.some(({ op }) => op === 'close_after_s') ? SECOND_MS : END_MS)
  if (!client.isClosed() && one.script.some(({ op }) => op === 'close_after_s')) {
    client.send(maskedFrame({ opcode: OPCODES.close, payload: closePayload(1000) }))
    await client.until(() => false, END_MS)
  }
  const { frames } = readFrames(client.received())
  const close = frames.find(({ opcode }) => opcode === OPCODES.close)?.payload
  const played: Played = {
    events: events(),
    close:
      close === undefined ? undefined : [close.length < 2 ? 1005 : close.readUInt16BE(0), close.subarray(2).toString('latin1')],
    closed: client.isClosed(),
    frames: frames.map(({ opcode, fin, rsv, payload }) => `${opcode}/${fin}/${rsv}/${payload.length}`).join(' '),
  }
  client.close()
  return played
}

async function playSteps(
  client: WebSocketClient,
  script: readonly Step[],
  timeouts: { readonly at: number; readonly event: Event }[],
  events: () => readonly Event[],
): Promise<void> {
  let opcode: number = OPCODES.text
  let sent = 0
  for (const step of script) {
    if (client.isClosed()) return
    if (step.op === 'frame') await sendFrame(client, step)
    else if (step.op === 'message') sendMessage(client, step)
    else if (step.op === 'close' || step.op === 'close_frame') {
      const reason = Buffer.from(step.reason_b64 ?? '', 'base64')
      client.send(maskedFrame({ opcode: OPCODES.close, payload: closePayload(step.code ?? undefined, reason) }))
    } else if (step.op === 'begin_message') opcode = step.opcode
    else if (step.op === 'begin_frame') {
      sent = 0
      client.send(frameHead(opcode, step.payload_len))
    } else if (step.op === 'frame_data') {
      const payload = Buffer.from(step.payload_b64, 'base64')
      client.send(masked(payload, sent))
      sent += payload.length
    } else if (step.op === 'wait_s') {
      await client.until(() => false, step.t * SECOND_MS)
      if (!client.isClosed() && step.tag !== null) timeouts.push({ at: events().length, event: { ev: 'timeout', tag: step.tag } })
    }
  }
}

async function sendFrame(client: WebSocketClient, step: Extract<Step, { op: 'frame' }>): Promise<void> {
  const frame = maskedFrame({ opcode: step.opcode, fin: step.fin, rsv: step.rsv, payload: payloadOf(step) })
  const chop = step.chopsize ?? frame.length
  for (let at = 0; at < frame.length; at += chop) {
    client.send(frame.subarray(at, at + chop))
    // Packets of their own, as far as that can be asked for.
    if (step.chopsize !== undefined || step.sync === true) await new Promise((resolve) => setImmediate(resolve))
  }
}

function sendMessage(client: WebSocketClient, step: Extract<Step, { op: 'message' }>): void {
  const payload = payloadOf(step)
  const size = step.fragment_size ?? Math.max(payload.length, 1)
  const first = step.binary ? OPCODES.binary : OPCODES.text
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    client.send(
      maskedFrame({
        opcode: at === 0 ? first : OPCODES.continuation,
        fin: at + size >= payload.length,
        payload: payload.subarray(at, at + size),
      }),
    )
  }
}

function payloadOf({ payload_b64, payload_repeat_b64, payload_len = 0 }: Payload): Buffer {
  if (payload_b64 !== undefined) return Buffer.from(payload_b64, 'base64')
  const unit = Buffer.from(payload_repeat_b64 ?? '', 'base64')
  return unit.length === 0 ? Buffer.alloc(0) : Buffer.alloc(payload_len, unit)
}

function eventsOf(client: WebSocketClient, timeouts: readonly { readonly at: number; readonly event: Event }[]): Event[] {
  const events: Event[] = []
  let parts: Buffer[] = []
  let binary = false
  for (const { opcode, fin, payload } of readFrames(client.received()).frames) {
    if (opcode === OPCODES.pong) events.push(normal({ ev: 'pong', payload_b64: payload.toString('base64') }))
    if (opcode > OPCODES.binary) continue
    if (opcode !== OPCODES.continuation) {
      parts = []
      binary = opcode === OPCODES.binary
    }
    parts.push(payload)
    if (fin) events.push(normal({ ev: 'message', binary, payload_b64: Buffer.concat(parts).toString('base64') }))
  }
  for (const { at, event } of timeouts.toReversed()) events.splice(at, 0, event)
  return events
}

/** An event in one form, whichever way its payload is written. */
export function normal(event: Event): Event {
  if (event.ev === 'timeout') return event
  const octets = payloadOf(event)
  const payload_b64 = octets.length > 100 ? createHash('sha256').update(octets).digest('base64') : octets.toString('base64')
  return event.ev === 'pong' ? { ev: 'pong', payload_b64 } : { ev: 'message', binary: event.binary, payload_b64 }
}
