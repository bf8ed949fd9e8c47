/** The octets of an upstream as our reader takes them, and as llhttp does, Node's parser, in its strict mode. */
import { HTTPParser } from 'node:_http_common'
import { createAnswerReader } from '../../src/upstream/http1-response.ts'

/** What came of the octets that answer one request. */
export interface Read {
  /** `whole`: an answer to its end; `cut`: a head, and then something wrong or missing; `none`: no head of a final answer. */
  readonly end: 'whole' | 'cut' | 'none'
  /** Nothing is wrong with what came so far; it is not all. */
  readonly isWaiting: boolean
  readonly interim: readonly (readonly [number, ...(readonly string[])])[]
  readonly status: number
  /** Name in lower case, value, name, value … */
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
  /** Nothing stands behind it. Of llhttp not known. */
  readonly isLast: boolean
  /** What is wrong. */
  readonly why: string
}

export interface Octets {
  readonly method: string
  readonly octets: string
  /** Where they are cut into packets. */
  readonly cuts: readonly number[]
  /** Whether the upstream ends the connection behind them. */
  readonly ends: boolean
}

export function readByOurs({ method, octets, cuts, ends }: Octets): Read {
  const read = blank()
  let isOver = false
  const reader = createAnswerReader({
    interim: (status, fields) => void read.interim.push([status, ...fields]),
    head(status, fields) {
      read.status = status
      read.fields = [...fields]
      read.end = 'cut'
    },
    data: (bytes, from, to) => void (read.body += bytes.toString('latin1', from, to)),
    end(trailers, isLast) {
      read.trailers = [...trailers]
      read.end = 'whole'
      read.isLast = isLast
      isOver = true
    },
  })
  reader.expect(method === 'HEAD')
  try {
    for (const packet of packetsOf(octets, cuts)) {
      if (isOver) read.isLast = false
      else reader.read(packet, packet.length)
    }
    if (!isOver && ends && !reader.end()) read.why = 'the end of the connection'
  } catch (error) {
    read.why = error instanceof Error ? error.message : String(error)
  }
  return { ...read, isWaiting: !isOver && read.why === '' }
}

/** A message that has no body ends with its head (RFC 9110 §9.3.2): of a HEAD the parser has to be told. */
const SKIP_BODY = 1
const MAX_HEAD_BYTES = 16 * 1024

export function readByLlhttp({ method, octets, cuts, ends }: Octets): Read {
  const read = blank()
  let isOver = false
  let early: readonly string[] = []
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.RESPONSE, {}, MAX_HEAD_BYTES, 0)
  parser[HTTPParser.kOnHeaders] = (fields) => {
    early = [...early, ...fields]
  }
  parser[HTTPParser.kOnHeadersComplete] = (_major, _minor, given, _method, _url, status, _reason, isUpgrade) => {
    if (isOver) return 0
    const fields = lowered([...early, ...(given ?? [])])
    early = []
    if (isUpgrade || status === 101) read.why = 'a switch of protocols'
    else if (status < 200) read.interim.push([status, ...fields])
    else {
      read.status = status
      read.fields = fields
      read.end = 'cut'
    }
    return method === 'HEAD' ? SKIP_BODY : 0
  }
  parser[HTTPParser.kOnBody] = (chunk) => {
    if (!isOver) read.body += chunk.toString('latin1')
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (isOver || read.end === 'none') return
    read.end = 'whole'
    read.trailers = lowered(early)
    isOver = true
  }
  for (const packet of packetsOf(octets, cuts)) {
    const done = parser.execute(packet)
    if (done instanceof Error && !isOver) read.why = done.message
    if (done instanceof Error || read.why !== '') break
  }
  if (ends && !isOver && read.why === '') {
    const done = parser.finish()
    if (done instanceof Error || !isOver) read.why = 'the end of the connection'
  }
  parser.free()
  return { ...read, isWaiting: !isOver && read.why === '' }
}

function blank() {
  return {
    end: 'none' as Read['end'],
    interim: [] as [number, ...string[]][],
    status: 0,
    fields: [] as string[],
    body: '',
    trailers: [] as string[],
    isLast: true,
    why: '',
  }
}

function packetsOf(octets: string, cuts: readonly number[]): Buffer[] {
  const packets: Buffer[] = []
  let from = 0
  for (const cut of [...cuts, octets.length]) {
    if (cut > from) packets.push(Buffer.from(octets.slice(from, cut), 'latin1'))
    from = Math.max(from, cut)
  }
  return packets
}

/** Fields as ours are: llhttp keeps the spelling of a name, and the white space behind a value. */
function lowered(fields: readonly string[]): string[] {
  return fields.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text.replace(/^[\t ]+|[\t ]+$/g, '')))
}
