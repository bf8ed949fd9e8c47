/** Go templates, as far as a chart uses them: text and actions, taken apart. */

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'method'; readonly of: Expression; readonly words: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: string; readonly words: readonly Expression[] }

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression }
  | { readonly kind: 'set'; readonly name: string; readonly value: Expression }
  | { readonly kind: 'if' | 'with'; readonly on: Expression; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | {
      readonly kind: 'range'
      readonly names: readonly string[]
      readonly on: Expression
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

export interface Parsed {
  readonly body: readonly Node[]
  /** What `define` names. */
  readonly defined: ReadonlyMap<string, readonly Node[]>
}

type Piece = { readonly text: string } | { readonly action: string }

const WORD = /"(?:[^"\\]|\\.)*"|`[^`]*`|\)(?:\.\w+)*|:=|[|(,=]|\$\w*(?:\.\w+)*|(?:\.\w+)+|\.|-?\d+(?:\.\d+)?|\w+/y

export function parseTemplate(source: string, file: string): Parsed {
  const pieces = split(source)
  const defined = new Map<string, readonly Node[]>()
  let place = 0
  const body = block()
  if (place < pieces.length) throw new Error(`${file}: ${JSON.stringify(pieces[place])} belongs to nothing`)
  return { body, defined }

  /** Up to `else` or `end`, which is left for the caller. */
  function block(): readonly Node[] {
    const nodes: Node[] = []
    for (; place < pieces.length; place += 1) {
      const piece = pieces[place]
      if (piece === undefined) break
      if ('text' in piece) nodes.push({ kind: 'text', text: piece.text })
      else if (/^(?:else|end)\b/.test(piece.action)) return nodes
      else nodes.push(...node(piece.action))
    }
    return nodes
  }

  function node(action: string): readonly Node[] {
    const [, keyword = '', rest = ''] = /^(if|with|range|define)\s+([^]*)$/.exec(action) ?? []
    if (keyword === 'if' || keyword === 'with') return [conditional(keyword, rest)]
    if (keyword === 'range') return [range(rest)]
    if (keyword === 'define') {
      place += 1
      defined.set(String(JSON.parse(rest.trim())), block())
      return []
    }
    const [, name, value] = /^\$(\w+)\s*:?=([^]*)$/.exec(action) ?? []
    if (name !== undefined && value !== undefined) return [{ kind: 'set', name, value: parseExpression(value, file) }]
    return action.startsWith('/*') ? [] : [{ kind: 'output', value: parseExpression(action, file) }]
  }

  function conditional(kind: 'if' | 'with', on: string): Node {
    const parsed = parseExpression(on, file)
    place += 1
    const inner = block()
    return { kind, on: parsed, body: inner, otherwise: otherwise() }
  }

  function range(text: string): Node {
    const [, variables, value = text] = /^(\$\w+(?:\s*,\s*\$\w+)?)\s*:=([^]*)$/.exec(text) ?? []
    const names = variables?.split(',').map((one) => one.trim().slice(1)) ?? []
    place += 1
    const inner = block()
    return { kind: 'range', names, on: parseExpression(value, file), body: inner, otherwise: otherwise() }
  }

  /** At `else`, `else if` or `end`; leaves the place at the `end`. */
  function otherwise(): readonly Node[] {
    const action = actionHere()
    if (action === 'end') return []
    const [, condition] = /^else\s+if\s+([^]*)$/.exec(action) ?? []
    if (condition !== undefined) return [conditional('if', condition)]
    place += 1
    const nodes = block()
    if (actionHere() !== 'end') throw new Error(`${file}: else without end`)
    return nodes
  }

  function actionHere(): string {
    const piece = pieces[place]
    if (piece === undefined || 'text' in piece) throw new Error(`${file}: something has no end`)
    return piece.action
  }
}

function split(source: string): readonly Piece[] {
  const pieces: Piece[] = []
  let end = 0
  let isTrimming = false
  const text = (piece: string): string => (isTrimming ? piece.trimStart() : piece)
  for (const { index, 0: whole, 1: before, 2: action = '', 3: after } of source.matchAll(/\{\{(- )?([^]*?)( -)?\}\}/g)) {
    const plain = text(source.slice(end, index))
    pieces.push({ text: before === undefined ? plain : plain.trimEnd() }, { action: action.trim() })
    isTrimming = after !== undefined
    end = index + whole.length
  }
  return [...pieces, { text: text(source.slice(end)) }]
}

function parseExpression(source: string, file: string): Expression {
  const words: string[] = []
  for (let at = 0; at < source.length;) {
    if (/\s/.test(source.charAt(at))) {
      at += 1
      continue
    }
    WORD.lastIndex = at
    const [word] = WORD.exec(source) ?? []
    if (word === undefined) throw new Error(`${file}: cannot read ${source.slice(at)}`)
    words.push(word)
    at += word.length
  }
  let place = 0
  const expression = pipeline()
  if (place < words.length) throw new Error(`${file}: ${words.slice(place).join(' ')} is left over in ${source}`)
  return expression

  function pipeline(): Expression {
    let value = command([])
    while (words[place] === '|') {
      place += 1
      value = command([value])
    }
    return value
  }

  /** What comes by the pipe is the last word of a call. */
  function command(piped: readonly Expression[]): Expression {
    const operands: Expression[] = []
    const first = words[place] ?? ''
    const isCall = /^[a-zA-Z]\w*$/.test(first) && !['true', 'false', 'nil'].includes(first)
    if (isCall) place += 1
    while (place < words.length && words[place] !== '|' && words[place]?.startsWith(')') === false) operands.push(operand())
    if (isCall) return { kind: 'call', name: first, words: [...operands, ...piped] }
    const [only, ...others] = operands
    if (only?.kind === 'field' && others.length > 0) return { kind: 'method', of: only, words: others }
    if (only === undefined || others.length > 0 || piped.length > 0) throw new Error(`${file}: ${source} calls no function`)
    return only
  }

  function operand(): Expression {
    const word = words[place] ?? ''
    place += 1
    if (word === '(') {
      const inner = pipeline()
      const close = words[place] ?? ''
      if (!close.startsWith(')')) throw new Error(`${file}: a bracket is open in ${source}`)
      place += 1
      return fields(inner, close.slice(1))
    }
    if (word.startsWith('"')) return { kind: 'literal', value: String(JSON.parse(word)) }
    if (word.startsWith('`')) return { kind: 'literal', value: word.slice(1, -1) }
    if (word === '.') return { kind: 'dot' }
    if (word.startsWith('.')) return fields({ kind: 'dot' }, word)
    if (word.startsWith('$')) {
      const [, name = '', rest = ''] = /^\$(\w*)(.*)$/.exec(word) ?? []
      return fields({ kind: 'variable', name }, rest)
    }
    if (/^-?\d/.test(word)) return { kind: 'literal', value: Number(word) }
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' }
    if (word === 'nil') return { kind: 'literal', value: undefined }
    // A function without words, as an operand.
    return { kind: 'call', name: word, words: [] }
  }
}

function fields(of: Expression, names: string): Expression {
  return names
    .split('.')
    .filter((name) => name !== '')
    .reduce<Expression>((inner, name) => ({ kind: 'field', of: inner, name }), of)
}
