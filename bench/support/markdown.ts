/** Tables and generated parts of documents. */

/** @param rows - the first one is the head */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')
}

/** As in `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/**
 * A document with what stands between `<!-- NAME: written by … -->` and `<!-- end of NAME -->` replaced.
 *
 * @throws Error where the document has no such place
 */
export function withPart(document: string, name: string, text: string): string {
  const begin = document.indexOf(`<!-- ${name}:`)
  const from = document.indexOf('-->', begin) + 3
  const end = document.indexOf(`<!-- end of ${name} -->`, from)
  if (begin === -1 || end === -1) throw new Error(`there is no part ${name}`)
  return `${document.slice(0, from)}\n\n${text}\n\n${document.slice(end)}`
}
