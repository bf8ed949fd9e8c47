import { targetUrl } from './addresses.ts'
import { ACCESS_FIELDS, TRACE_FIELDS } from './names.ts'
import { choice, duration, flag, integer, percentage, plainText } from './scalars.ts'
import { secret } from './secrets.ts'
import { list, mapping, named } from './shapes.ts'

const HEADER_RULE = 'a header name, such as authorization'
const ATTRIBUTE_RULE = 'the name of an attribute: letters, digits, _ - and dots, such as deployment.environment.name'

/** The head of `telemetry`: the log of requests, the labels of metrics, traces. */
export const telemetry = mapping({
  accessLog: mapping({
    sample: percentage().prefault('100%').describe('Share of good requests that are logged.'),
    fields: list(choice(ACCESS_FIELDS)).optional().describe('The only facts that stand in a line. Default: all.'),
    omit: list(choice(ACCESS_FIELDS)).prefault([]).describe('Facts that are left out of every line.'),
    quiet: list(plainText('the name of a route')).prefault([]).describe('Routes whose good requests are not logged.'),
  }).prefault({}),
  metrics: mapping({
    tenants: integer(0, 10_000)
      .prefault(200)
      .describe('Tenants with series of their own, in the order of this file; others are _other.'),
  }).prefault({}),
  traces: mapping({
    otlp: targetUrl().optional().describe('Where spans go by OTLP over HTTP, without /v1/traces.'),
    sample: percentage().prefault('10%').describe('Share of new traces that are recorded.'),
    keep: mapping({
      errors: flag().prefault(false).describe('Those that end in an error of the gateway or of an upstream.'),
      slowerThan: duration('1ms', '1h').optional().describe('Those that take as long at least.'),
    })
      .prefault({})
      .describe('Requests beside the share that are kept whatever it says, which is settled at their end.'),
    serviceName: plainText('a name').prefault('gatehouse').describe('service.name of the resource.'),
    resource: named(/^[A-Za-z][\w.-]{0,127}$/, ATTRIBUTE_RULE, plainText('a text'))
      .prefault({})
      .describe('Further attributes of the resource.'),
    headers: named(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, HEADER_RULE, secret())
      .prefault({})
      .describe('Sent with each export: { env } or { file }.'),
    include: list(choice(TRACE_FIELDS)).prefault([]).describe('Facts about people that spans carry. Default: none.'),
  })
    .optional()
    .describe('OpenTelemetry traces. Absent: none are kept.'),
})
