import type { Node, NodeOptions } from '../src/node/index.ts'

/** A node, and the loop of the host that drives it. */
export interface Driven {
  readonly node: Node
  /** Steps so far. */
  readonly turns: number
  /** From now on nobody steps. */
  stop(): void
}

export function drive(
  create: (options: Pick<NodeOptions, 'loop' | 'onWake'>) => Promise<Node>,
  before?: () => void,
): Promise<Driven>
