/** What those who guess passwords try first: words that many choose, with the usual decoration, and walks over the keyboard. */

/** Of at least eight characters with their decoration; the words themselves may be shorter. */
const WORDS: ReadonlySet<string> = new Set(
  `access account admin administrator alexander amanda america andrea andrew angel angels anthony apple april arsenal asdf ashley august
  austin baby babygirl bailey banana barcelona baseball basketball batman beautiful benjamin berlin bitcoin blessed blink bonjour brandon
  brittany buster butterfly california cameron changeit changeme charles charlie cheese chelsea chicken chocolate chris christian christine
  cocacola coffee computer cookie cowboys cristina crystal dallas daniel daniela david december default demo destiny diamond dolphin donald
  dragon dragons eagles elizabeth england everton family february ferrari fender fernando flower football forever france freedom friday friend
  friends fuckyou gateway genesis george gemini giants ginger google guest gustavo hannah happy harley heather hello hellokitty hockey holiday
  hollywood hunter iloveme iloveu iloveyou india internet isabella jackson january jasmine jennifer jessica jesus jonathan jordan joseph joshua
  juliana justin killer kitty kristina lakers lastname laura letmein linkedin liverpool london login loulou love lovely loveme loveyou lucky
  madison maggie manchester march marina marlboro martin marvin master matrix matthew maverick melissa mercedes merlin metallica michael michelle
  midnight minecraft miller monday money monkey monster morgan mother mustang nathan natasha naruto newyork nicole nikita nintendo november
  nothing october oliver orange pakistan panther paris passphrase passw password passwort patricia patrick peanut pepper phoenix pokemon police
  princess private purple qazwsx qwer qwert qwerty rachel raiders rainbow rangers ranger realmadrid rebecca robert rockyou ronaldo root samantha
  samsung samuel sandra saturday scooter secret security september service shadow shannon sharon silver simpsons skywalker slipknot snickers
  snoopy soccer softball spiderman spring starwars steelers stephanie steven strawberry summer sunday sunflower sunshine superman superstar support
  sweet sweetheart sweety system target taylor teacher tennis teamo temp test tester testing thomas thunder thursday tigger tiger tinkerbell
  toyota travis trustno trustnoone tuesday tweety user valentina vanessa veronica victoria vincent warrior wednesday welcome william willow winner
  winter wizard wolverine yamaha yankees yellow zxcv zxcvbn zxcvbnm contraseña motdepasse soleil doudou azerty hallo schatz geheim sommer
  senha mudar teamo tequiero estrella mariposa princesa brasil flamengo corinthians juventus galatasaray fenerbahce besiktas natalia aleksandr
  woaini wangyi zhang aaa abc abcd`
    .split(/\s+/)
    .filter((word) => word !== ''),
)

/** Rows of keyboards and of signs, forwards; a walk goes along one of them either way. */
const ROWS: readonly string[] = [
  '01234567890123456789',
  'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz',
  '1234567890-=',
  'qwertyuiop[]',
  "asdfghjkl;'",
  'zxcvbnm,./',
  'qwertzuiopü+',
  'azertyuiop',
  'qsdfghjklm',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/',
  'qazwsxedcrfvtgbyhnujmik,ol.p;/',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  'a1b2c3d4e5f6g7h8i9j0',
  '!@#$%^&*()_+',
]
const WALKS: readonly string[] = [...ROWS, ...ROWS.map((row) => Array.from(row).toReversed().join(''))]
const SHORTEST_WALK = 3

/** Letters for which these stand. */
const LEET: ReadonlyMap<string, string> = new Map([
  ['@', 'a'],
  ['4', 'a'],
  ['3', 'e'],
  ['1', 'i'],
  ['!', 'i'],
  ['0', 'o'],
  ['5', 's'],
  ['$', 's'],
  ['7', 't'],
])

/** What is longer is not guessed by such means. */
const LONGEST = 32
const DECORATION = /^[\p{N}\p{P}\p{S}\s]+|[\p{N}\p{P}\p{S}\s]+$/gu

const ENDING = /[\p{N}!?.,\s]+$/gu

/** Whether it is a common word with the usual decoration, a few signs over and over, or walks along the keyboard. */
export function isGuessable(password: string): boolean {
  const folded = password.toLowerCase()
  if (folded.length > LONGEST) return false
  return isRepeated(folded) || isOfWalks(folded) || isDecorated(folded)
}

/** One to four characters over and over: `aaaaaaaa`, `abcabcabc`. */
function isRepeated(text: string): boolean {
  for (let unit = 1; unit <= 4; unit++) {
    const rest = text.length % unit
    if (text === text.slice(0, unit).repeat(Math.floor(text.length / unit)) + text.slice(0, rest) && text.length >= 2 * unit)
      return true
  }
  return false
}

/** Made of nothing but walks of at least three keys: `12345678`, `qwerty123`, `abcd1234`. */
function isOfWalks(text: string): boolean {
  let from = 0
  while (from < text.length) {
    const length = longestWalk(text, from)
    if (length < SHORTEST_WALK) return false
    from += length
  }
  return true
}

function longestWalk(text: string, from: number): number {
  let longest = 0
  for (let to = from + SHORTEST_WALK; to <= text.length; to++) {
    const piece = text.slice(from, to)
    if (!WALKS.some((walk) => walk.includes(piece)) && !isOfOneSign(piece)) break
    longest = to - from
  }
  return longest
}

function isOfOneSign(text: string): boolean {
  return text === text.charAt(0).repeat(text.length)
}

function isDecorated(text: string): boolean {
  const bare = text.replace(DECORATION, '')
  // `p@ssw0rd1!` is a word once the end is gone and the rest is read as letters, `4dmin2024` the other way round.
  return [bare, plainOf(bare), plainOf(text), plainOf(text.replace(ENDING, ''))].some(isWord)
}

function isWord(text: string): boolean {
  if (WORDS.has(text)) return true
  // One twice, or two of them: `monkeymonkey`, `iloveyoujessica`.
  for (let at = 3; at <= text.length - 3; at++) if (WORDS.has(text.slice(0, at)) && WORDS.has(text.slice(at))) return true
  return false
}

function plainOf(text: string): string {
  let plain = ''
  for (const sign of text) plain += LEET.get(sign) ?? sign
  return plain
}
