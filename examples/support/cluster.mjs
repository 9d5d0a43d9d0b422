/**
 * What the examples need around them and an application does not: several nodes in one process, on free ports of the
 * loopback interface, in a temporary directory, with links that can be cut.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, defaultConfig } from 'anasazi/node'

/** Quicker than the defaults, so that an example does not wait a second for a member that is cut off. */
const timeouts = { heartbeatMs: 30, suspectAfterMs: 400 }

/** An example that hangs is no example. */
const patienceMs = 20_000

export function print(line = '') {
  process.stdout.write(`${line}\n`)
}

/** Polls: for examples. An application acts on events. */
export async function until(holds) {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** Name of a session, `alice` of `alice@n1#5f3a….7`. */
export function nameOf(session) {
  return session.slice(0, session.indexOf('@'))
}

export class Cluster {
  /** Nodes by name. */
  nodes = {}
  #giveUp
  #sessions = []
  #directory = mkdtempSync(join(tmpdir(), 'anasazi-example-'))
  /** Ports by name, and links by `from>to`. */
  #ports = {}
  #links = {}

  /** Starts nodes that know each other, and waits until all are in one configuration. */
  static async start(...names) {
    const cluster = new Cluster()
    process.once('exit', () => rmSync(cluster.#directory, { recursive: true, force: true }))
    cluster.#giveUp = setTimeout(() => {
      print('this takes too long: something does not happen')
      process.exit(1)
    }, patienceMs)
    const ports = await freePorts(names.length)
    names.forEach((name, i) => (cluster.#ports[name] = ports[i]))
    for (const from of names) {
      for (const to of names) {
        if (from !== to) cluster.#links[`${from}>${to}`] = await Link.to(cluster.#ports[to])
      }
    }
    for (const name of names) cluster.nodes[name] = await createNode({ config: cluster.config(name) })
    await cluster.together(...names)
    return cluster
  }

  /** What a YAML file would say, with every default filled in. */
  config(name) {
    const config = defaultConfig({ name, hostName: name, runtime: join(this.#directory, name) })
    const [main] = config.cells
    const peers = Object.keys(this.#ports)
      .filter(peer => peer !== name)
      .map(peer => ({
        name: peer,
        address: { host: '127.0.0.1', port: this.#links[`${name}>${peer}`].port },
      }))
    const listen = { host: '127.0.0.1', port: this.#ports[name] }
    return { ...config, cells: [{ ...main, listen, peers, timeouts: { ...main.timeouts, ...timeouts } }] }
  }

  /** A session in this process. */
  async session(at, name) {
    const session = await this.nodes[at].session({ name })
    this.#sessions.push(session)
    return session
  }

  /** The address for clients in other processes; `node.session()` needs none. */
  url(name) {
    return this.nodes[name].describeCells()[0].endpoints[0]
  }

  /** Resolves when these nodes, and no others, are in one configuration. */
  async together(...names) {
    for (;;) {
      const views = await Promise.all(names.map(name => this.#members(name)))
      if (views.every(members => members === [...names].sort().join())) return
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  async #members(name) {
    const { cells } = await this.nodes[name].status(0)
    return cells.main.configuration.members.map(id => id.slice(0, id.indexOf('#'))).join()
  }

  /** From now on nothing passes between this node and the others; the connections stay. */
  cut(name) {
    for (const link of this.#linksOf(name)) link.setCut(true)
  }

  heal(name) {
    for (const link of this.#linksOf(name)) link.setCut(false)
  }

  #linksOf(name) {
    return Object.entries(this.#links)
      .filter(([ends]) => ends.split('>').includes(name))
      .map(([, link]) => link)
  }

  /** Ends a node without a word to the others. */
  async crash(name) {
    const closed = this.nodes[name].close()
    this.heal(name)
    await closed
  }

  async stop() {
    clearTimeout(this.#giveUp)
    for (const session of this.#sessions) await session.close()
    for (const node of Object.values(this.nodes)) await node.close()
    for (const link of Object.values(this.#links)) link.close()
  }
}

/** A way from one node to the port of another, through a relay that can stop passing bytes on. */
class Link {
  port = 0
  #cut = false
  #sockets = new Set()
  #server

  static async to(target) {
    const link = new Link()
    link.#server = net.createServer(inside => {
      const outside = net.connect({ host: '127.0.0.1', port: target })
      for (const [from, to] of [
        [inside, outside],
        [outside, inside],
      ]) {
        link.#sockets.add(from)
        from.on('data', chunk => to.write(chunk))
        from.on('error', () => {})
        from.on('close', () => {
          link.#sockets.delete(from)
          to.destroy()
        })
        if (link.#cut) from.pause()
      }
    })
    link.#server.listen(0, '127.0.0.1')
    await new Promise(resolve => link.#server.once('listening', resolve))
    link.port = link.#server.address().port
    return link
  }

  setCut(cut) {
    this.#cut = cut
    for (const socket of this.#sockets) {
      if (cut) socket.pause()
      else socket.resume()
    }
  }

  close() {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** All held at once, so that no two are the same. */
async function freePorts(count) {
  const servers = []
  for (let i = 0; i < count; i++) {
    const server = net.createServer().listen(0, '127.0.0.1')
    await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
    servers.push(server)
  }
  const ports = servers.map(server => server.address().port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
