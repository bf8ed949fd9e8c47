/**
 * What a rate limit costs: memory for each caller, and time for each request, in memory. `node bench/micro/rate-limits.ts`
 */
import { createDebts } from '../../src/quota/debts.ts'
import { createKeyedHash } from '../../src/exchange/exchange.ts'

const REQUESTS = 2_000_000
const MOST = 131_072

/** Nanoseconds for each of so many. */
function time(name: string, count: number, work: (number: number) => void): void {
  for (let number = 0; number < count / 10; number += 1) work(number)
  const startedMs = performance.now()
  for (let number = 0; number < count; number += 1) work(number)
  const nanoseconds = ((performance.now() - startedMs) * 1e6) / count
  process.stdout.write(`${name}: ${nanoseconds.toFixed(0)} ns\n`)
}

const keyed = createKeyedHash([1, 2])
const addresses = Array.from({ length: 65_536 }, (_, at) => `ip:10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
const users = Array.from({ length: 65_536 }, (_, at) => `user:acme:usr_${at.toString(16).padStart(32, '0')}`)
const at = <T>(list: readonly T[], number: number): T => {
  const found = list[number % list.length]
  if (found === undefined) throw new Error('empty')
  return found
}

time('hash of an address', REQUESTS, (number) => keyed.hash(at(addresses, number)))
time('hash of a user', REQUESTS, (number) => keyed.hash(at(users, number)))

const few = createDebts(keyed, MOST)
time('request of one of 100 addresses', REQUESTS, (number) => {
  few.locate(at(addresses, number % 100), number)
  few.put(number + 10)
})
const many = createDebts(keyed, MOST)
time('request of one of 65,536 addresses, all in debt', REQUESTS, (number) => {
  many.locate(at(addresses, number), 1)
  many.put(1_000)
})
process.stdout.write(
  `${many.size()} places of 16 octets for ${addresses.length} callers: ${((many.size() * 16) / addresses.length).toFixed(0)} octets a caller, ${(many.size() * 16) / 2 ** 20} MiB\n`,
)
