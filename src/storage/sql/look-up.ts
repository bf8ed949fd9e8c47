import { CompiledQuery } from 'kysely'
import type { NameState } from '../../services/usernames/store.ts'
import type { Engine } from './engine.ts'
import type { Guard } from './guard.ts'

/** States of names that cannot be had by just anyone. */
export type LookUp = (tenant: string, folded: readonly string[], now: number) => Promise<ReadonlyMap<string, NameState>>

/** Sizes of the lists that are asked for: a few statements that stay prepared, the rest of a list is its last name again. */
const SIZES = [1, 4, 16, 64, 256, 512] as const
const LARGEST = 512

interface Found {
  readonly name: string
  readonly state: NameState
}

/** Of a name that is in several tables the last of these counts: who has it has the last word. */
const SOURCES = [
  { state: 'quarantined', table: 'username_quarantine', expires: true },
  { state: 'held', table: 'username_holds', expires: true },
  { state: 'taken', table: 'accounts', expires: false },
] as const

/** One statement for up to 512 names, whose text is made once. */
export function createLookUp(guard: Guard, engine: Pick<Engine, 'hasLists'>): LookUp {
  const queryOf = engine.hasLists ? withList : withMarks
  return async function statesOf(tenant, folded, now) {
    const asked = folded.filter((name) => !name.includes('\0'))
    const states = new Map<string, NameState>()
    for (let from = 0; from < asked.length; from += LARGEST) {
      const query = queryOf(tenant, asked.slice(from, from + LARGEST), now)
      const { rows } = await guard.read((db) => db.executeQuery<Found>(query))
      for (const { name, state } of rows) if (weightOf(state) > weightOf(states.get(name))) states.set(name, state)
    }
    return states
  }
}

function weightOf(state: NameState | undefined): number {
  return SOURCES.findIndex((source) => source.state === state)
}

const LIST_TEXT = textOf('$1', '= ANY($2::text[])', '$3')

function withList(tenant: string, names: readonly string[], now: number): CompiledQuery {
  return CompiledQuery.raw(LIST_TEXT, [tenant, names, now])
}

const MARKED_TEXTS: ReadonlyMap<number, string> = new Map(
  SIZES.map((size) => [size, textOf('?', `IN (${Array.from({ length: size }, () => '?').join(', ')})`, '?')]),
)

function withMarks(tenant: string, names: string[], now: number): CompiledQuery {
  const size = SIZES.find((one) => one >= names.length) ?? LARGEST
  const last = names.at(-1) ?? ''
  while (names.length < size) names.push(last)
  const values = SOURCES.flatMap(({ expires }) => [tenant, ...names, ...(expires ? [now] : [])])
  return CompiledQuery.raw(MARKED_TEXTS.get(size) ?? '', values)
}

function textOf(tenant: string, among: string, now: string): string {
  return SOURCES.map(({ state, table, expires }) => {
    const limit = expires ? ` AND expires_at > ${now}` : ''
    return `SELECT username_folded AS name, '${state}' AS state FROM ${table} WHERE tenant_id = ${tenant} AND username_folded ${among}${limit}`
  }).join(' UNION ALL ')
}
