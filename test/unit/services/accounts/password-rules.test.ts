import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createPasswordRules, openBreached } from '../../../../src/services/accounts/accounts.ts'
import { isGuessable } from '../../../../src/services/accounts/guessable.ts'

const ANN = { email: 'Ann.Lee@example.com', username: 'AnnTheGreat' }

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex').toUpperCase()
}

function fileOf(text: string) {
  const bytes = Buffer.from(text)
  let reads = 0
  let open = 0
  return {
    size: bytes.length,
    reads: () => reads,
    open: () => open,
    async opened() {
      open += 1
      return this
    },
    async close() {
      open -= 1
    },
    read: async (offset: number, length: number) => {
      reads += 1
      return bytes.subarray(offset, offset + length)
    },
  }
}

describe('the passwords that are guessed first', () => {
  test.each([
    'password',
    'PASSWORD',
    'Passw0rd!',
    'P@ssw0rd2024',
    'p@$$w0rd',
    'letmein1',
    '123456789',
    '87654321',
    'qwertyuiop',
    'qwerty123',
    '1qaz2wsx',
    'asdfghjkl',
    'abcd1234',
    'aaaaaaaa',
    'abcabcabc',
    '12121212',
    'Sunshine!!',
    '2024Summer',
    'monkeymonkey',
    'iloveyou1',
    'Admin123',
    '4dmin2024',
    'trustno1!',
  ])('«%s» is one of them', (password) => {
    expect(isGuessable(password)).toBe(true)
  })

  test.each([
    'correct horse battery staple',
    'correct horse',
    'kXo4!pq9',
    'another one',
    'trombone-xylophone',
    '日本語のパスワード',
    'ö'.repeat(512),
  ])('«%s» is not', (password) => {
    expect(isGuessable(password)).toBe(false)
  })

  test('are told within bounds, whatever is handed in', () => {
    for (const password of ['a'.repeat(1024), '1'.repeat(31) + 'x', '!'.repeat(1024), 'ab'.repeat(16), '\u{1f600}'.repeat(200)]) {
      expect(typeof isGuessable(password)).toBe('boolean')
    }
  })
})

describe('the rules for a new password', () => {
  const rules = createPasswordRules()

  test.each(['ann.lee@example.com', 'ANN.LEE@EXAMPLE.COM', 'ann.lee', 'annthegreat'])(
    'refuse «%s»: it is of its owner',
    async (password) => {
      await expect(rules.check(password, ANN, 'password')).rejects.toMatchObject({
        kind: 'invalid_request',
        facts: { fields: [{ field: 'password', message: 'must not be the e-mail address or the username' }] },
      })
    },
  )

  test('ask for no kinds of characters', async () => {
    await expect(rules.check('trombone xylophone', ANN, 'password')).resolves.toBeUndefined()
  })

  test('refuse what was found in a breach, by its hash alone', async () => {
    const asked: string[] = []
    const strict = createPasswordRules({
      async has(hash) {
        asked.push(hash)
        return hash === sha1('trombone xylophone')
      },
    })
    await expect(strict.check('trombone xylophone', ANN, 'new_password')).rejects.toMatchObject({
      kind: 'invalid_request',
      facts: { fields: [{ field: 'new_password', message: 'was found in a breach: choose another one' }] },
    })
    await expect(strict.check('trombone and xylophone', ANN, 'new_password')).resolves.toBeUndefined()
    expect(asked).toEqual([sha1('trombone xylophone'), sha1('trombone and xylophone')])
  })
})

describe('the file of breached passwords', () => {
  const words = Array.from({ length: 3_000 }, (_, index) => `word ${index}`)
  const hashes = words.map(sha1).toSorted()

  test.each([
    ['with counts and CRLF', hashes.map((hash, index) => `${hash}:${index * 7 + 1}`).join('\r\n')],
    ['with counts and a line end', `${hashes.map((hash) => `${hash}:3`).join('\n')}\n`],
    ['of hashes alone', hashes.join('\n')],
  ])('%s is searched to its first and last line, in few reads', async (_, text) => {
    const file = fileOf(text)
    const breached = await openBreached(() => file.opened())
    for (const word of words) expect([word, await breached.has(sha1(word))]).toEqual([word, true])
    for (let index = 0; index < 300; index += 1) expect(await breached.has(sha1(`other ${index}`))).toBe(false)
    expect([await breached.has('0'.repeat(40)), await breached.has('F'.repeat(40))]).toEqual([false, false])
    expect(file.reads() / 3_300).toBeLessThan(25)
    expect(file.open()).toBe(0)
  })

  test('of one line is searched too', async () => {
    const breached = await openBreached(() => fileOf(`${sha1('one')}:1`).opened())
    expect([await breached.has(sha1('one')), await breached.has(sha1('two'))]).toEqual([true, false])
  })

  test.each(['', 'password\n', 'deadbeef:1\n', sha1('x').toLowerCase()])('«%s» is refused when it is opened', async (text) => {
    await expect(openBreached(() => fileOf(text).opened())).rejects.toThrow('does not begin with a SHA-1')
  })
})
