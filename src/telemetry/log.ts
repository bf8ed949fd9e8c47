import { Problem } from '../problem/problem.ts'
import { quote } from './json-text.ts'
import type { LineBuffer } from './line-buffer.ts'
import { isSecretName, redact } from './redact.ts'
import type { Stamp } from './stamp.ts'

/**
 * What a message is about: strings, numbers and booleans under names in snake_case. Anything else but `cause` is reduced
 * to the name of its type.
 */
export interface LogFacts {
  /** What was thrown; logged as class name, code, message and stack, with its own causes. */
  readonly cause?: unknown
  readonly [fact: string]: unknown
}

/** The gateway's own voice: one JSON line for each message, redacted. */
export interface Log {
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
}

/** @param tag what stands in each line behind its level, as JSON with a comma before it */
export function createLog(lines: LineBuffer, stamp: Stamp, tag = ''): Log {
  return {
    info: (message, facts) => lines.add(logLine(stamp(), `"info"${tag}`, message, facts)),
    warn: (message, facts) => lines.add(logLine(stamp(), `"warn"${tag}`, message, facts)),
    error(message, facts) {
      lines.add(logLine(stamp(), `"error"${tag}`, message, facts))
      // An error may be the last that is heard of this process.
      lines.flush()
    },
  }
}

const MESSAGE_CHARACTERS = 1024
const STACK_CHARACTERS = 4096
const CAUSES = 4
const RESERVED: ReadonlySet<string> = new Set(['time', 'level', 'msg', 'cause'])

function logLine(time: string, level: string, message: string, facts: LogFacts = {}): string {
  let line = `{"time":"${time}","level":${level},"msg":${freeText(message, MESSAGE_CHARACTERS)}`
  for (const [name, value] of Object.entries(facts)) {
    if (name === 'cause' || value === undefined) continue
    const key = RESERVED.has(name) ? `fact_${name}` : name
    line += `,${quote(key)}:${isSecretName(name) ? '"[masked]"' : scalar(value)}`
  }
  if (facts.cause !== undefined) line += `,"cause":${describeCause(facts.cause)}`
  return `${line}}`
}

/** A JSON string: cut to `characters`, redacted, escaped. */
export function freeText(text: string, characters: number): string {
  return quote(redact(text.length > characters ? text.slice(0, characters) : text))
}

/**
 * What was thrown as JSON: class, code, message, stack and causes of an Error. Objects that are no Error are named, not
 * shown, since they may carry anything. Never throws.
 */
export function describeCause(thrown: unknown, depth = 0): string {
  try {
    if (!(thrown instanceof Error)) return scalar(thrown)
    let text = `{"class":${freeText(className(thrown), 128)}`
    if ('code' in thrown && thrown.code !== undefined) text += `,"code":${scalar(thrown.code)}`
    text += `,"message":${freeText(thrown.message, MESSAGE_CHARACTERS)}`
    if (thrown instanceof Problem) {
      if (thrown.facts.detail !== undefined) text += `,"detail":${freeText(thrown.facts.detail, MESSAGE_CHARACTERS)}`
    } else if (thrown.stack !== undefined) {
      text += `,"stack":${freeText(thrown.stack, STACK_CHARACTERS)}`
    }
    if (thrown.cause !== undefined && depth < CAUSES) text += `,"cause":${describeCause(thrown.cause, depth + 1)}`
    return `${text}}`
  } catch {
    // A getter of a foreign error threw: the line matters more than its cause.
    return '"[unreadable]"'
  }
}

function className(error: Error): string {
  const name: unknown = error.constructor.name
  return typeof name === 'string' && name !== '' ? name : error.name
}

function scalar(value: unknown): string {
  if (typeof value === 'string') return freeText(value, MESSAGE_CHARACTERS)
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : quote(String(value))
  if (typeof value === 'boolean') return String(value)
  if (value === null) return 'null'
  return `"[${typeof value}]"`
}
