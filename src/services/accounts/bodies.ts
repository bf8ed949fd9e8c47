import { z } from 'zod'
import { passwordBytes } from './passwords.ts'

/** RFC 5321 §4.5.3.1: a path has 256 octets with its brackets, a local part 64. */
const EMAIL_CHARACTERS = 254
const LOCAL_CHARACTERS = 64

const PASSWORD_BYTES = { least: 8, most: 1_024 } as const
const USERNAME = /^[a-zA-Z0-9_-]{3,30}$/

/** Characters as people count them, roughly. */
const DISPLAY_NAME_CHARACTERS = 100

/** Control, format, unassigned and private characters, and white space of every kind. */
const NOT_IN_EMAIL = /[\p{C}\p{Z}]/u
/** The same but for spaces, and the joiners that emoji and some scripts are written with. */
const NOT_IN_DISPLAY_NAME = /(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/u

const email = z.string().refine(isEmail, 'must be an e-mail address of at most 254 characters')
const tenantId = z.string().min(1).max(64).optional()
const newPassword = z.string().refine(isPassword, `must have ${PASSWORD_BYTES.least} to ${PASSWORD_BYTES.most} bytes`)
const currentPassword = z.string().refine(isShortEnough, `must have at most ${PASSWORD_BYTES.most} bytes`)
const username = z
  .string()
  .refine((value) => USERNAME.test(value), {
    message: 'must have 3 to 30 letters, digits, underscores or hyphens',
    params: { problem: 'username_invalid' },
  })
  .optional()
const holdTicket = z.string().min(1).max(128).optional().describe('Of a hold of the username.')
const TICKET_ALONE = { path: ['hold_ticket'], message: 'goes with the username that it holds', when: () => true }

export const REGISTRATION = z
  .strictObject({ email, password: newPassword, username, hold_ticket: holdTicket, tenant_id: tenantId })
  .refine(hasNameForTicket, TICKET_ALONE)

export type Registration = z.infer<typeof REGISTRATION>

/** A username that cannot exist is answered as one that does not. */
export const LOGIN = z
  .strictObject({
    email: email.optional(),
    username: z.string().min(1).max(EMAIL_CHARACTERS).optional(),
    password: currentPassword,
    tenant_id: tenantId,
    cookie: z.boolean().optional().describe('True: the tokens come as HttpOnly cookies, and none of them in the answer.'),
  })
  // Asked whatever else is wrong, so that one answer names every wrong field.
  .refine(namesOne, { path: ['email'], message: 'is required, or username in its place; not both', when: () => true })

export type Login = z.infer<typeof LOGIN>

/** What is absent stays as it is. */
export const PROFILE = z
  .strictObject({
    username,
    display_name: z
      .string()
      .refine(isDisplayName, `must have 1 to ${DISPLAY_NAME_CHARACTERS} characters that can be seen`)
      .nullable()
      .optional()
      .describe('Null takes it away.'),
    hold_ticket: holdTicket,
  })
  .refine(hasNameForTicket, TICKET_ALONE)

export type ProfileBody = z.infer<typeof PROFILE>

export const PASSWORD = z.strictObject({ current_password: currentPassword, new_password: newPassword })

export type PasswordBody = z.infer<typeof PASSWORD>

/** E-mail addresses are one person's in whatever case they are written. */
export function foldEmail(value: string): string {
  return value.normalize('NFC').toLowerCase()
}

function isEmail(value: string): boolean {
  // Folding makes some characters several.
  if (value.length > EMAIL_CHARACTERS || foldEmail(value).length > EMAIL_CHARACTERS) return false
  const at = value.indexOf('@')
  if (at < 1 || at > LOCAL_CHARACTERS || at === value.length - 1 || at !== value.lastIndexOf('@')) return false
  return !NOT_IN_EMAIL.test(value)
}

function isPassword(value: string): boolean {
  return isShortEnough(value) && passwordBytes(value).length >= PASSWORD_BYTES.least
}

function isShortEnough(value: string): boolean {
  return passwordBytes(value).length <= PASSWORD_BYTES.most
}

function isDisplayName(value: string): boolean {
  // Counted in code points; the database counts so too.
  if (value.length > 2 * DISPLAY_NAME_CHARACTERS || Array.from(value).length > DISPLAY_NAME_CHARACTERS) return false
  return /[^\p{Z}\p{C}]/u.test(value) && !NOT_IN_DISPLAY_NAME.test(value)
}

function hasNameForTicket(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return !Object.hasOwn(value, 'hold_ticket') || Object.hasOwn(value, 'username')
}

function namesOne(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.hasOwn(value, 'email') !== Object.hasOwn(value, 'username')
}
