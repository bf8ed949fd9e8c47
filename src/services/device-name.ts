/** Longer than any honest one that is kept. */
const LONGEST = 256

/** What a user agent calls itself, and what we call it: the first that fits. Each browser names those that it descends from. */
const BROWSERS: readonly (readonly [mark: string, name: string])[] = [
  ['Edg', 'Edge'],
  ['OPR/', 'Opera'],
  ['SamsungBrowser/', 'Samsung Internet'],
  ['Vivaldi/', 'Vivaldi'],
  ['Firefox/', 'Firefox'],
  ['FxiOS/', 'Firefox'],
  ['CriOS/', 'Chrome'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
  ['curl/', 'curl'],
  ['PostmanRuntime/', 'Postman'],
  ['okhttp/', 'an app'],
  ['CFNetwork/', 'an app'],
  ['Dart/', 'an app'],
]

const SYSTEMS: readonly (readonly [mark: string, name: string])[] = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android'],
  ['CrOS', 'ChromeOS'],
  ['Windows', 'Windows'],
  ['Macintosh', 'macOS'],
  ['Mac OS X', 'macOS'],
  ['Darwin', 'macOS'],
  ['Linux', 'Linux'],
]

/**
 * What kind of device a user agent says it is: `Firefox on Linux`. Coarse on purpose: an update of the browser changes nothing,
 * and no name tells one user from another.
 */
export function deviceName(userAgent: string): string {
  const text = userAgent.slice(0, LONGEST)
  const browser = firstIn(text, BROWSERS)
  const system = firstIn(text, SYSTEMS)
  if (browser === undefined) return system === undefined ? 'unknown' : `a program on ${system}`
  return system === undefined ? browser : `${browser} on ${system}`
}

function firstIn(text: string, marks: readonly (readonly [mark: string, name: string])[]): string | undefined {
  return marks.find(([mark]) => text.includes(mark))?.[1]
}
