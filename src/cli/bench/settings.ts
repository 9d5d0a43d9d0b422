/** Settings of a cell from the command line, for every daemon that is measured. */

/** By key, as in the configuration of a cell: `{ limits: { windowBytes: 524288 } }`. */
export interface Settings {
  readonly [key: string]: Settings | string | number | boolean | null | readonly unknown[]
}

export const noSettings: Settings = {}

const keyPattern = /^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*$/

/**
 * One setting, `limits.windowBytes=524288`; the value is JSON, or a word.
 * @throws RangeError that says how it should look.
 */
export function settingOf(text: string): Settings {
  const at = text.indexOf('=')
  const key = text.slice(0, Math.max(0, at))
  if (at < 0 || !keyPattern.test(key)) {
    throw new RangeError(`${JSON.stringify(text)} is not KEY=VALUE, such as limits.windowBytes=524288`)
  }
  const nested = (value: Settings[string], name: string): Settings => ({ [name]: value })
  return key.split('.').reduceRight<Settings[string]>(nested, valueOf(text.slice(at + 1))) as Settings
}

function valueOf(text: string): Settings[string] {
  try {
    return JSON.parse(text) as Settings[string]
  } catch {
    return text
  }
}

/** The later one wins, key by key. */
export function mergedSettings(...all: readonly Settings[]): Settings {
  const sum: Record<string, Settings[string]> = {}
  for (const settings of all) {
    for (const [key, value] of Object.entries(settings)) {
      const before = Object.hasOwn(sum, key) ? sum[key] : undefined
      sum[key] = isNested(before) && isNested(value) ? mergedSettings(before, value) : value
    }
  }
  return sum
}

function isNested(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Lines for the configuration of a cell; JSON is YAML, too. */
export function cellLines(settings: Settings): string[] {
  return Object.entries(settings).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}`)
}
