import { describe, expect, it } from 'vitest'
import { Random } from '../lib/prng.ts'
import { configurationId } from './configuration.ts'
import type { HeartbeatFrame, Row } from './frames.ts'
import { Peers } from './peers.ts'
import { defaultTimeouts } from './state.ts'
import type { MemberId } from './types.ts'

const { heartbeatMs, suspectAfterMs, holdDownMs, maxHoldDownMs } = defaultTimeouts

function heartbeat(rows: readonly Row[] = []): HeartbeatFrame {
  return {
    kind: 'heartbeat',
    configuration: configurationId(1, 'b#1', 1),
    ballot: 1,
    maxEpoch: 1,
    phase: 'operational',
    target: 0,
    matrix: 0,
    rows,
    facts: null,
  }
}

function made(): Peers {
  return new Peers('a#1', defaultTimeouts, new Random(1))
}

/** Challenges a member and answers for it. */
function admit(peers: Peers, member: MemberId, now: number): void {
  const nonce = peers.heartbeat(member, heartbeat(), now)
  expect(nonce).not.toBeNull()
  peers.answer(member, nonce as number, now)
}

describe('a stranger', () => {
  it('counts only once it answered our challenge', () => {
    const peers = made()
    const nonce = peers.heartbeat('b#1', heartbeat(), 0) as number
    expect(peers.hears('b#1')).toBe(false)
    peers.answer('b#1', nonce + 1, 1)
    peers.answer('c#1', nonce, 1)
    expect(peers.row.hears).toEqual([])
    peers.answer('b#1', nonce, 1)
    expect(peers.hears('b#1')).toBe(true)
    expect(peers.takeAdmissions()).toEqual(['b#1'])
    expect(peers.heartbeat('b#1', heartbeat(), 2)).toBeNull()
  })

  it('is believed nothing before: neither its rows nor that it lives', () => {
    const peers = made()
    peers.heartbeat('b#1', heartbeat([{ member: 'c#1', version: 9, hears: ['b#1'] }]), 0)
    expect(peers.matrix.has('c#1')).toBe(false)
    peers.alive('b#1', 50)
    expect(peers.get('b#1')?.lastHeardAt).toBe(0)
    expect(peers.get('b#1')?.last).toBeNull()
  })

  it('is challenged again, at a bounded rate, and may answer any of the challenges: its path may be slow', () => {
    const peers = made()
    const first = peers.heartbeat('b#1', heartbeat(), 0) as number
    expect(peers.heartbeat('b#1', heartbeat(), heartbeatMs / 2 - 1)).toBeNull()
    for (let now = heartbeatMs; now < heartbeatMs * 5; now += heartbeatMs) {
      expect(peers.heartbeat('b#1', heartbeat(), now)).not.toBeNull()
    }
    peers.answer('b#1', first, heartbeatMs * 5)
    expect(peers.hears('b#1')).toBe(true)
  })

  it('cannot answer with what it once answered', () => {
    const peers = made()
    const first = peers.heartbeat('b#1', heartbeat(), 0) as number
    peers.answer('b#1', first, 0)
    peers.lose('b#1', 'silent', 10)
    peers.answer('b#1', first, 20)
    expect(peers.get('b#1')?.answered).toBe(false)
    expect(peers.heartbeat('b#1', heartbeat(), 30)).not.toBe(first)
    peers.answer('b#1', first, 40)
    expect(peers.get('b#1')?.answered).toBe(false)
  })

  it('under ten thousand names does not fill our memory, nor push out whom we hear', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    for (let i = 0; i < 10_000; i++) peers.heartbeat(`x${i}#1`, heartbeat(), 1)
    expect([...peers.all()].length).toBeLessThanOrEqual(1024)
    expect(peers.hears('b#1')).toBe(true)
    peers.alive('b#1', maxHoldDownMs * 5)
    peers.tick(maxHoldDownMs * 5)
    expect([...peers.all()].map(peer => peer.member)).toEqual(['b#1'])
  })
})

describe('a lost peer', () => {
  it('is one that was silent for too long, not a moment sooner', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    expect(peers.nextDeadline()).toBe(suspectAfterMs)
    peers.tick(suspectAfterMs - 1)
    expect(peers.hears('b#1')).toBe(true)
    peers.tick(suspectAfterMs)
    expect(peers.hears('b#1')).toBe(false)
    expect(peers.takeLosses()).toEqual([{ member: 'b#1', reason: 'silent' }])
    expect(peers.takeLosses()).toEqual([])
  })

  it('is held down, twice as long each time up to a bound, before it is heard again', () => {
    const peers = made()
    const holds: number[] = []
    let now = 0
    for (let loss = 0; loss < 10; loss++) {
      admit(peers, 'b#1', now)
      for (; !peers.hears('b#1'); now++) peers.tick(now)
      peers.lose('b#1', 'stalled', now)
      holds.push((peers.get('b#1')?.heldUntil ?? 0) - now)
      now++
    }
    holds.forEach((hold, i) => {
      const middle = Math.min(maxHoldDownMs, holdDownMs * 2 ** i)
      expect(hold).toBeGreaterThanOrEqual(middle * 0.75)
      expect(hold).toBeLessThanOrEqual(middle * 1.25)
    })
  })

  it('is forgiven after it was heard for long', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    peers.lose('b#1', 'silent', 1)
    admit(peers, 'b#1', 1000)
    peers.tick(1000)
    expect(peers.get('b#1')?.losses).toBe(1)
    const later = 1000 + maxHoldDownMs * 4 + 1
    peers.lose('b#1', 'silent', later)
    expect((peers.get('b#1')?.heldUntil ?? 0) - later).toBeLessThanOrEqual(holdDownMs * 1.25)
  })

  it('that answered is due exactly when its hold-down ends, and not before', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    peers.lose('b#1', 'silent', 10)
    admit(peers, 'b#1', 20)
    const until = peers.nextDeadline()
    expect(until).toBe(peers.get('b#1')?.heldUntil)
    peers.tick(until - 0.001)
    expect(peers.hears('b#1')).toBe(false)
    peers.tick(until)
    expect(peers.hears('b#1')).toBe(true)
    expect(peers.nextDeadline()).toBeGreaterThan(until)
  })

  it('is not suspected for a silence in which we did not listen', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    peers.rearm(5000)
    peers.tick(5000)
    expect(peers.hears('b#1')).toBe(true)
  })
})

describe('an incarnation', () => {
  it('that left is over: not heard again, whatever still arrives', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    peers.lose('b#1', 'left', 1)
    expect(peers.isGone('b#1')).toBe(true)
    expect(peers.get('b#1')).toBeUndefined()
    expect(peers.takeLosses()).toEqual([{ member: 'b#1', reason: 'left' }])
  })

  it('is over when the next one of its name answers, without a hold-down for that one', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    admit(peers, 'c#1', 0)
    admit(peers, 'b#2', 1)
    expect(peers.isGone('b#1')).toBe(true)
    expect(peers.row.hears).toEqual(['b#2', 'c#1'])
    expect(peers.takeLosses()).toEqual([{ member: 'b#1', reason: 'restarted' }])
  })

  it('is not ended by the last word of the one before, which may come after its own first', () => {
    const peers = made()
    const before = peers.heartbeat('b#1', heartbeat(), 0) as number
    const after = peers.heartbeat('b#2', heartbeat(), 5) as number
    // On its way since before it died: a challenge that was sent before we met the next one proves nothing against that one.
    peers.answer('b#1', before, 10)
    expect(peers.isGone('b#2')).toBe(false)
    peers.answer('b#2', after, 15)
    expect(peers.isGone('b#1')).toBe(true)
    expect(peers.row.hears).toEqual(['b#2'])
  })

  it('is remembered as gone among a bounded number', () => {
    const peers = made()
    for (let i = 0; i < 1100; i++) peers.lose(`b#${i}`, 'left', 0)
    expect(peers.isGone('b#1099')).toBe(true)
    expect(peers.isGone('b#0')).toBe(false)
  })
})

describe('rows', () => {
  it('are taken when newer, from whoever passes them on, but never about ourselves', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    const tell = (...rows: Row[]): null => peers.heartbeat('b#1', heartbeat(rows), 1) as null
    tell({ member: 'b#1', version: 3, hears: ['a#1', 'c#1'] }, { member: 'c#1', version: 5, hears: ['b#1'] })
    expect(peers.matrix.get('c#1')?.version).toBe(5)
    tell({ member: 'c#1', version: 4, hears: [] }, { member: 'a#1', version: 99, hears: [] })
    expect(peers.matrix.get('c#1')?.version).toBe(5)
    // Contradicted: what follows is newer than what was told.
    expect(peers.row).toEqual({ member: 'a#1', version: 100, hears: ['b#1'] })
  })

  it('change the version of the matrix only when they say something new', () => {
    const peers = made()
    admit(peers, 'b#1', 0)
    const row = { member: 'b#1', version: 3, hears: ['a#1'] }
    peers.heartbeat('b#1', heartbeat([row]), 1)
    const { version, digest } = peers
    peers.heartbeat('b#1', heartbeat([row]), 2)
    peers.tick(3)
    expect([peers.version, peers.digest]).toEqual([version, digest])
    peers.heartbeat('b#1', heartbeat([{ ...row, version: 4, hears: [] }]), 4)
    expect(peers.version).toBe(version + 1)
  })
})

describe('a deadline', () => {
  it('is met at the very moment that it names, whatever was rounded', () => {
    // 8024.724136805814 + 1000 is 9024.724136805813 in doubles, and 9024.724136805813 − 8024.724136805814 less than 1000.
    for (const heardAt of [8024.724136805814, 0.1, 1e6 / 3, 12_345.678_9]) {
      const peers = made()
      admit(peers, 'b#1', heardAt)
      const deadline = peers.nextDeadline()
      peers.tick(deadline)
      expect(peers.takeLosses()).toEqual([{ member: 'b#1', reason: 'silent' }])
    }
  })
})
