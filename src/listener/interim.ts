import type { ServerResponse } from 'node:http'
import type { AnswerMessage } from '../exchange/exchange.ts'

/**
 * Holds back the interim answers to a request that came while those before it are still to be answered. The library would put them
 * behind the head of its final answer, where they are read as the body. What has not had its turn when the final answer begins is
 * left out.
 */
export function holdInterim(res: ServerResponse): void {
  const { writeContinue, writeInformation }: AnswerMessage = res
  const held: (() => void)[] = []
  let isTurn = false
  res.once('socket', () => {
    isTurn = true
    if (!res.headersSent) for (const write of held) write()
    held.length = 0
  })
  Object.assign(res, {
    writeContinue: () => say(() => writeContinue.call(res)),
    writeInformation: (status: number, fields: string[]) => say(() => writeInformation.call(res, status, fields)),
  })

  function say(write: () => void): void {
    if (isTurn) write()
    else held.push(write)
  }
}
