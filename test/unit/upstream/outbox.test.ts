import { describe, expect, it } from 'vitest'
import type { AnswerMessage } from '../../../src/exchange/exchange.ts'
import { createOutbox } from '../../../src/upstream/outbox.ts'

describe('small answers', () => {
  it('leave together at the end of a turn, in the order in which they came, and each is told when it has left', () => {
    const { outbox, endTurn, log } = createWorld()
    outbox.leave(answer(log, 'first'), '{}', () => log.push('first has left'))
    outbox.leave(answer(log, 'second'), '', () => log.push('second has left'))
    expect(log).toEqual([])
    endTurn()
    expect(log).toEqual(['first ends with "{}" as latin1', 'first has left', 'second ends with "" as latin1', 'second has left'])
    endTurn()
    expect(log).toHaveLength(4)
  })

  it('leave with the next turn where they come while others leave', () => {
    const { outbox, endTurn, log } = createWorld()
    outbox.leave(answer(log, 'first'), '1', () => outbox.leave(answer(log, 'second'), '2', () => undefined))
    endTurn()
    expect(log).toEqual(['first ends with "1" as latin1'])
    endTurn()
    expect(log).toEqual(['first ends with "1" as latin1', 'second ends with "2" as latin1'])
  })

  it('are not written to a client that is gone, which is told all the same', () => {
    const { outbox, endTurn, log } = createWorld()
    outbox.leave(answer(log, 'first', { destroyed: true }), '1', () => log.push('first has left'))
    endTurn()
    expect(log).toEqual(['first has left'])
  })

  it('are cut where they cannot be written, and those behind them leave', () => {
    const { outbox, endTurn, log } = createWorld()
    outbox.leave(answer(log, 'first', { fails: true }), '1', () => log.push('first has left'))
    outbox.leave(answer(log, 'second'), '2', () => log.push('second has left'))
    endTurn()
    expect(log).toEqual(['first is cut', 'first has left', 'second ends with "2" as latin1', 'second has left'])
  })
})

function createWorld() {
  const turns: (() => void)[] = []
  const log: string[] = []
  return { outbox: createOutbox({ endOfTurn: (run) => void turns.push(run) }), endTurn: () => turns.shift()?.(), log }
}

function answer(log: string[], name: string, { destroyed = false, fails = false } = {}): AnswerMessage {
  const req = { httpVersion: '1.1', rawHeaders: [], headers: {}, socket: {}, complete: true, destroyed: false }
  const nothing = () => undefined
  return {
    req: { ...req, on: nothing, off: nothing, pause: nothing, resume: nothing, destroy: nothing },
    headersSent: true,
    destroyed,
    writableEnded: false,
    writableFinished: false,
    hasHeader: () => false,
    getHeaderNames: () => [],
    getHeader: nothing,
    setHeader: nothing,
    writeHead: nothing,
    writeInformation: nothing,
    writeContinue: nothing,
    addTrailers: nothing,
    write: () => true,
    end(text, encoding?: string) {
      if (fails) throw new Error('it cannot be written')
      log.push(`${name} ends with ${JSON.stringify(text)} as ${encoding}`)
    },
    destroy: () => log.push(`${name} is cut`),
    on: nothing,
    once: nothing,
    off: nothing,
  }
}
