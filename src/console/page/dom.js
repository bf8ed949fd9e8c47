/**
 * Elements, made from names and texts. Texts become text nodes and nothing else: what a client sent is never read as markup.
 *
 * @module
 */

const SVG = 'http://www.w3.org/2000/svg'

/** An element of HTML. `facts`: attributes; a function is a listener; true is an empty attribute; undefined and false are none. */
export function h(name, facts = {}, ...children) {
  return filled(document.createElement(name), facts, children)
}

/** An element of SVG. */
export function s(name, facts = {}, ...children) {
  return filled(document.createElementNS(SVG, name), facts, children)
}

function filled(element, facts, children) {
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'function') element.addEventListener(name, value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== undefined && value !== false && value !== null) element.setAttribute(name, String(value))
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false))
  return element
}

/** Writes only what is new, so that selections and readers of screens are left in peace. */
export function setText(element, text) {
  const next = String(text)
  if (element.textContent !== next) element.textContent = next
}

/** @param tone ok, warn, bad, info or plain */
export function badge(text, tone = 'plain') {
  return h('span', { class: `badge ${tone}` }, text)
}

export function tile(label, hint) {
  const value = h('dd', { class: 'value' }, '–')
  const note = h('dd', { class: 'note' })
  const element = h('div', { class: 'tile', title: hint }, h('dt', {}, label), value, note)
  return {
    element,
    set(text, { tone = '', below = '' } = {}) {
      setText(value, text)
      setText(note, below)
      const name = `tile ${tone}`.trim()
      if (element.className !== name) element.className = name
    },
  }
}

/**
 * A table whose rows stay the same elements while their contents change: what has the focus keeps it.
 *
 * @param columns `{ label, class?, text(row) }`, or `{ label, class?, of(row), show(row) }`, where `show` makes nodes anew when
 * `of` gives another text than before
 */
export function table({ caption, columns, key, empty, name }) {
  // The roles are said because small screens show rows as blocks, and browsers take that for no table.
  const body = h('tbody', { role: 'rowgroup' })
  const none = h('p', { class: 'empty', hidden: true }, empty)
  const heads = columns.map((column) => h('th', { scope: 'col', role: 'columnheader', class: column.class }, column.label))
  const grid = h(
    'table',
    { class: name, role: 'table' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads)),
    body,
  )
  const rows = new Map()
  return { element: h('div', { class: 'table' }, grid, none), update }

  function update(list) {
    const wanted = new Set(list.map(key))
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue
      row.element.remove()
      rows.delete(id)
    }
    let before = null
    for (const item of list) {
      const id = key(item)
      const row = rows.get(id) ?? made(id)
      fill(row, item)
      const place = before === null ? body.firstChild : before.nextSibling
      if (place !== row.element) put(row.element, place)
      before = row.element
    }
    none.hidden = list.length > 0
    grid.hidden = list.length === 0
  }

  /** What is moved keeps the focus where the browser knows how. */
  function put(element, place) {
    if (element.isConnected && 'moveBefore' in body) body.moveBefore(element, place)
    else body.insertBefore(element, place)
  }

  function made(id) {
    const cells = columns.map((column) => h('td', { class: column.class, role: 'cell', 'data-label': column.label }))
    const row = { element: h('tr', { role: 'row' }, cells), cells, seen: [] }
    rows.set(id, row)
    return row
  }

  function fill(row, item) {
    columns.forEach((column, index) => {
      const seen = column.text === undefined ? String(column.of(item)) : String(column.text(item))
      if (row.seen[index] === seen) return
      row.seen[index] = seen
      row.cells[index].replaceChildren(...(column.text === undefined ? [column.show(item)].flat() : [seen]))
    })
  }
}

/** A labelled field of a form. */
export function field(label, control, hint) {
  const id = control.id
  const about = hint === undefined ? undefined : h('span', { class: 'hint', id: `${id}-hint` }, hint)
  if (about !== undefined) control.setAttribute('aria-describedby', about.id)
  return h('div', { class: 'field' }, h('label', { for: id }, label), control, about)
}

export function heading(title, text) {
  return h('header', { class: 'title' }, h('h1', {}, title), text === undefined ? undefined : h('p', {}, text))
}
