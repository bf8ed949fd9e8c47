/** The forms of a username in which it is compared. Usernames are ASCII. */

/** As it is unique within the tenant: lower case. */
export function fold(name: string): string {
  return name.toLowerCase()
}

/** With what looks alike made one: `-` and `_` are nothing; `0` is `o`; `1`, `i` and `l` are `l`; `rn` is `m`, `vv` is `w`. */
export function skeletonOf(name: string): string {
  return fold(name).replace(/[-_]/g, '').replaceAll('0', 'o').replace(/[1i]/g, 'l').replaceAll('rn', 'm').replaceAll('vv', 'w')
}
