/** A channel of Redis: heard as long as there is a connection, told at once or not at all. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openChannel, type RedisConfig } from '../../src/storage/redis/redis.ts'
import { waitFor } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const NAME = 'token_invalidation'
const PASSWORD = 'canary-password'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis(['--requirepass', PASSWORD])
})
afterAll(() => redis.stop())

function open(password = PASSWORD) {
  const heard: Buffer[] = []
  const states: string[] = []
  const causes: unknown[] = []
  const config: RedisConfig = { kind: 'redis', url: `redis://:${password}@127.0.0.1:${redis.port}/1` }
  const channel = openChannel(
    {
      random: Math.random,
      schedule(delayMs, run) {
        // A dead connection is looked for more often than in earnest.
        const timer = setTimeout(run, delayMs / 20)
        return () => clearTimeout(timer)
      },
      hear: (message) => void heard.push(Buffer.from(message)),
      heard(state, cause) {
        states.push(state)
        if (cause !== undefined) causes.push(cause)
      },
    },
    config,
    NAME,
  )
  return { channel, heard, states, causes, is: (state: string) => waitFor(() => states.at(-1) === state) }
}

describe('a channel', () => {
  it('takes bytes as they are, from every database, its own messages too', async () => {
    const { channel, heard, is } = open()
    await is('up')
    const bytes = Buffer.from([0, 0xff, 0x0a, 0x7b])
    await redis.admin.publish(NAME, bytes)
    await channel.publish('hello')
    await waitFor(() => heard.length === 2)
    expect(heard).toEqual([bytes, Buffer.from('hello')])
    channel.close()
  })

  it('hears nothing after it was closed, and leaves no connection', async () => {
    const { channel, heard, states, is } = open()
    await is('up')
    channel.close()
    await waitFor(async () => !String(await redis.admin.call('CLIENT', 'LIST')).includes('name=gatehouse '))
    await redis.admin.publish(NAME, 'late')
    await expect(channel.publish('late')).rejects.toThrow('Redis is not connected')
    expect([heard, states]).toEqual([[], ['up']])
  })

  it('fails to tell while Redis is away, at once, and does not tell it later', async () => {
    const { channel, heard, states, is } = open()
    await is('up')
    await redis.kill()
    await is('down')
    await waitFor(() =>
      channel.publish('lost').then(
        () => false,
        () => true,
      ),
    )
    await expect(channel.publish('lost')).rejects.toThrow()
    await redis.restart()
    await is('up')
    await waitFor(() =>
      channel.publish('there again').then(
        () => true,
        () => false,
      ),
    )
    await waitFor(() => heard.length > 0)
    expect([heard, states]).toEqual([[Buffer.from('there again')], ['up', 'down', 'up']])
    channel.close()
  })

  it('may be opened before there is a Redis', async () => {
    await redis.kill()
    const { channel, heard, is } = open()
    await is('down')
    await redis.restart()
    await is('up')
    await redis.admin.publish(NAME, 'hello')
    await waitFor(() => heard.length === 1)
    channel.close()
  })

  it('finds out by itself that its connection is dead', async () => {
    const { channel, is } = open()
    await is('up')
    redis.pause()
    await is('down')
    redis.resume()
    await is('up')
    channel.close()
  })

  it('says without the password that it may not', async () => {
    const { channel, causes, is } = open('canary-wrong')
    await is('down')
    await waitFor(() => causes.length > 0)
    const told = causes.map((cause) =>
      cause instanceof Error ? `${cause.message} ${JSON.stringify(cause)} ${cause.stack}` : String(cause),
    )
    expect(told.join()).not.toContain('canary')
    channel.close()
  })
})
