/** Node's own binding of llhttp, which its documents do not describe. */
declare module 'node:_http_common' {
  interface ParserHooks {
    1: (fields: readonly string[]) => void
    2: (
      major: number,
      minor: number,
      fields: readonly string[] | undefined,
      method: number | undefined,
      url: string | undefined,
      status: number,
      reason: string,
      isUpgrade: boolean,
      isKept: boolean,
    ) => number
    3: (chunk: Buffer) => void
    4: () => void
  }
  /** By the number that the parser gives them. */
  export const methods: readonly string[]
  export class HTTPParser implements ParserHooks {
    static readonly REQUEST: number
    static readonly RESPONSE: number
    static readonly kOnHeaders: 1
    static readonly kOnHeadersComplete: 2
    static readonly kOnBody: 3
    static readonly kOnMessageComplete: 4
    1: ParserHooks[1]
    2: ParserHooks[2]
    3: ParserHooks[3]
    4: ParserHooks[4]
    initialize(type: number, resource: object, maxHeadBytes: number, lenient: number): void
    execute(octets: Buffer): number | Error
    finish(): Error | undefined
    free(): void
  }
}
