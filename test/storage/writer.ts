/** A process that writes to embedded storage until it is killed, saying what was acknowledged. Run by the tests of it. */
import { openEmbedded } from '../../src/storage/embedded/embedded.ts'
import { openSql } from '../../src/storage/sql/sql.ts'
import { monotonicMs, random, schedule } from '../../src/world.ts'
import { aSession, anAccount } from './contract.ts'

const [, , directory = '', prefix = '0', rounds = '1000000'] = process.argv
const nowSeconds = (): number => 1_800_000_000
const storage = await openEmbedded({ nowSeconds }, { directory, migrate: true })
const embedded = { accounts: { kind: 'embedded' }, directory, migrate: true } as const
const { accounts, close } = await openSql({ nowSeconds, nowMs: monotonicMs, random, schedule }, embedded)

for (let i = 0; i < Number(rounds); i++) {
  const id = prefix + i.toString(16).padStart(31, '0')
  await storage.sessions.create(aSession({ id }), { sessionsPerUser: 10_000 })
  console.log(`session ${id}`)
  if (i % 3 === 0) {
    await storage.sessions.end({ tenant: 'acme', user: 'usr_1', id }, { reason: 'test', tokensUntil: nowSeconds() + 900 })
    console.log(`ended ${id}`)
  }
  const name = `${prefix}-${i.toString(16)}`
  const username = { shown: name, folded: name, skeleton: name }
  await accounts.create(anAccount({ id: `usr_${id}`, emailFolded: `${id}@x.org`, username }))
  console.log(`account usr_${id}`)
}
storage.close()
await close()
