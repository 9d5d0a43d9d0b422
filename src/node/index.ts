/** A node inside your process: cells on your event loop, on threads of their own, or driven by you. */

export type { Config } from '../config/config.ts'
export { defaultConfig } from '../config/config.ts'
export { createNode, Node, type NodeOptions } from './node.ts'
