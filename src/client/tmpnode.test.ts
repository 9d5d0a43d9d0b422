import { createNode } from '../node/node.ts'
import { describeConformance } from './conformance.fixture.ts'
describeConformance('real node, in process', async () => {
  const node = await createNode({})
  return { connect: options => node.session(options), stop: () => node.close() }
})
