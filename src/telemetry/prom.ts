/**
 * prom-client without what it reads besides: its entry brings metrics that list every handle, and with them the API of
 * OpenTelemetry, 50 ms of a start.
 */
export { default as AggregatorRegistry } from 'prom-client/lib/cluster.js'
export { default as Counter } from 'prom-client/lib/counter.js'
export { default as Gauge } from 'prom-client/lib/gauge.js'
export { default as Histogram } from 'prom-client/lib/histogram.js'
export { default as Registry } from 'prom-client/lib/registry.js'
