/** Hosts in network namespaces of this machine, on one Ethernet, whose network can be broken. Linux, root, iproute2, nftables. */

import { spawnSync } from 'node:child_process'
import type { Links } from './links.ts'

const PREFIX = 'anasazi'
let made = 0

/**
 * Every host is a network namespace with an address on one bridge, which has a namespace of its own. Names hold the
 * number of the process, so that several may run at a time; what a killed one left behind is removed by the next.
 */
export class Network implements Links {
  readonly kind = 'network'
  readonly hosts: readonly string[]
  private readonly id: string
  private closed = false
  /** Hosts whose interface has a queue of ours. */
  private readonly shaped = new Set<string>()
  private readonly onExit = (): void => this.close()

  /** @throws Error if a namespace or a link cannot be made. */
  constructor(hosts: readonly string[]) {
    sweep()
    this.hosts = hosts
    this.id = `${PREFIX}-${process.pid}-${++made}`
    process.once('exit', this.onExit)
    try {
      this.build()
    } catch (error) {
      this.close()
      throw error
    }
  }

  address(host: string): string {
    return `10.99.0.${this.number(host)}`
  }

  /** Prefix of a command that shall run on the host. */
  within(host: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace(host)]
  }

  /** Cuts the Ethernet into parts that do not reach each other; hosts not named are alone. */
  split(...sides: readonly (readonly string[])[]): void {
    const alone = this.hosts.filter(host => !sides.some(side => side.includes(host))).map(host => [host])
    ;[...sides, ...alone].forEach((side, index) => {
      for (const host of side) this.plug(host, `br${index}`)
    })
  }

  /** Two hosts no longer reach each other; whom they both reach stays. */
  cut(a: string, b: string): void {
    this.drop(a, b)
    this.drop(b, a)
  }

  /** What `from` sends no longer reaches `to`. */
  drop(from: string, to: string): void {
    this.nft(to, `add rule inet lab input ip saddr ${this.address(from)} drop`)
  }

  /** Loses so many of a hundred packets that arrive at any host. */
  lose(percent: number): void {
    for (const host of this.hosts) {
      this.nft(
        host,
        `add rule inet lab input iif eth0 numgen random mod 1000 < ${Math.round(percent * 10)} drop`,
      )
    }
  }

  /** What a host sends passes no faster; what waits for long is lost. */
  limit(host: string, bytesPerSecond: number): void {
    const rate = `${Math.round((bytesPerSecond * 8) / 1000)}kbit`
    this.shape(host, 'tbf', 'rate', rate, 'burst', '32kb', 'latency', '400ms')
  }

  /** Packets sent by any host change places or double; with percentages as netem has them. Only where `hasNetem`. */
  shuffle(swapPercent: number, doublePercent: number): void {
    const how = ['delay', '2ms', 'reorder', `${swapPercent}%`, '50%', 'duplicate', `${doublePercent}%`]
    for (const host of this.hosts) this.shape(host, 'netem', ...how)
  }

  /** As it was at the beginning. */
  heal(): void {
    for (const host of this.shaped)
      ip('netns', 'exec', this.namespace(host), 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root')
    this.shaped.clear()
    for (const host of this.hosts) {
      this.nft(host, 'flush chain inet lab input')
      this.plug(host, 'br0')
    }
  }

  /** Removes everything. What still runs there keeps its namespace until it ends. */
  close(): void {
    if (this.closed) return
    this.closed = true
    process.removeListener('exit', this.onExit)
    for (const host of [...this.hosts, 'switch']) spawnSync('ip', ['netns', 'delete', this.namespace(host)])
  }

  private build(): void {
    const bridges = this.hosts.map((_, index) => `br${index}`)
    const ether = this.namespace('switch')
    ip('netns', 'add', ether)
    for (const bridge of bridges) {
      ip('-n', ether, 'link', 'add', bridge, 'type', 'bridge')
      ip('-n', ether, 'link', 'set', bridge, 'up')
    }
    for (const host of this.hosts) {
      const namespace = this.namespace(host)
      const port = this.portOf(host)
      ip('netns', 'add', namespace)
      ip('-n', ether, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
      ip('-n', ether, 'link', 'set', port, 'master', 'br0', 'up')
      ip('-n', namespace, 'address', 'add', `${this.address(host)}/24`, 'dev', 'eth0')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
      this.nft(host, 'add table inet lab; add chain inet lab input { type filter hook input priority 0; }')
    }
  }

  private shape(host: string, ...discipline: readonly string[]): void {
    const words = ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', ...discipline]
    ip('netns', 'exec', this.namespace(host), ...words)
    this.shaped.add(host)
  }

  private plug(host: string, bridge: string): void {
    ip('-n', this.namespace('switch'), 'link', 'set', this.portOf(host), 'master', bridge)
  }

  private nft(host: string, rules: string): void {
    run('ip', ['netns', 'exec', this.namespace(host), 'nft', rules])
  }

  private namespace(host: string): string {
    return `${this.id}-${host}`
  }

  /** Names of interfaces have at most 15 characters, and each namespace has its own. */
  private portOf(host: string): string {
    return `port${this.number(host)}`
  }

  private number(host: string): number {
    const index = this.hosts.indexOf(host)
    if (index < 0) throw new RangeError(`${host} is no host of this network`)
    return index + 1
  }
}

/** Whether this kernel can delay, reorder and double packets by itself; found out by asking it to. Needs root. */
export function hasNetem(): boolean {
  const name = `${PREFIX}-${process.pid}-netem`
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false
  const words = ['netns', 'exec', name, 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']
  const { status } = spawnSync('ip', words)
  spawnSync('ip', ['netns', 'delete', name])
  return status === 0
}

/**
 * Why network namespaces cannot be used here; null if they can. Found out by making one.
 * @param tools further programs that are needed, such as `nft`.
 */
export function missingForNetwork(tools: readonly string[] = []): string | null {
  if (process.platform !== 'linux')
    return `network namespaces are a thing of Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const name = `${PREFIX}-${process.pid}-probe`
  const added = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
  if (added.error !== undefined)
    return `the program ip cannot be run (${added.error.message}); install iproute2`
  if (added.status !== 0) return `ip netns add fails: ${added.stderr.trim()}`
  const used = spawnSync('ip', ['netns', 'exec', name, 'true'], { encoding: 'utf8' })
  spawnSync('ip', ['netns', 'delete', name])
  if (used.status !== 0) return `ip netns exec fails: ${used.stderr.trim()}`
  for (const tool of tools) {
    const found = spawnSync(tool, ['-V'], { encoding: 'utf8' })
    if (found.error !== undefined) return `the program ${tool} cannot be run (${found.error.message})`
  }
  return null
}

/** Removes the namespaces of processes that are gone. */
function sweep(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const line of stdout.split('\n')) {
    const [name] = line.split(' ')
    const pid = new RegExp(`^${PREFIX}-([0-9]+)-`).exec(name ?? '')?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) spawnSync('ip', ['netns', 'delete', name as string])
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function ip(...args: readonly string[]): void {
  run('ip', args)
}

function run(command: string, args: readonly string[]): void {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`)
}
