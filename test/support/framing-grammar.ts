/**
 * Makes connections of HTTP/1.1 out of parts, each of which is rarely something else than it should be. Every part shrinks towards
 * the plain one, so that a counterexample shows what it takes and nothing more.
 */
import { fc } from './properties.ts'
import {
  BODIES,
  EOLS,
  EXTENSIONS,
  FIELDS,
  FRAMING_NAMES,
  GARBAGE,
  INNER,
  MARK,
  SIZES,
  STRANGE_CODINGS,
  STRANGE_FIELDS,
  STRANGE_LENGTHS,
  TRAILERS,
} from './framing-words.ts'

/** A change of the octets as they would be sent: where, counted round, and what. */
interface Stroke {
  readonly at: number
  readonly takes: number
  readonly puts: string
}

export interface ClientCase {
  readonly octets: string
  /** Where the octets are cut into packets. */
  readonly cuts: readonly number[]
  /** `wait` for all answers, end the own side as soon as all is sent, or reset the connection. */
  readonly leave: 'wait' | 'end' | 'reset'
}

export interface AnswerCase {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly octets: string
  readonly cuts: readonly number[]
  /** What the upstream does behind the octets. */
  readonly leave: 'keep' | 'end' | 'reset'
}

/** How rare a strange part is: one in so many. 0: there is none. */
type Rarity = number

/** The plain one, and one of `strange` in `rarity`. */
function rarely(rarity: Rarity, plain: string, strange: readonly string[]): fc.Arbitrary<string> {
  return mixed(rarity, fc.constant(plain), fc.constantFrom(...strange))
}

function mixed<T>(rarity: Rarity, plain: fc.Arbitrary<T>, strange: fc.Arbitrary<T>): fc.Arbitrary<T> {
  if (rarity === 0) return plain
  return fc.oneof({ withCrossShrink: true }, { weight: rarity - 1, arbitrary: plain }, { weight: 1, arbitrary: strange })
}

/** Lengths, codings, both or neither, with the body that belongs to them. */
interface Framed {
  readonly lines: readonly string[]
  readonly body: string
}

function framed(rarity: Rarity, bodiless: Framed): fc.Arbitrary<Framed> {
  const body = fc.constantFrom(...BODIES)
  const bodies = fc.oneof({ weight: 3, arbitrary: body }, { weight: 1, arbitrary: chunked(rarity) })
  const length = fc
    .tuple(body, rarely(rarity, 'Content-Length', ['content-length', 'CONTENT-LENGTH']))
    .map(([text, name]): Framed => ({ lines: [`${name}: ${text.length}`], body: text }))
  const coding = chunked(rarity).map((text): Framed => ({ lines: ['Transfer-Encoding: chunked'], body: text }))
  const strangeLine = fc.oneof(
    fc
      .tuple(fc.constantFrom(...FRAMING_NAMES), fc.constantFrom(...STRANGE_LENGTHS))
      .map(([gap, value]) => `Content-Length${gap}: ${value}`),
    fc
      .tuple(fc.constantFrom(...FRAMING_NAMES), fc.constantFrom(...STRANGE_CODINGS))
      .map(([gap, value]) => `Transfer-Encoding${gap}: ${value}`),
    fc.constantFrom('Content-Length: 3', 'Content-Length: 0', 'Transfer-Encoding: chunked', 'Content-Length: 30'),
  )
  const strange = fc.record({ lines: fc.array(strangeLine, { minLength: 1, maxLength: 2 }), body: bodies })
  const plain = fc.oneof({ withCrossShrink: true }, fc.constant(bodiless), length, coding)
  return mixed(Math.ceil(rarity / 4), plain, strange)
}

function chunked(rarity: Rarity): fc.Arbitrary<string> {
  const eol = rarely(rarity, '\r\n', EOLS)
  const chunk = fc
    .record({
      data: fc.constantFrom('a', 'hello', '0\r\n\r\n', INNER, 'x'.repeat(700)),
      size: mixed(rarity, fc.constantFrom('hex', 'HEX', '0hex'), fc.constantFrom('more', 'less', ...SIZES)),
      extension: rarely(Math.ceil(rarity / 4), '', EXTENSIONS),
      lineEnd: eol,
      dataEnd: eol,
    })
    .map(({ data, size, extension, lineEnd, dataEnd }) => sizeOf(data, size) + extension + lineEnd + data + dataEnd)
  return fc
    .record({
      chunks: fc.array(chunk, { maxLength: 3 }),
      last: rarely(rarity, '0', ['00', '0;a', '', '-0', '0 ', '0x0', '000000000000000000']),
      trailers: fc.array(rarely(rarity, 'X-Sum: 1', TRAILERS), { maxLength: rarity === 0 ? 0 : 1 }),
      lineEnd: eol,
      end: eol,
    })
    .map(
      ({ chunks, last, trailers, lineEnd, end }) =>
        chunks.join('') + last + lineEnd + trailers.map((line) => line + lineEnd).join('') + end,
    )
}

function sizeOf(data: string, spelling: string): string {
  const hex = data.length.toString(16)
  switch (spelling) {
    case 'hex':
      return hex
    case 'HEX':
      return hex.toUpperCase()
    case '0hex':
      return `0${hex}`
    case 'more':
      return (data.length + 1).toString(16)
    case 'less':
      return (data.length - 1).toString(16)
    default:
      return spelling
  }
}

function fieldLines(rarity: Rarity): fc.Arbitrary<string[]> {
  const plain = rarity === 0 ? FIELDS.slice(0, 5) : FIELDS
  return fc.array(
    mixed(rarity === 0 ? 0 : Math.ceil(rarity / 3), fc.constantFrom(...plain), fc.constantFrom(...STRANGE_FIELDS)),
    { maxLength: 3 },
  )
}

function request(rarity: Rarity): fc.Arbitrary<(index: number) => string> {
  return fc
    .record({
      lead: rarely(rarity, '', ['\r\n', '\n', '\r', ' ', '\0', '\r\n\r\n']),
      method: mixed(
        Math.ceil(rarity / 2),
        fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'DELETE'),
        fc.constantFrom('get', 'G ET', 'PRI', 'CONNECT', 'TRACE', 'OPTIONS', 'FOO', '', 'GET\t'),
      ),
      gap: rarely(rarity, ' ', ['\t', '  ', '', '\x0b', '\r\n ']),
      target: rarely(rarity, '', ['absolute', 'other', 'star', 'nul', 'raw', 'space', 'fragment', 'query', 'line']),
      version: rarely(Math.ceil(rarity / 2), 'HTTP/1.1', [
        'HTTP/1.0',
        'HTTP/1.2',
        'HTTP/2.0',
        'HTTP/0.9',
        'http/1.1',
        'HTTP/1.1 ',
        'HTTP/01.1',
        'HTTP/1',
        '',
        'RTSP/1.0',
      ]),
      host: rarely(rarity, 'Host: gateway.test', [
        '',
        'Host:',
        'host: gateway.test',
        'Host: gateway.test:80',
        'Host: a b',
        'Host: a, b',
        'Host : gateway.test',
      ]),
      fields: fieldLines(rarity),
      framing: framed(rarity, { lines: [], body: '' }),
      eol: rarely(rarity, '\r\n', EOLS),
      oneEol: rarely(rarity, '\r\n', EOLS),
      headEnd: rarely(rarity, '\r\n', ['\n', '\r', '', '\r\r\n', ' \r\n']),
    })
    .map((parts) => (index) => {
      const { lead, method, gap, target, version, host, fields, framing, eol, oneEol, headEnd } = parts
      const lines = [...(host === '' ? [] : [host]), ...fields, ...framing.lines]
      const start = `${lead}${method}${gap}${targetOf(target, `/f/${MARK}/${index}`)}${gap}${version}${oneEol}`
      return start + lines.map((line) => line + eol).join('') + headEnd + framing.body
    })
}

function targetOf(form: string, path: string): string {
  switch (form) {
    case 'absolute':
      return `http://gateway.test${path}`
    case 'other':
      return `http://other.test${path}`
    case 'star':
      return '*'
    case 'nul':
      return `${path}\0`
    case 'raw':
      return `${path}\xe9`
    case 'space':
      return `${path} x`
    case 'fragment':
      return `${path}#x`
    case 'query':
      return `${path}?a=/f/${MARK}/in`
    case 'line':
      return `${path}\r\nX: y`
    default:
      return path
  }
}

const stroke: fc.Arbitrary<Stroke> = fc.record({
  at: fc.nat(100_000),
  takes: fc.nat(3),
  puts: fc.oneof(
    fc.constantFrom('', ...GARBAGE),
    fc.constantFrom('\r\n\r\n', '0\r\n\r\n', INNER, 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n'),
  ),
})

const cuts = fc.oneof(
  { withCrossShrink: true },
  { weight: 3, arbitrary: fc.constant<number[]>([]) },
  { weight: 1, arbitrary: fc.array(fc.nat(100_000), { minLength: 1, maxLength: 3 }) },
)

function withStrokes(octets: string, strokes: readonly Stroke[]): string {
  let changed = octets
  for (const { at, takes, puts } of strokes) {
    const place = at % (changed.length + 1)
    changed = changed.slice(0, place) + puts + changed.slice(place + takes)
  }
  return changed
}

function strokesOf(rarity: Rarity): fc.Arbitrary<Stroke[]> {
  return mixed(rarity === 0 ? 0 : 4, fc.constant<Stroke[]>([]), fc.array(stroke, { minLength: 1, maxLength: 2 }))
}

/** The octets of a client: a few requests, and a plain one that is the last. */
export function clientCase(rarity: Rarity): fc.Arbitrary<ClientCase> {
  return fc
    .record({
      requests: fc.array(request(rarity), { minLength: 1, maxLength: 3 }),
      strokes: strokesOf(rarity),
      cuts,
      leave: mixed<ClientCase['leave']>(rarity === 0 ? 0 : 8, fc.constant('wait'), fc.constantFrom('end', 'reset')),
      cutAt: mixed<number | undefined>(rarity === 0 ? 0 : 8, fc.constant(undefined), fc.nat(100_000)),
    })
    .map(({ requests, strokes, cuts: places, leave, cutAt }) => {
      const octets = withStrokes(requests.map((one, index) => one(index)).join(''), strokes)
      const last = `GET /f/${MARK}/last HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n`
      const sent = cutAt === undefined ? octets + last : octets.slice(0, cutAt % (octets.length + 1))
      return { octets: sent, cuts: placesIn(sent, places), leave }
    })
}

function answer(rarity: Rarity): fc.Arbitrary<string> {
  return fc
    .record({
      interim: fc.array(fc.constantFrom('103 Early Hints', '102 Processing', '100 Continue'), {
        maxLength: rarity === 0 ? 0 : 1,
      }),
      version: rarely(rarity, 'HTTP/1.1', ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'ICY', '', 'HTTP/1']),
      status: mixed(
        rarity,
        fc.constantFrom('200', '404', '204', '304', '500'),
        fc.constantFrom('100', '101', '103', '199', '20', '2000', '-20', '200x', '', '600', '099'),
      ),
      reason: rarely(rarity, ' OK', ['', ' ', ' \r', ' O\nK', ' O\0K', ' \xe9', '\tOK', ' OK\r\n x']),
      fields: fc.array(
        mixed(
          rarity === 0 ? 0 : Math.ceil(rarity / 3),
          fc.constantFrom(...(rarity === 0 ? FIELDS.slice(0, 5) : FIELDS)),
          fc.constantFrom(...STRANGE_FIELDS),
        ),
        { maxLength: 2 },
      ),
      framing: framed(rarity, { lines: ['Content-Length: 0'], body: '' }),
      until: mixed<boolean>(rarity, fc.constant(false), fc.constant(true)),
      eol: rarely(rarity, '\r\n', EOLS),
      headEnd: rarely(rarity, '\r\n', ['\n', '\r', '', '\r\r\n', ' \r\n']),
      behind: rarely(Math.ceil(rarity / 2), '', [
        'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Seen: forged\r\n\r\nforged',
        'x',
        '\r\n',
        '\0',
        'HTTP/1.1 200 OK\r\n',
      ]),
    })
    .map(({ interim, version, status, reason, fields, framing, until, eol, headEnd, behind }) => {
      const bodiless = status === '204' || status === '304'
      const lines = [...fields, ...(until || bodiless ? [] : framing.lines)]
      const head = `${version} ${status}${reason}\r\n${lines.map((line) => line + eol).join('')}${headEnd}`
      return interim.map((one) => `HTTP/1.1 ${one}\r\n\r\n`).join('') + head + (bodiless ? '' : framing.body) + behind
    })
}

/** The octets of an upstream that is asked by a method. */
export function answerCase(rarity: Rarity): fc.Arbitrary<AnswerCase> {
  return fc
    .record({
      method: fc.constantFrom<AnswerCase['method']>('GET', 'POST', 'HEAD'),
      octets: answer(rarity),
      strokes: strokesOf(rarity),
      cuts,
      leave: mixed<AnswerCase['leave']>(3, fc.constant('keep'), fc.constantFrom('end', 'reset')),
    })
    .map(({ method, octets, strokes, cuts: places, leave }) => {
      const sent = withStrokes(octets, strokes)
      return { method, octets: sent, cuts: placesIn(sent, places), leave }
    })
}

function placesIn(octets: string, places: readonly number[]): number[] {
  return [...new Set(places.map((place) => place % (octets.length + 1)))].toSorted((one, other) => one - other)
}
