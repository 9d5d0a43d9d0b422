/** One session, whatever the channel, wherever the cell runs: the same suite for every combination. */

import { type ConformanceTarget, describeConformance } from '../src/client/conformance.fixture.ts'
import { connect } from '../src/client/index.ts'
import {
  endpoint,
  loopModes,
  type LoopMode,
  nodeIn,
  quietConfig,
  scratchDirectory,
  ThreadedNode,
} from './nodes.ts'

const channels = ['in-process', 'unix socket', 'TCP'] as const

async function start(mode: LoopMode, channel: (typeof channels)[number]): Promise<ConformanceTarget> {
  const { directory, remove } = scratchDirectory()
  const { node, stop } = await nodeIn(mode, quietConfig(directory, 'n1'))
  return {
    connect(options) {
      if (channel === 'in-process') return node.session(options)
      return connect(endpoint(node, channel === 'TCP' ? 'tcp' : 'unix'), options)
    },
    async stop() {
      await node.close()
      stop()
      remove()
    },
  }
}

async function startThreaded(mode: LoopMode): Promise<ConformanceTarget> {
  const { directory, remove } = scratchDirectory()
  const node = await ThreadedNode.start(quietConfig(directory, 'n1'), mode)
  return {
    connect: options => node.connect(options),
    async stop() {
      await node.stop()
      remove()
    },
  }
}

for (const mode of loopModes) {
  for (const channel of channels) describeConformance(`${channel}, ${mode}`, () => start(mode, channel))
  describeConformance(`worker thread, ${mode}`, () => startThreaded(mode))
}
