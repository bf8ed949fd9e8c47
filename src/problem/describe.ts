/** A row of the table of answers. */
export interface Row {
  readonly status: number
  /** The stable code that clients read; several rows may share one. */
  readonly error: string
  readonly title: string
  /** What the client can do about it. */
  readonly description: string
  /** `error` attribute of the Bearer challenge (RFC 6750 §3.1, RFC 9470 §3); absent: a challenge without one. */
  readonly challenge?: string
}

export interface ProblemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Of the body: `latin1` where it is ASCII, which takes less to write. */
  readonly encoding: 'latin1' | 'utf8'
}

/** What an answer may say that is not in its row. */
interface Particulars {
  readonly description?: string
  readonly scope?: string
  readonly maxAgeSeconds?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly fields?: readonly object[]
  readonly suggestions?: readonly string[]
}

interface Described<Kind extends string> {
  readonly kind: Kind
  readonly facts: Particulars
}

/** The body of a row, cut where the id of the request goes. */
interface Mould {
  readonly beforeInstance: string
  readonly between: string
  readonly afterId: string
  /** Octets without the two ids. */
  readonly octets: number
  readonly encoding: 'latin1' | 'utf8'
  readonly challenge: string
}

/** Stands for an id in a mould; nothing else of a body holds it. */
const ID = 'request-id-goes-here'
/** What needs no escape in JSON and is one octet a character. */
const PLAIN_ID = /^[\w.:-]{1,128}$/

/**
 * Writes the answers of a table. What does not differ between two requests is made once: refusals come by the thousand, and
 * by those who mean harm.
 */
export function createDescriber<Kind extends string>(
  rows: Readonly<Record<Kind, Row>>,
): (problem: Described<Kind>, requestId: string) => ProblemAnswer {
  const moulds = new Map<Kind, Mould>()
  return describe

  function describe(problem: Described<Kind>, requestId: string): ProblemAnswer {
    const { kind, facts } = problem
    const isPlain = facts.description === undefined && facts.fields === undefined && facts.suggestions === undefined
    if (!isPlain || !PLAIN_ID.test(requestId)) return particular(problem, requestId)
    const mould = mouldOf(kind)
    const body = `${mould.beforeInstance}${requestId}${mould.between}${requestId}${mould.afterId}`
    const headers = headersOf(mould.octets + 2 * requestId.length, requestId)
    const row = rows[kind]
    if (hasChallenge(row)) headers['www-authenticate'] = mould.challenge + parameters(facts)
    return { status: row.status, headers: completed(headers, facts), body, encoding: mould.encoding }
  }

  function particular({ kind, facts }: Described<Kind>, requestId: string): ProblemAnswer {
    const row = rows[kind]
    const description = facts.description ?? row.description
    const body = bodyOf(kind, { ...row, description }, facts, requestId)
    const headers = headersOf(Buffer.byteLength(body), requestId)
    if (hasChallenge(row)) headers['www-authenticate'] = challenge(row, description) + parameters(facts)
    return { status: row.status, headers: completed(headers, facts), body, encoding: 'utf8' }
  }

  function mouldOf(kind: Kind): Mould {
    const known = moulds.get(kind)
    if (known !== undefined) return known
    const row = rows[kind]
    const body = bodyOf(kind, row, {}, ID)
    const [beforeInstance = '', between = '', afterId = ''] = body.split(ID)
    const mould: Mould = {
      beforeInstance,
      between,
      afterId,
      octets: Buffer.byteLength(body) - 2 * ID.length,
      encoding: Buffer.byteLength(body) === body.length ? 'latin1' : 'utf8',
      challenge: challenge(row, row.description),
    }
    moulds.set(kind, mould)
    return mould
  }
}

function bodyOf(kind: string, row: Row, facts: Particulars, requestId: string): string {
  return JSON.stringify({
    type: `urn:gatehouse:problem:${kind}`,
    title: row.title,
    status: row.status,
    detail: row.description,
    instance: `urn:gatehouse:request:${requestId}`,
    error: row.error,
    error_description: row.description,
    request_id: requestId,
    ...(facts.fields === undefined ? {} : { fields: facts.fields }),
    ...(facts.suggestions === undefined ? {} : { suggestions: facts.suggestions }),
  })
}

function headersOf(octets: number, requestId: string): Record<string, string> {
  return {
    'content-type': 'application/problem+json',
    'content-length': String(octets),
    'cache-control': 'no-store',
    'x-request-id': requestId,
  }
}

function completed(headers: Record<string, string>, { headers: further }: Particulars): Record<string, string> {
  if (further === undefined) return headers
  for (const name in further) headers[name] = further[name] ?? ''
  return headers
}

function hasChallenge({ status }: Row): boolean {
  return status === 401 || status === 403
}

/** RFC 6750 §3: no error code where the request carried no authentication. */
function challenge(row: Row, description: string): string {
  if (row.challenge === undefined) return 'Bearer realm="gatehouse"'
  const text = description.replace(/[^\x20-\x7e]|["\\]/g, "'")
  return `Bearer realm="gatehouse", error="${row.challenge}", error_description="${text}"`
}

function parameters({ scope, maxAgeSeconds }: Particulars): string {
  let text = ''
  if (scope !== undefined) text += `, scope="${scope}"`
  if (maxAgeSeconds !== undefined) text += `, max_age=${maxAgeSeconds}`
  return text
}
