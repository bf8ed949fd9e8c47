/** What a gateway counts of its checks of usernames. */

export interface Counted {
  readonly checks: number
  readonly byLayer: Readonly<Record<string, number>>
  /** Queries of the database; one asks for many names. */
  readonly queries: number
}

export async function countsOf(adminUrl: string): Promise<Counted> {
  const text = await fetch(`${adminUrl}/metrics`).then((response) => response.text())
  const byLayer: Record<string, number> = {}
  let checks = 0
  for (const [, layer = '', value] of text.matchAll(/^gatehouse_username_checks_total\{.*?layer="(\w+)".*?\} (\d+)/gm)) {
    byLayer[layer] = (byLayer[layer] ?? 0) + Number(value)
    checks += Number(value)
  }
  return { checks, byLayer, queries: Number(/^gatehouse_username_queries_total(?:\{.*\})? (\d+)/m.exec(text)?.[1] ?? 0) }
}

/** What was counted between the two. */
export function between(before: Counted, after: Counted): Counted {
  const layers = Object.entries(after.byLayer).map(([layer, count]) => [layer, count - (before.byLayer[layer] ?? 0)] as const)
  return {
    checks: after.checks - before.checks,
    byLayer: Object.fromEntries(layers),
    queries: after.queries - before.queries,
  }
}
