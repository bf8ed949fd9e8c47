import { describe, expect, it } from 'vitest'
import { createWholeLines } from '../../../src/workers/workers.ts'

interface Output {
  readonly writes: string[]
  readonly dones: (() => void)[]
  write(lines: string): void
}

function createOutput(): Output {
  const writes: string[] = []
  const dones: (() => void)[] = []
  const write = createWholeLines((bytes, done) => {
    writes.push(Buffer.from(bytes).toString())
    dones.push(done)
  })
  return { writes, dones, write }
}

/** As a file would: done before the next. */
function finish(output: Output): void {
  for (let done = output.dones.shift(); done !== undefined; done = output.dones.shift()) done()
}

describe('lines of an output that is shared', () => {
  it('leave in pieces of whole lines, none larger than what a pipe takes at once', () => {
    const output = createOutput()
    const text = Array.from({ length: 100 }, (_, line) => `${line} ${'ü'.repeat(line)}\n`).join('')
    output.write(text)
    finish(output)
    expect(output.writes.join('')).toBe(text)
    expect(output.writes.length).toBeGreaterThan(1)
    for (const written of output.writes) {
      expect(written.endsWith('\n')).toBe(true)
      expect(Buffer.byteLength(written)).toBeLessThanOrEqual(4096)
    }
  })

  it('leave one piece after the other: what waits is never joined to what is on its way', () => {
    const output = createOutput()
    output.write('one\n')
    output.write('two\n')
    output.write('three\n')
    expect(output.writes).toEqual(['one\n'])
    output.dones.shift()?.()
    expect(output.writes).toEqual(['one\n', 'two\n'])
    finish(output)
    expect(output.writes).toEqual(['one\n', 'two\n', 'three\n'])
  })

  it('leave whole when one is longer than a piece', () => {
    const output = createOutput()
    const long = `${'x'.repeat(10_000)}\n`
    output.write(`a\n${long}b\n`)
    finish(output)
    expect(output.writes).toEqual(['a\n', long, 'b\n'])
  })
})
