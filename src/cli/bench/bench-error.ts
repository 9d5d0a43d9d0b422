/** The benchmark cannot be run, or what it found is not what was promised; said in a sentence. */
export class BenchError extends Error {
  override readonly name = 'BenchError'
  /** What to do about it; '' if the message says it. */
  readonly advice: string

  constructor(message: string, advice: string = '') {
    super(message)
    this.advice = advice
  }
}
