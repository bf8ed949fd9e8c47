/** Random heads of requests, and what Node's parser makes of one. */
import { HTTPParser, methods } from 'node:_http_common'
import { fc } from './properties.ts'

const MAX_HEAD_BYTES = 64 * 1024

/** One whole head as llhttp takes it, Node's parser in its strict mode; undefined where it is anything else. */
export function byLlhttp(text: string): object | undefined {
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.REQUEST, {}, MAX_HEAD_BYTES, 0)
  const heads: object[] = []
  let early: readonly string[] = []
  let ends = 0
  let isStrange = false
  parser[HTTPParser.kOnHeaders] = (fields) => {
    early = [...early, ...fields]
  }
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, fields, method, target, _status, _reason, isUpgrade, isKept) => {
    if (isUpgrade || !isKept || major !== 1 || minor !== 1) isStrange = true
    heads.push({ method: methods[method ?? -1], target, fields: [...early, ...(fields ?? [])] })
    return 0
  }
  parser[HTTPParser.kOnBody] = () => {
    isStrange = true
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    ends += 1
  }
  const done = parser.execute(Buffer.from(text, 'latin1'))
  const end = parser.finish()
  parser.free()
  const isWhole = done === text.length && end === undefined && heads.length === 1 && ends === 1
  return isWhole && !isStrange ? heads[0] : undefined
}

/** Heads that are mostly in order, and what is not stands anywhere. */
const ODD = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  '\t',
  ' ',
  ':',
  '\0',
  '\x7f',
  '\x80',
  '\xff',
  '#',
  ',',
  ';',
  '"',
  '(',
  '\r\n\r\n',
  '\r\n ',
)
const NAMES =
  `host Host accept x-a connection Connection content-length transfer-encoding te upgrade expect proxy-connection trailer
  cookie x!#$%& content-lengt content-lengthx keep-alive`.split(/\s+/)
const NAME = fc.constantFrom('', ' host', 'host ', 'h\xe4', ...NAMES)
const VALUE = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'keep-alive',
    'Keep-Alive',
    'close',
    '0',
    '5',
    'chunked',
    'a b',
    ' a',
    'a ',
    '  ',
    'trailers',
    'websocket',
    'gzip, br',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }),
)
const METHOD = fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST', 'get', 'CONNECT', 'PRI')
const TARGET = fc.oneof(
  fc.constantFrom('/', '/a?b=c', '//', '/%00', '*', 'http://a/', '/a b', '/#', '/a#b?c', '/?#', '/"<>\\^`{|}', 'a'),
  fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map((text) => `/${text}`),
)
/** A head, mostly in order. */
export const HEAD = fc
  .record({
    line: fc.tuple(METHOD, TARGET, fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'http/1.1')),
    fields: fc.array(fc.tuple(NAME, fc.constantFrom(':', ': ', ': ', ':\t', ' :'), VALUE), { maxLength: 5 }),
    odd: fc.option(fc.tuple(ODD, fc.nat()), { freq: 3 }),
  })
  .map(({ line, fields, odd }) => {
    const text = `${line.join(' ')}\r\n${fields.map((parts) => `${parts.join('')}\r\n`).join('')}\r\n`
    if (odd === null) return text
    const at = odd[1] % (text.length + 1)
    return text.slice(0, at) + odd[0] + text.slice(at)
  })
