import { connect, type Socket } from 'node:net'
import { encodeHello, type Hello } from '../codec/handshake.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { Crc32 } from '../lib/crc32.ts'
import { disagreement, makeHello, nameOfMember, sameNameConflict } from './agreement.ts'
import { type ConnectionContext, TcpConnection } from './tcp-connection.ts'
import { awaitHello, type HelloFailure } from './tcp-handshake.ts'
import type { PeerEvent, PeerInfo, TransportIdentity } from './transport.ts'

export interface TcpTimeouts {
  /** For a connection to be made. */
  readonly connectTimeoutMs: number
  /** For the other end to say who it is. */
  readonly handshakeTimeoutMs: number
  /** A peer from which nothing comes for so long, on neither lane, is disconnected; 0: never. Several heartbeats long. */
  readonly idleTimeoutMs: number
  /** Longest pause between attempts to connect. */
  readonly maxBackoffMs: number
  /** How long `close` waits for what is queued, and a refusal for being read. */
  readonly lingerMs: number
}

export const DEFAULT_TCP_TIMEOUTS: TcpTimeouts = {
  connectTimeoutMs: 1500,
  handshakeTimeoutMs: 3000,
  idleTimeoutMs: 3000,
  maxBackoffMs: 2000,
  lingerMs: 500,
}

/** So many times the idle timeout a frame may take from its first byte to its last. Those on the data lane are large. */
const FRAME_TIMES: { readonly [L in Lane]: number } = { control: 1, data: 10 }

/** What a peer needs of its transport. */
export interface PeerContext extends ConnectionContext {
  readonly identity: TransportIdentity
  readonly crc32: Crc32
  readonly timeouts: TcpTimeouts
  /** Where we accept peers; 0: nowhere. */
  readonly port: number
  report(event: PeerEvent): void
  /** The peer is now another member, or for the first time one. */
  identified(peer: TcpPeer, before: MemberId | null): void
  /** A peer that is not in the list is gone. */
  forget(peer: TcpPeer): void
}

export type Decision =
  | { readonly verdict: 'accepted' }
  | { readonly verdict: 'refused' | 'duplicate'; readonly reason: string }

interface Dial {
  readonly cancel: () => void
  /** Our hello is on its way. */
  sent: boolean
}

interface LaneState {
  connection: TcpConnection | null
  dial: Dial | null
  timer: NodeJS.Timeout | null
  /** Failures in a row; decides about the next pause. */
  attempts: number
  /** Who was connected last. */
  lastMember: MemberId | null
}

const LANES: readonly Lane[] = ['control', 'data']

/** Pauses before the first attempts: a process that dies may still accept for a moment. Then 50 ms, doubling. */
const FIRST_PAUSES_MS: readonly number[] = [0, 2, 5, 10, 20]
const BACKOFF_MS = 50
/** Who has the higher name lets the other dial first at the start, so that most pairs connect only once. */
const COURTESY_MS = 100
/** A connection that lived so long was a good one. */
const STABLE_MS = 1000
/** Attempts after which a peer that is not in the list is forgotten. */
const OPEN_PEER_ATTEMPTS = 12

/**
 * One peer by its name: a connection for each lane, and the effort to have them.
 *
 * Both ends dial whenever they lack a connection, since each must learn at once whether the other's process lives. Of two
 * attempts that meet, the one of the lower name wins: the lower end calls the other's attempt a duplicate once its own hello
 * is sent, and until then takes it and gives up its own; the higher end always takes the lower's.
 */
export class TcpPeer {
  readonly name: string
  readonly host: string
  readonly port: number
  /** From the list; otherwise it came by itself. */
  readonly listed: boolean
  readonly #context: PeerContext
  readonly #weAreLower: boolean
  readonly #control: LaneState = newLane()
  readonly #data: LaneState = newLane()
  #member: MemberId | null = null
  #up = false
  #closing = false
  #toldRefused = false
  /** The address is known to lead to this member: we reached it there, or it told us the same port. */
  #addressProven = false

  constructor(context: PeerContext, peer: { name: string; host: string; port: number }, listed: boolean) {
    this.name = peer.name
    this.host = peer.host
    this.port = peer.port
    this.listed = listed
    this.#context = context
    this.#weAreLower = nameOfMember(context.identity.self) < peer.name
  }

  get member(): MemberId | null {
    return this.#member
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  get info(): PeerInfo {
    return {
      name: this.name,
      member: this.#member,
      address: this.address,
      control: this.#control.connection !== null,
      data: this.#data.connection !== null,
      pendingControl: this.#control.connection?.pending ?? 0,
      pendingData: this.#data.connection?.pending ?? 0,
    }
  }

  connection(lane: Lane): TcpConnection | null {
    return this.#lane(lane).connection
  }

  #lane(lane: Lane): LaneState {
    return lane === 'control' ? this.#control : this.#data
  }

  get #connected(): boolean {
    return this.#control.connection !== null || this.#data.connection !== null
  }

  start(): void {
    const pause = this.#weAreLower ? 0 : COURTESY_MS * (1 + Math.random())
    for (const lane of LANES) this.#schedule(lane, pause)
  }

  /** Stops dialling and closes, after what is queued has been handed over. */
  async close(): Promise<void> {
    this.#closing = true
    const released: Promise<void>[] = []
    for (const lane of LANES) {
      const state = this.#lane(lane)
      this.#stopDialling(state)
      const { connection } = state
      state.connection = null
      if (connection !== null) released.push(connection.release(this.#context.timeouts.lingerMs))
    }
    await Promise.all(released)
  }

  /** Breaks the connections as a failing network would; they are made again at once. */
  reset(): void {
    for (const lane of LANES) this.#lane(lane).connection?.destroy('reset', true)
  }

  /** Called every `elapsedMs`: a connection over which nothing comes may lead nowhere, and TCP would not say so for minutes. */
  checkSilence(elapsedMs: number): void {
    for (const lane of LANES) this.#checkFrames(lane, elapsedMs)
    const control = this.#control.connection
    const data = this.#data.connection
    const silentMs = Math.min(control?.silence(elapsedMs) ?? Infinity, data?.silence(elapsedMs) ?? Infinity)
    const { idleTimeoutMs } = this.#context.timeouts
    if (idleTimeoutMs <= 0 || silentMs < idleTimeoutMs || !this.#connected) return
    this.#context.counters.timeouts++
    const reason = `nothing received for ${idleTimeoutMs} ms`
    control?.destroy(reason)
    data?.destroy(reason)
  }

  /** A bit that flipped in a length makes all that follows part of one long frame: bytes come, and nobody is heard. */
  #checkFrames(lane: Lane, elapsedMs: number): void {
    const { connection } = this.#lane(lane)
    const { idleTimeoutMs } = this.#context.timeouts
    const unfinishedMs = connection?.unfinished(elapsedMs) ?? 0
    if (idleTimeoutMs <= 0 || unfinishedMs < idleTimeoutMs * FRAME_TIMES[lane]) return
    this.#context.counters.garbage++
    connection?.destroy(`a frame that began ${unfinishedMs} ms ago has not ended`)
  }

  /** Whether to take a connection that the peer made. */
  decide(hello: Hello): Decision {
    const conflict = this.#conflict(hello)
    if (conflict !== null) return { verdict: 'refused', reason: conflict }
    const { connection, dial } = this.#lane(hello.lane)
    if (this.#weAreLower && (connection?.outbound === true || dial?.sent === true)) {
      return { verdict: 'duplicate', reason: 'the lower name dials' }
    }
    return { verdict: 'accepted' }
  }

  /** Another process of the same name: it may only come in once the one before is gone. */
  #conflict(hello: Hello): string | null {
    if (this.#member === null || this.#member === hello.member || !this.#connected) return null
    return sameNameConflict(this.#member, hello.member)
  }

  /** Takes a connection whose handshake succeeded. `rest`: what was read behind the hello. */
  adopt(socket: Socket, hello: Hello, link: { outbound: boolean; address: string; rest: Uint8Array }): void {
    const { lane, member } = hello
    const state = this.#lane(lane)
    this.#stopDialling(state)
    const { counters } = this.#context
    counters.connections++
    if (state.lastMember === member) counters.reconnects++
    if (state.connection !== null) {
      const before = state.connection
      state.connection = null
      before.destroy('replaced')
      this.#setDown(before, 'the peer connected anew')
    }
    if (this.#member !== member) this.#identify(member)
    if (link.outbound || hello.port === this.port) this.#addressProven = true
    state.lastMember = member
    const connection = new TcpConnection(
      this.#context,
      socket,
      { member, lane, outbound: link.outbound, address: link.address },
      reason => this.#lost(state, connection, reason),
    )
    state.connection = connection
    if (!this.#up && this.#control.connection !== null && this.#data.connection !== null) {
      this.#up = true
      this.#toldRefused = false
      this.#context.report({ type: 'up', member, address: this.address })
    }
    if (lane === 'data' && (hello.features & (this.#context.identity.features ?? 0)) !== 0) {
      this.#context.carrier?.opened(connection)
    }
    connection.receive(link.rest)
  }

  #identify(member: MemberId): void {
    const before = this.#member
    if (before !== null) this.#tellRefused(`${this.name} was restarted: ${member} answers now`)
    this.#member = member
    this.#toldRefused = false
    this.#addressProven = false
    this.#context.identified(this, before)
  }

  #lost(state: LaneState, connection: TcpConnection, reason: string): void {
    if (state.connection !== connection) return
    state.connection = null
    // However short its life, it was a connection: whoever has lived may not be kept waiting for long.
    state.attempts = performance.now() - connection.since > STABLE_MS ? 0 : Math.min(state.attempts + 1, 2)
    this.#setDown(connection, reason)
    if (this.#canDial) this.#schedule(connection.lane)
    else this.#forgetIfGone()
  }

  #setDown(connection: TcpConnection, reason: string): void {
    if (!this.#up) return
    this.#up = false
    const { member, lane } = connection
    this.#context.report({ type: 'down', member, address: this.address, reason: `${lane} lane: ${reason}` })
  }

  #tellRefused(reason: string): void {
    if (this.#member === null || this.#toldRefused) return
    this.#toldRefused = true
    this.#context.report({ type: 'refused', member: this.#member, address: this.address, reason })
  }

  #forgetIfGone(): void {
    if (!this.listed && !this.#connected) {
      this.#closing = true
      for (const lane of LANES) this.#stopDialling(this.#lane(lane))
      this.#context.forget(this)
    }
  }

  get #canDial(): boolean {
    return this.port > 0
  }

  #stopDialling(state: LaneState): void {
    state.dial?.cancel()
    state.dial = null
    if (state.timer !== null) clearTimeout(state.timer)
    state.timer = null
  }

  #schedule(lane: Lane, pauseMs?: number): void {
    const state = this.#lane(lane)
    if (this.#closing || !this.#canDial) return
    if (state.connection !== null || state.dial !== null || state.timer !== null) return
    const pause = pauseMs ?? this.#pause(state.attempts)
    if (pause <= 0) {
      this.#dial(lane, state)
      return
    }
    state.timer = setTimeout(() => {
      state.timer = null
      this.#dial(lane, state)
    }, pause)
  }

  #pause(attempts: number): number {
    const first = FIRST_PAUSES_MS[attempts]
    if (first !== undefined) return first
    const doubled = BACKOFF_MS * 2 ** Math.min(attempts - FIRST_PAUSES_MS.length, 20)
    return Math.min(doubled, this.#context.timeouts.maxBackoffMs) * (0.75 + Math.random() / 2)
  }

  #dial(lane: Lane, state: LaneState): void {
    const { identity, crc32, timeouts, port } = this.#context
    const socket = connect({
      host: this.host,
      port: this.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
    })
    const connecting = setTimeout(
      () => socket.destroy(new Error(`no connection within ${timeouts.connectTimeoutMs} ms`)),
      timeouts.connectTimeoutMs,
    )
    socket.once('close', () => clearTimeout(connecting))
    const mine = makeHello(identity, { lane, expected: this.name, port })
    const cancel = awaitHello(
      socket,
      { timeoutMs: timeouts.connectTimeoutMs + timeouts.handshakeTimeoutMs, crc32 },
      {
        onHello: (hello, rest) => this.#answered(state, socket, mine, hello, rest),
        onFailure: (failure, reason, code) => this.#failed(lane, state, failure, reason, code),
      },
    )
    const dial: Dial = { cancel, sent: false }
    state.dial = dial
    socket.once('connect', () => {
      clearTimeout(connecting)
      if (state.dial !== dial) return
      dial.sent = true
      socket.write(encodeHello(mine, crc32))
    })
  }

  #answered(state: LaneState, socket: Socket, mine: Hello, hello: Hello, rest: Uint8Array): void {
    state.dial = null
    const objection = hello.verdict === 'duplicate' ? null : this.#objection(mine, hello)
    if (hello.verdict !== 'duplicate' && objection === null) {
      this.adopt(socket, hello, { outbound: true, address: this.address, rest })
      return
    }
    socket.destroy()
    state.attempts++
    if (objection !== null) {
      this.#context.counters.rejected++
      this.#context.report({
        type: 'rejected',
        member: hello.member,
        address: this.address,
        by: hello.verdict === 'refused' ? 'them' : 'us',
        reason: objection,
      })
    }
    this.#schedule(mine.lane)
  }

  #objection(mine: Hello, hello: Hello): string | null {
    const words = disagreement(mine, hello)
    if (words !== null) return words
    if (hello.verdict !== 'accepted')
      return `refused by ${hello.member}: ${hello.reason || 'no reason given'}`
    const name = nameOfMember(hello.member)
    if (name !== this.name) return `"${this.name}" is expected at ${this.address}, but it is "${name}"`
    if (hello.lane !== mine.lane)
      return `answered on the ${hello.lane} lane to a hello on the ${mine.lane} lane`
    return this.#conflict(hello)
  }

  #failed(lane: Lane, state: LaneState, failure: HelloFailure, reason: string, code: string | null): void {
    state.dial = null
    state.attempts++
    const { counters } = this.#context
    counters.failedDials++
    if (failure === 'timeout') counters.timeouts++
    if (failure === 'garbage') {
      counters.garbage++
      const words = `what answers is no peer: ${reason}`
      this.#context.report({ type: 'rejected', member: null, address: this.address, by: 'us', reason: words })
    }
    // Only who was connected can be known to have died, and only by the address it is known to have had.
    if (code === 'ECONNREFUSED' && this.#addressProven && state.lastMember === this.#member) {
      this.#tellRefused('its connections were closed and new ones are refused: the process is dead')
      this.#forgetIfGone()
    } else if (state.attempts >= OPEN_PEER_ATTEMPTS) this.#forgetIfGone()
    this.#schedule(lane)
  }
}

function newLane(): LaneState {
  return { connection: null, dial: null, timer: null, attempts: 0, lastMember: null }
}
