import { expect, test } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import { createCircuit } from '../../../src/upstream/circuit.ts'
import { testClock } from './world.ts'

const CONFIG = { errorThreshold: 0.5, minRequests: 10, windowMs: 10_000, resetAfterMs: 2000 }

function open(config = CONFIG) {
  const clock = testClock()
  const states: string[] = []
  const active = { count: 0 }
  const circuit = createCircuit(
    { monotonicMs: clock.monotonicMs, underWay: () => active.count, changed: (state) => states.push(state) },
    config,
  )
  const admit = (): void => {
    circuit.admit()
    active.count += 1
  }
  const judge = (isGood: boolean, times: number) => {
    for (let time = 0; time < times; time += 1) circuit.judge(isGood, 1)
  }
  return { clock, states, circuit: { ...circuit, admit }, judge, active }
}

function refusal(run: () => void): Problem | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

test('opens when enough requests were made and half of them failed', () => {
  const { circuit, judge, states } = open()
  judge(true, 5)
  judge(false, 4)
  expect(states).toEqual([])
  expect(refusal(circuit.admit)).toBeUndefined()
  judge(false, 1)
  expect(states).toEqual(['open'])
  const problem = refusal(circuit.admit)
  expect(problem).toMatchObject({ kind: 'upstream_resting', status: 503, error: 'upstream_unreachable' })
  expect(problem?.facts.headers).toEqual({ 'retry-after': '2' })
})

test('does not open for few requests, and not for failures that are long past', () => {
  const { clock, judge, states } = open()
  judge(false, 9)
  clock.pass(10_001)
  judge(false, 9)
  expect(states).toEqual([])
  clock.pass(4000)
  judge(false, 1)
  expect(states).toEqual(['open'])
})

test('good requests go out of the window as failures do', () => {
  const { clock, judge, states } = open()
  judge(true, 1000)
  clock.pass(11_000)
  judge(false, 10)
  expect(states).toEqual(['open'])
})

test('after a rest one request tries, and its success closes it', () => {
  const { clock, circuit, judge, states } = open()
  judge(false, 10)
  clock.pass(1999)
  expect(refusal(circuit.admit)?.facts.headers).toEqual({ 'retry-after': '1' })
  clock.pass(1)
  expect(refusal(circuit.admit)).toBeUndefined()
  expect(circuit.state()).toBe('half-open')
  expect(refusal(circuit.admit)?.kind).toBe('upstream_resting')
  clock.pass(5)
  circuit.judge(true, 5)
  expect(states).toEqual(['open', 'half-open', 'closed'])
  expect(refusal(circuit.admit)).toBeUndefined()
  judge(false, 9)
  expect(circuit.state()).toBe('closed')
})

test('its failure opens it again', () => {
  const { clock, circuit, judge, states } = open()
  judge(false, 10)
  clock.pass(2000)
  circuit.admit()
  circuit.judge(false, 0)
  expect(states).toEqual(['open', 'half-open', 'open'])
  clock.pass(1999)
  expect(refusal(circuit.admit)?.kind).toBe('upstream_resting')
})

test('what was sent before the rest says nothing about now', () => {
  const { clock, circuit, judge, states } = open()
  judge(false, 10)
  clock.pass(2000)
  circuit.admit()
  clock.pass(10)
  circuit.judge(true, 5000)
  circuit.judge(false, 5000)
  expect(states).toEqual(['open', 'half-open'])
})

test('a try that nobody ends is followed by another', () => {
  const { clock, circuit, judge } = open()
  judge(false, 10)
  clock.pass(2000)
  circuit.admit()
  clock.pass(1999)
  expect(refusal(circuit.admit)?.kind).toBe('upstream_resting')
  clock.pass(1)
  expect(refusal(circuit.admit)).toBeUndefined()
})

test('a try that ends without a word about the upstream is followed by another at once', () => {
  const { clock, circuit, judge, active, states } = open()
  active.count = 3
  judge(false, 10)
  clock.pass(2000)
  for (let time = 0; time < 5; time += 1) {
    expect(refusal(circuit.admit)).toBeUndefined()
    expect(refusal(circuit.admit)?.kind).toBe('upstream_resting')
    clock.pass(1)
    active.count -= 1
  }
  expect(refusal(circuit.admit)).toBeUndefined()
  circuit.judge(true, 0)
  expect(states).toEqual(['open', 'half-open', 'closed'])
})

test('goes through a year of seconds without a slot that is not emptied', () => {
  const { clock, judge, states } = open({ ...CONFIG, windowMs: 1000 })
  for (let round = 0; round < 2000; round += 1) {
    judge(false, 4)
    clock.pass(501 + (round % 7) * 300)
  }
  expect(states).toEqual([])
})
