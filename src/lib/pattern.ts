/** Name patterns: `*` is any run of characters, `?` exactly one, anything else itself. No escapes, no classes. */

/** True if `name` matches `pattern` as a whole. Time is at most pattern × name, whatever the pattern. */
export function matchesPattern(pattern: string, name: string): boolean {
  let p = 0
  let n = 0
  let star = -1
  let resume = 0
  while (n < name.length) {
    const wanted = pattern[p]
    if (wanted === '*') {
      star = p++
      resume = n
    } else if (wanted === '?') {
      p++
      n += characterLength(name, n)
    } else if (wanted !== undefined && wanted === name[n]) {
      p++
      n++
    } else if (star >= 0) {
      // Only the last star need give way: what stood before it matched already, as early as possible.
      p = star + 1
      resume += characterLength(name, resume)
      n = resume
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/**
 * True if every name that `special` matches is matched by `general` too.
 * Decided by matching the text of one pattern with the other: what stands for any character must be met by a wildcard.
 */
export function coversPattern(general: string, special: string): boolean {
  const pattern = Array.from(normalise(general))
  const text = Array.from(normalise(special))
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    const wanted = pattern[p]
    if (wanted === '*') {
      star = p++
      resume = t
    } else if (wanted !== undefined && (wanted === text[t] || (wanted === '?' && text[t] !== '*'))) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** The same language, with each run of wildcards written as its `?`s and then at most one `*`. */
function normalise(pattern: string): string {
  return pattern.replace(/[*?]{2,}/g, run => run.replaceAll('*', '') + (run.includes('*') ? '*' : ''))
}

function characterLength(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

/** What `cellOf` needs of a cell: its name and the patterns of the groups that it carries. */
export interface CellRule {
  readonly name: string
  readonly groups: readonly string[]
}

/**
 * The cell that carries `group`: the first rule with a matching pattern, in the order given; if none has one, the first
 * cell, which is the default one. '' without any cell.
 */
export function cellOf(rules: readonly CellRule[], group: string): string {
  for (const rule of rules) {
    for (const pattern of rule.groups) if (matchesPattern(pattern, group)) return rule.name
  }
  return rules[0]?.name ?? ''
}
