/** A span that is over. Times are milliseconds since 1970, with fractions. */
export interface Span {
  readonly name: string
  readonly kind: 'server' | 'internal' | 'client'
  readonly traceId: string
  readonly spanId: string
  readonly parentId?: string
  /** The parent is a span of somebody else. */
  readonly isParentRemote: boolean
  readonly state?: string
  readonly startedMs: number
  readonly endedMs: number
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
  readonly isFailed: boolean
}

export type Attributes = Readonly<Record<string, string | number>>

export interface SpanEvent {
  readonly name: string
  readonly atMs: number
}
