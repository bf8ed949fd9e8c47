import { describe, expect, it } from 'vitest'
import { readContext } from '../../../src/traces/context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const GOOD = `00-${TRACE}-${SPAN}-01`

const TAKEN: readonly (readonly [string, string, boolean])[] = [
  ['a sampled one', GOOD, true],
  ['one that is not sampled', `00-${TRACE}-${SPAN}-00`, false],
  ['one with flags that nobody knows', `00-${TRACE}-${SPAN}-ff`, true],
  ['one of a later version', `01-${TRACE}-${SPAN}-01`, true],
  ['one of a later version with more behind it', `cc-${TRACE}-${SPAN}-01-what-the-future-brings`, true],
]

const LEFT: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
  ['version 0 with more behind it', `${GOOD}-00`],
  ['version 0 with one character more', `${GOOD}0`],
  ['a later version without its dash', `01-${TRACE}-${SPAN}-0100`],
  ['upper case', GOOD.toUpperCase()],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['a short trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ['no flags', `00-${TRACE}-${SPAN}`],
  ['no hex', `00-${TRACE.replace('a', 'g')}-${SPAN}-01`],
  ['two in one field', `${GOOD},${GOOD}`],
  ['a space before it', ` ${GOOD}`],
]

const STATES: readonly (readonly [string, readonly string[], string | undefined])[] = [
  ['one member', ['a=1'], 'a=1'],
  ['members of several fields', ['a=1', 'b=2'], 'a=1,b=2'],
  ['spaces and empty members', [' a=1 ,, b=2 '], 'a=1,b=2'],
  ['a tenant in the key', ['acme@vendor=1'], 'acme@vendor=1'],
  ['nothing', [''], undefined],
  ['no member at all', [', ,'], undefined],
  ['a member without a value', ['a=1,b'], undefined],
  ['a key in upper case', ['A=1'], undefined],
  ['a value with an equals sign', ['a=1=2'], undefined],
  ['more than 32 members', [Array.from({ length: 33 }, (_, index) => `k${index}=1`).join(',')], undefined],
  ['more than 512 characters', [`a=${'x'.repeat(256)},b=${'x'.repeat(256)}`], undefined],
]

describe('the context of a trace', () => {
  it.each(TAKEN)('is taken from %s', (_, parent, isSampled) => {
    expect(readContext(['TraceParent', parent])).toEqual({ traceId: TRACE, spanId: SPAN, isSampled })
  })

  it.each(LEFT)('is not taken from %s', (_, parent) => {
    expect(readContext(['traceparent', parent, 'tracestate', 'a=1'])).toBeUndefined()
  })

  it('is not taken from two fields, nor from a state alone', () => {
    expect(readContext(['traceparent', GOOD, 'traceparent', GOOD])).toBeUndefined()
    expect(readContext(['tracestate', 'a=1'])).toBeUndefined()
  })

  it.each(STATES)('has the state of %s', (_, values, state) => {
    const context = readContext(['traceparent', GOOD, ...values.flatMap((value) => ['tracestate', value])])
    expect(context).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true, ...(state !== undefined && { state }) })
  })
})
