import { describe, expect, it } from 'vitest'
import { type CallbackFailure, Callbacks } from './callbacks.ts'

function scene(): { callbacks: Callbacks; reported: CallbackFailure[] } {
  const reported: CallbackFailure[] = []
  return { callbacks: new Callbacks(failure => reported.push(failure)), reported }
}

const thrower = (error: unknown) => (): void => {
  throw error
}

describe('callbacks', () => {
  it('are called at once, and what they throw ends here', () => {
    const { callbacks, reported } = scene()
    let calls = 0
    callbacks.call('onWake', () => calls++)
    expect(calls).toBe(1)
    const error = new TypeError('no such thing')
    callbacks.call('onWake', thrower(error))
    expect(reported).toEqual([{ callback: 'onWake', error, words: 'TypeError: no such thing' }])
  })

  it('are reported once for each distinct error of each of them', () => {
    const { callbacks, reported } = scene()
    for (let i = 0; i < 5; i++) {
      for (const name of ['a', 'b']) callbacks.call(name, thrower(new Error(i % 2 === 0 ? 'even' : 'odd')))
    }
    expect(reported.map(({ callback, words }) => `${callback} ${words}`)).toEqual([
      'a Error: even',
      'b Error: even',
      'a Error: odd',
      'b Error: odd',
    ])
  })

  it('may throw anything', () => {
    const { callbacks, reported } = scene()
    const mute = { toString: thrower('not even this') }
    for (const thrown of [undefined, null, 7, 'words', Object.create(null), mute]) {
      callbacks.call('x', thrower(thrown))
    }
    const silent = 'something that cannot be told'
    expect(reported.map(({ words }) => words)).toEqual(['undefined', 'null', '7', 'words', silent])
  })

  it('may reject, which is the same', async () => {
    const { callbacks, reported } = scene()
    callbacks.call('x', async () => {
      throw new Error('later')
    })
    await new Promise(resolve => setImmediate(resolve))
    expect(reported.map(({ words }) => words)).toEqual(['Error: later'])
  })

  it('cannot make reports without end', () => {
    const { callbacks, reported } = scene()
    for (let i = 0; i < 1000; i++) callbacks.call('x', thrower(new Error(`number ${i}`)))
    expect(reported).toHaveLength(65)
  })

  it('are not reported to whoever fails in being told', () => {
    let told = 0
    const callbacks: Callbacks = new Callbacks(() => {
      told++
      callbacks.failed('report', new Error(`${told}`))
      throw new Error('and this')
    })
    callbacks.call('x', thrower(new Error('first')))
    expect(told).toBe(1)
  })
})
