/** What is wrong with a configuration file, each with its place. */

export interface ConfigProblem {
  readonly file: string
  /** From 1; 0 if the problem has no place in the file. */
  readonly line: number
  readonly column: number
  /** Such as `cells.main.peers.n2`; '' for the file as a whole. */
  readonly path: string
  /** What is wrong; what would be right. */
  readonly message: string
}

/** All that is wrong with a file, at once, one line each: `file:line:column path: what is wrong; what would be right`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options)
    this.problems = problems
  }
}

export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `:${problem.line}:${problem.column}` : ''
  return `${problem.file}${place}${problem.path === '' ? '' : ` ${problem.path}`}: ${problem.message}`
}

/** `['cells', 'main', 'groups', 1]` as `cells.main.groups[1]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z0-9_-]+$/.test(String(key))) text += text === '' ? String(key) : `.${String(key)}`
    else text += `[${JSON.stringify(String(key))}]`
  }
  return text
}
