import { expect, test } from 'vitest'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { readVectors } from '../support/vectors.ts'
import { openWire, strictUpstream, talk, head } from '../support/wire.ts'
test('x', async () => {
  const { vectors } = readVectors('http1/llhttp_messages.json').data as any
  let raw = Buffer.alloc(0)
  const up = await strictUpstream((socket) => { socket.end(raw) }); const gw = await openWire(up.port)
  const rows = []
  for (const v of vectors.filter((v: any) => v.mode.startsWith('response'))) {
    raw = Buffer.from(v.raw_b64, 'base64')
    const got = await talk(gw.port, head('GET / HTTP/1.1'), {quietMs: 1000})
    let st
    try { const r = readAnswers(got.octets, { closed: got.closed }); st = r.messages.map(m => statusCode(m) + ' ' + m.framing + ' ' + JSON.stringify(m.body.toString('latin1').slice(0, 60))).join(',') + ' rest ' + JSON.stringify(r.rest.toString('latin1').replace(/x-request-id: .*?\r\n|[dD]ate: .*?\r\n/g,'').slice(0,200)) } catch (e) { st = 'GARBAGE ' + String(e) + JSON.stringify(got.octets.toString('latin1')) }
    rows.push([v.id.slice(16), v.mode, 'exp', v.messages_complete, v.error?.code ?? '-', 'got', st, got.closed ? 'closed' : 'open'].join(' ; '))
  }
  require('node:fs').writeFileSync('/tmp/rows.txt', rows.join('\n'))
  await gw.close(); await up.close()
}, 60000)
