/** Look-ups in a DNS server of the test (RFC 1035 §4.1). */
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, describe, expect, test } from 'vitest'
import { systemNames } from '../../../src/upstream/names.ts'

const A = 1
const AAAA = 28

/** Address and seconds to live. */
type Entry = readonly [address: string, ttlSeconds: number]

interface Zone {
  readonly 1?: readonly Entry[]
  readonly 28?: readonly Entry[]
}

let socket: Socket | undefined

afterEach(() => {
  socket?.close()
  socket = undefined
})

/** A server that knows these names; of others it says that there is none. */
async function dns(zones: Readonly<Record<string, Zone>>): Promise<string> {
  const server = createSocket('udp4')
  server.on('message', (query, from) => server.send(answerTo(query, zones), from.port, from.address))
  await new Promise<void>((resolve) => void server.bind(0, '127.0.0.1', resolve))
  socket = server
  return `127.0.0.1:${server.address().port}`
}

function answerTo(query: Buffer, zones: Readonly<Record<string, Zone>>): Buffer {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = query.readUInt16BE(at + 1)
  const zone = zones[labels.join('.')]
  const entries = (type === A ? zone?.[A] : type === AAAA ? zone?.[AAAA] : undefined) ?? []
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  head.writeUInt16BE(zone === undefined ? 0x8183 : 0x8180, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(entries.length, 6)
  return Buffer.concat([head, query.subarray(12, at + 5), ...entries.map((entry) => recordOf(type, entry))])
}

function recordOf(type: number, [address, ttlSeconds]: Entry): Buffer {
  const octets = type === A ? Buffer.from(address.split('.').map(Number)) : Buffer.from(address.replaceAll(':', ''), 'hex')
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(type, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(ttlSeconds, 6)
  record.writeUInt16BE(octets.length, 10)
  return Buffer.concat([record, octets])
}

const SIX = '2001:0db8:0000:0000:0000:0000:0000:0001'

describe('a name', () => {
  test('has its addresses, and the shortest of their times to live', async () => {
    const server = await dns({
      'app.invalid': {
        1: [
          ['10.0.0.1', 60],
          ['10.0.0.2', 30],
        ],
        28: [[SIX, 5]],
      },
    })
    expect(await systemNames([server]).find('app.invalid')).toEqual({ addresses: ['10.0.0.1', '10.0.0.2'], ttlSeconds: 30 })
  })

  test('of IPv6 alone has those', async () => {
    const server = await dns({ 'six.invalid': { 28: [[SIX, 7]] } })
    expect(await systemNames([server]).find('six.invalid')).toEqual({ addresses: ['2001:db8::1'], ttlSeconds: 7 })
  })

  test.each(['empty.invalid', 'nobody.invalid'])('that has none, as %s, has nothing to say', async (name) => {
    const server = await dns({ 'empty.invalid': {} })
    expect(await systemNames([server]).find(name)).toBeUndefined()
  })

  test('that this machine knows otherwise, by its hosts file, is left to the machine', async () => {
    const server = await dns({ localhost: { 1: [['10.0.0.1', 60]] } })
    expect(await systemNames([server]).find('localhost')).toBeUndefined()
  })

  test('nobody answers for has nothing to say, as soon as it is given up', async () => {
    const server = await dns({})
    socket?.removeAllListeners('message')
    const names = systemNames([server])
    const asked = names.find('app.invalid')
    names.stop()
    expect(await asked).toBeUndefined()
  })
})
