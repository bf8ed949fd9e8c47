/**
 * Says what would become of a request, and why: it walks the path itself, and each step is written down.
 *
 * There is no second opinion here: the steps are those of `pipeline.ts`, in its order, with the rooms that requests go through.
 * Nothing is spent for it, no limit, no one-time token and no patience with bad signatures, nothing is sent to an upstream, no
 * service does anything, and no token is repeated.
 *
 * @module
 */
import type { Admitted, Arrived, Identified, Principal, RequestMessage, Route, Routed } from './exchange/exchange.ts'
import { createWalk, type Rooms, type Steps } from './pipeline.ts'
import { Problem } from './problem/problem.ts'

/** A request to ask about. */
export interface Question {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly host: string
  /** Over TLS. */
  readonly isSecure: boolean
  /** Name and value of further fields. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Sent as a bearer token. It is a secret. */
  readonly token?: string
  /** Address that it comes from. */
  readonly ip: string
}

export interface Explanation {
  readonly decision: 'allow' | 'refuse'
  /** Of the refusal; 200 where it is let in, since the rest is for others to say. */
  readonly status: number
  /** Code of the refusal. */
  readonly error?: string
  /** Null where none was found. */
  readonly route: string | null
  readonly steps: readonly Step[]
}

export interface Step {
  readonly room: string
  /** What the configuration says. */
  readonly rule: string
  /** What came of it. */
  readonly result: string
  /** Why it was refused. */
  readonly detail?: string
}

export interface ExplainRooms extends Steps {
  readonly listener: Pick<Rooms['listener'], 'read'>
  /** Which upstream of several it would be. */
  readonly split: { choose(exchange: Admitted): Admitted }
  /** Which country the client is in, where that is known. */
  countryOf(exchange: Routed): string | undefined
}

export function createExplain(rooms: ExplainRooms): (question: Question) => Promise<Explanation> {
  return async function explain(question) {
    const steps: Step[] = []
    const { arrived, fault } = rooms.listener.read(messageOf(question))
    const record: { exchange: Arrived | Routed; announced: undefined } = { exchange: arrived, announced: undefined }
    try {
      note(steps, 'listener', 'framing, Host, limits', () => {
        if (fault !== undefined) throw fault
        return `${arrived.method} ${arrived.host}${withoutQuery(arrived.target)} from ${arrived.client}`
      })
      const admitted = await createWalk(written(rooms, steps))(arrived, record, rooms.overload.place())
      const { route, forwardPath } = admitted
      note(
        steps,
        'targets',
        targetOf(route),
        () => `${sideOf(route, rooms.split.choose(admitted).route)}would get ${forwardPath}`,
      )
      return { decision: 'allow', status: 200, route: route.name, steps }
    } catch (error) {
      const { status, error: code } = Problem.from(error)
      const { exchange } = record
      const route = 'route' in exchange ? exchange.route.name : null
      return { decision: 'refuse', status, error: code, route, steps }
    }
  }
}

/** The rooms, each of which writes down what it decides. */
function written(rooms: Omit<ExplainRooms, 'listener' | 'split'>, steps: Step[]): Steps {
  const { router, networks, quota, authenticator, revocation, policy, replay } = rooms
  const limits = (when: string, { route }: Routed): string => (route.rateLimit?.when === when ? limitsOf(route) : 'no limit')
  return {
    ...rooms,
    router: {
      match: (exchange) => noteOf(steps, 'router', 'most specific host, path, method', () => router.match(exchange), matched),
    },
    networks: {
      admit: (exchange) =>
        noteOf(
          steps,
          'networks',
          networksOf(exchange.route),
          () => networks.admit(exchange),
          () => whereOf(exchange, rooms.countryOf(exchange)),
        ),
    },
    quota: {
      arrive: (exchange) =>
        noteLater(
          steps,
          'rate limits by address',
          limits('arrival', exchange),
          () => quota.arrive(exchange),
          () => 'has room, not counted',
        ),
      spend: (exchange) =>
        noteLater(
          steps,
          'rate limits',
          limits('admission', exchange),
          () => quota.spend(exchange),
          () => 'has room, not counted',
        ),
    },
    authenticator: {
      authenticate: (exchange) =>
        noteLater(
          steps,
          'authenticator',
          `auth: ${exchange.route.auth}`,
          () => authenticator.authenticate(exchange),
          (known) => nameOf(known.principal),
        ),
    },
    revocation: {
      check: (exchange) =>
        noteLater(
          steps,
          'revocation',
          staleRuleOf(exchange.route),
          () => revocation.check(exchange),
          (known) => known.revocation,
        ),
    },
    policy: {
      admit: (exchange) =>
        noteOf(
          steps,
          'policy',
          policyOf(exchange.route),
          () => policy.admit(exchange),
          ({ tenant }) => `served for ${tenant ?? 'no tenant'}`,
        ),
    },
    replay: {
      spend: (exchange) =>
        noteLater(
          steps,
          'replay',
          `replay: ${exchange.route.replay ?? 'allowed'}`,
          () => replay.spend(exchange),
          () => 'not spent',
        ),
    },
  }
}

function note(steps: Step[], room: string, rule: string, run: () => string): void {
  noteOf(steps, room, rule, run, (result) => result)
}

function noteOf<Out>(steps: Step[], room: string, rule: string, run: () => Out, resultOf: (out: Out) => string): Out {
  try {
    const out = run()
    steps.push({ room, rule, result: resultOf(out) })
    return out
  } catch (error) {
    throw refused(steps, { room, rule }, error)
  }
}

async function noteLater<Out>(
  steps: Step[],
  room: string,
  rule: string,
  run: () => Out | Promise<Out>,
  resultOf: (out: Out) => string,
): Promise<Out> {
  try {
    const out = await run()
    steps.push({ room, rule, result: resultOf(out) })
    return out
  } catch (error) {
    throw refused(steps, { room, rule }, error)
  }
}

function refused(steps: Step[], step: Pick<Step, 'room' | 'rule'>, error: unknown): Problem {
  const problem = Problem.from(error)
  const { detail, description } = problem.facts
  const words = [description, detail].filter((one) => one !== undefined)
  // What clients may know of it may be all that there is.
  const why = (detail !== undefined && description?.includes(detail) ? [description] : words).join(' ')
  steps.push({ ...step, result: `refused: ${problem.kind}`, ...(why !== '' && { detail: why }) })
  return problem
}

function matched({ route, path }: Routed): string {
  const { hosts, methods } = route.match
  return `route ${route.name}: ${[methods.join(',') || 'any method', hosts.join(',') || 'any host', route.match.path].join(' ')}, for ${path}`
}

function networksOf({ ip, countries }: Route): string {
  const rules = [
    ...(ip === undefined ? [] : [allowedOf(ip.allow, ip.deny)]),
    ...(countries === undefined ? [] : [`countries: ${allowedOf([...countries.allow], [...countries.deny])}`]),
  ]
  return rules.join('; ') || 'from anywhere'
}

function allowedOf(allow: readonly string[], deny: readonly string[]): string {
  return `allow ${allow.join(', ') || 'all'}, deny ${deny.join(', ') || 'none'}`
}

function whereOf({ client }: Routed, country: string | undefined): string {
  return country === undefined ? client : `${client}, in ${country}`
}

function limitsOf({ rateLimit }: Route): string {
  const texts = rateLimit?.limits.map(({ requests, perSeconds, by }) => `${requests} in ${perSeconds} s by ${by}`)
  return texts?.join(', ') ?? 'no limit'
}

function staleRuleOf({ revocation }: Route): string {
  return `maxStaleness ${revocation.maxStalenessMs} ms, whenStale ${revocation.whenStale}`
}

function policyOf(route: Route): string {
  const { tenants, issuers, scopes, claims, maxAuthAgeSeconds } = route
  const rules = [
    ...(tenants === undefined ? [] : [`tenants ${[...tenants].join(', ')}`]),
    ...(issuers === undefined ? [] : [`issuers ${[...issuers].join(', ')}`]),
    ...(scopes.length === 0 ? [] : [`scopes ${scopes.join(' ')}`]),
    ...[...claims].map(([name, values]) => `claim ${name} of ${[...values].join(', ')}`),
    ...(maxAuthAgeSeconds === undefined ? [] : [`login not older than ${maxAuthAgeSeconds} s`]),
    ...(route.clientCertificate === 'required' ? ['a client certificate'] : []),
  ]
  return rules.join('; ') || 'nothing more'
}

function targetOf({ target }: Route): string {
  if (target.kind === 'upstream') return `upstream ${target.upstream}`
  if (target.kind === 'service') return `service ${target.service}, endpoint ${target.endpoint}`
  if (target.kind === 'split') return `split: ${target.sides.map(({ upstream, weight }) => `${upstream} ${weight}`).join(', ')}`
  return target.kind
}

/** `upstream NAME `, where the route is split. */
function sideOf(route: Route, chosen: Route): string {
  return route.target.kind === 'split' ? `${targetOf(chosen)} ` : ''
}

/** Who it is, and nothing that could be used as the token. */
function nameOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? 'anonymous' : identifiedAs(principal)
}

function identifiedAs({ user, tenant, issuer, tokenType, algorithm, scopes }: Identified): string {
  return `user ${user} of tenant ${tenant}, by issuer ${issuer} (${tokenType}, ${algorithm}), scopes ${scopes.join(' ') || 'none'}`
}

/** Tokens hide in queries. */
function withoutQuery(target: string): string {
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}

/** The question as a request that has come in whole, over a connection of its own. */
function messageOf({ method, target, host, isSecure, headers, token, ip }: Question): RequestMessage {
  const fields = [['host', host], ...headers, ...(token === undefined ? [] : [['authorization', `Bearer ${token}`]])]
  return {
    method,
    url: target,
    httpVersion: '1.1',
    rawHeaders: fields.flat(),
    socket: { remoteAddress: ip, encrypted: isSecure },
    complete: true,
    destroyed: false,
    on: ignore,
    off: ignore,
    pause: ignore,
    resume: ignore,
    destroy: ignore,
  }
}

function ignore(): void {}
