import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CopyState, Revocation } from '../../../src/revocation/revocation.ts'
import { createDiskCopy } from '../../../src/storage/disk-copy/disk-copy.ts'
import type { DiskCopy } from '../../../src/storage/disk-copy/disk-copy.ts'
import type { KeyStore } from '../../../src/tenants/tenants.ts'

const FACTS: readonly Revocation[] = [
  { kind: 'token', tenant: 'acme', id: '0123456789abcdef0123456789abcdef', expiresAt: 1_900_000_000 },
  { kind: 'session', tenant: 'acme', id: 'line\nbreak, "quote" and 雪', expiresAt: 1_900_000_001 },
  { kind: 'user', tenant: 'acme', id: 'u', epoch: 7, at: 1_800_000_000, expiresAt: 1_900_000_002 },
  { kind: 'tenant', tenant: 'globex', at: 1_800_000_000, expiresAt: 1_900_000_003 },
  { kind: 'key', tenant: 'acme', id: 'k', expiresAt: 1_900_000_004 },
]
const STATE: CopyState = { position: '["1-2"]', confirmedAtMs: 1_800_000_000_123 }
const LATER: CopyState = { position: '["3-4"]', confirmedAtMs: 1_800_000_002_123 }

let directory = ''
let file = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-copy-'))
  file = join(directory, 'revocations.copy')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open(nowSeconds = 1_800_000_010, readsOnly = false): DiskCopy {
  const schedule = (delayMs: number, run: () => void): (() => void) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  }
  return createDiskCopy({ nowSeconds: () => nowSeconds, schedule, readsOnly }, directory)
}

async function loaded(copy = open()): Promise<{ readonly state: CopyState | undefined; readonly facts: Revocation[] }> {
  const facts: Revocation[] = []
  const state = await copy.revocations.load((page) => facts.push(...page))
  return { state, facts }
}

async function keep(...added: readonly Revocation[]): Promise<void> {
  const { revocations } = open()
  await revocations.replace(STATE, [FACTS.slice(0, 2), FACTS.slice(2)])
  if (added.length > 0) await revocations.append(LATER, added)
  await revocations.close()
}

const MORE: Revocation = { kind: 'token', tenant: 'acme', id: 'more', expiresAt: 1_900_000_005 }

describe('the copy of the revocations', () => {
  it('is none before there is a file', async () => {
    expect(await loaded()).toEqual({ state: undefined, facts: [] })
    expect(await open().isUsable()).toBe(false)
  })

  it('gives back what it was given, of every kind, to nobody but its owner', async () => {
    await keep()
    expect(await loaded()).toEqual({ state: STATE, facts: FACTS })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(directory)).toEqual(['revocations.copy'])
  })

  it('grows by what is added, and says when it has outgrown itself', async () => {
    await keep(MORE)
    expect(await loaded()).toEqual({ state: LATER, facts: [...FACTS, MORE] })
    const { revocations } = open()
    expect(await revocations.append(LATER, [MORE])).toBe('outgrown')
    await revocations.replace(STATE, [FACTS])
    const page = Array.from({ length: 2000 }, (_, at): Revocation => ({ ...MORE, id: `more ${at}` }))
    let pages = 0
    while ((await revocations.append(LATER, page)) === 'kept') pages += 1
    expect(pages).toBeGreaterThan(3)
    await revocations.replace(LATER, [FACTS])
    expect(await revocations.append(LATER, [])).toBe('kept')
    await revocations.close()
    expect(await loaded()).toEqual({ state: LATER, facts: FACTS })
  })

  it('that was cut off anywhere is as good as what came before, or refused', async () => {
    await keep(MORE)
    const whole = readFileSync(file)
    await keep()
    const base = statSync(file).size
    for (let bytes = 0; bytes < whole.length; bytes += 1) {
      writeFileSync(file, whole)
      truncateSync(file, bytes)
      const found = await loaded().catch((error: unknown) => (error instanceof Error ? 'refused' : 'thrown'))
      if (typeof found === 'object' && found.state !== undefined) {
        expect(bytes).toBeGreaterThanOrEqual(base)
        expect(found.state).toEqual(STATE)
        expect(found.facts.slice(0, FACTS.length)).toEqual(FACTS)
      } else expect(bytes).toBeLessThan(base)
    }
  })

  it('that was changed anywhere is refused', async () => {
    await keep()
    const whole = readFileSync(file)
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ 1
      writeFileSync(file, changed)
      const found = await loaded().catch(() => undefined)
      expect(found?.state).toBe(undefined)
      if (found !== undefined) expect(await open().isUsable()).toBe(false)
    }
  })

  it('of another version is refused', async () => {
    await keep()
    writeFileSync(file, readFileSync(file, 'latin1').replace('revocations 1', 'revocations 0'), 'latin1')
    await expect(loaded()).rejects.toThrow('not of the version')
    expect(await open().isUsable()).toBe(false)
  })

  it('stays whole while it is written anew, and when that fails', async () => {
    await keep()
    const { revocations } = open()
    function* pages(): Generator<readonly Revocation[]> {
      yield [MORE]
      throw new Error('no more')
    }
    await expect(revocations.replace(LATER, pages())).rejects.toThrow('no more')
    expect(await loaded()).toEqual({ state: STATE, facts: FACTS })
    expect(readdirSync(directory)).toEqual(['revocations.copy'])
  })

  it('is written anew when the process that replaced it is gone, and drafts of killed ones go', async () => {
    const [first, second] = [open().revocations, open().revocations]
    await first.replace(STATE, [FACTS])
    await second.replace(LATER, [FACTS])
    await second.close()
    utimesSync(file, 1_800_000_000, 1_800_000_000)
    writeFileSync(`${file}.0123`, '')
    utimesSync(`${file}.0123`, 1_700_000_000, 1_700_000_000)
    writeFileSync(`${file}.4567`, '')
    utimesSync(`${file}.4567`, 1_800_000_000, 1_800_000_000)
    expect(await first.append(LATER, [MORE])).toBe('kept')
    utimesSync(file, 1_799_999_000, 1_799_999_000)
    expect(await first.append(LATER, [])).toBe('outgrown')
    await first.replace(LATER, [[...FACTS, MORE]])
    await first.close()
    expect(await loaded()).toEqual({ state: LATER, facts: [...FACTS, MORE] })
    expect(readdirSync(directory).toSorted()).toEqual(['revocations.copy', 'revocations.copy.4567'])
  })
})

describe('the copy of the key sets', () => {
  const store = (sets: Record<string, string>): KeyStore => ({
    load: async (owner) => sets[owner],
    save: async (owner, sealed) => (sets[owner] ??= sealed),
  })

  it('has what was last read or stored, when it was, and nobody else may read it', async () => {
    const copy = open(1_800_000_000)
    const keys = copy.keys.over(store({ 'tenant:acme': 'sealed acme' }))
    expect([await keys.load('tenant:acme'), await keys.load('tenant:none')]).toEqual(['sealed acme', undefined])
    await keys.save('gateway', 'sealed gateway', undefined)
    await copy.keys.close()
    expect(statSync(join(directory, 'keys.copy')).mode & 0o777).toBe(0o600)
    const next = open().keys.over(store({}))
    expect(await next.kept?.('tenant:acme')).toEqual({ sealed: 'sealed acme', heardAt: 1_800_000_000 })
    expect(await next.kept?.('gateway')).toEqual({ sealed: 'sealed gateway', heardAt: 1_800_000_000 })
    expect(await next.kept?.('tenant:none')).toBe(undefined)
    expect(open().keys.isUsable()).toBe(true)
  })

  it('is none when the file is damaged', async () => {
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"version":2,"sets":{"a":{"sealed":"x","heardAt":1}}}',
      '{"version":1,"sets":{"a":1}}',
    ]) {
      writeFileSync(join(directory, 'keys.copy'), text)
      expect(open().keys.isUsable()).toBe(false)
    }
  })

  it('is no use without that of the revocations', async () => {
    const copy = open()
    await copy.keys.over(store({})).save('gateway', 'sealed', undefined)
    await copy.keys.close()
    expect(await open().isUsable()).toBe(false)
    await keep()
    expect(await open().isUsable()).toBe(true)
  })
})

describe('a copy that another process writes', () => {
  it('is read, and never written', async () => {
    await keep()
    const before = readFileSync(file)
    const copy = open(1_800_000_100, true)
    expect(await loaded(copy)).toEqual({ state: STATE, facts: FACTS })
    await copy.revocations.replace(LATER, [[MORE]])
    expect(await copy.revocations.append(LATER, [MORE])).toBe('kept')
    const keys = copy.keys.over({ load: async () => undefined, save: async (_, sealed) => sealed })
    await keys.save('gateway', 'sealed', undefined)
    await copy.keys.close()
    await copy.revocations.close()
    expect(readFileSync(file)).toEqual(before)
    expect(readdirSync(directory)).toEqual(['revocations.copy'])
  })
})
