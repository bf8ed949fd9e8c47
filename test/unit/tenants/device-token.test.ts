import { describe, expect, test } from 'vitest'
import { createDeviceTokens } from '../../../src/tenants/device-token.ts'

const [FIRST, SECOND] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
const TOKEN = { device: '0123456789abcdef0123456789abcdef', user: 'usr_ann', expiresAt: 1_800_000_000 } as const
const tokens = createDeviceTokens([FIRST], ['default', 'acme'])

describe('a device token', () => {
  test('says what it was made of, to its own tenant alone', () => {
    const text = tokens.mint('default', TOKEN)
    expect(text).toMatch(/^gwd_[A-Za-z0-9_-]+$/)
    expect(tokens.read('default', text)).toEqual(TOKEN)
    expect(tokens.read('acme', text)).toBeUndefined()
    expect(tokens.read('nobody', text)).toBeUndefined()
  })

  test('is read on when the master key is replaced, and not without it', () => {
    const text = tokens.mint('default', TOKEN)
    expect(createDeviceTokens([SECOND, FIRST], ['default']).read('default', text)).toEqual(TOKEN)
    expect(createDeviceTokens([SECOND], ['default']).read('default', text)).toBeUndefined()
  })

  test('has one spelling, and dies by any change', () => {
    const text = tokens.mint('default', TOKEN)
    for (let at = 4; at < text.length; at += 1) {
      const other = text[at] === 'A' ? 'B' : 'A'
      expect(tokens.read('default', text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined()
    }
    for (const wrong of [
      '',
      'gwd_',
      'gwd_AAAA',
      `${text}A`,
      `${text}=`,
      ` ${text}`,
      text.replace('gwd_', 'gwr_'),
      `gwd_${'A'.repeat(10_000)}`,
    ]) {
      expect(tokens.read('default', wrong)).toBeUndefined()
    }
  })

  test('is for configured tenants and ids of devices', () => {
    expect(() => tokens.mint('nobody', TOKEN)).toThrow('configured tenants')
    expect(() => tokens.mint('default', { ...TOKEN, device: 'x' })).toThrow('32 lower-case hex digits')
  })
})
