/** The loop of a host that drives its node itself: a step when something waits, and one when a deadline comes. */

/** The time that `step` takes. */
function now() {
  return performance.timeOrigin + performance.now()
}

/**
 * @param create `options => createNode({ ...yours, ...options })`
 * @param before called at the beginning of every turn, such as work that the host has to do first
 */
export async function drive(create, before = () => {}) {
  let node = null
  let immediate = null
  let timer = null
  let stopped = false
  let turns = 0
  const turn = () => {
    immediate = null
    if (stopped || node === null) return
    before()
    turns++
    node.step(now())
    arm()
  }
  const wake = () => {
    if (immediate === null && !stopped) immediate = setImmediate(turn)
  }
  const arm = () => {
    clearTimeout(timer)
    const wait = node.nextDeadline - now()
    if (wait <= 0) wake()
    else timer = setTimeout(wake, Math.min(wait, 1000))
  }
  node = await create({ loop: 'manual', onWake: wake })
  wake()
  return {
    node,
    get turns() {
      return turns
    },
    /** From now on nobody steps. */
    stop() {
      stopped = true
      clearImmediate(immediate)
      clearTimeout(timer)
    },
  }
}
