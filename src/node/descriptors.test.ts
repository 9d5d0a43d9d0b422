import { describe, expect, it } from 'vitest'
import { DescriptorReserve, type SystemDescriptors } from './descriptors.ts'

/** A system with so many descriptors. */
class System implements SystemDescriptors {
  readonly open_ = new Set<number>()
  limit: number
  private last = 0

  constructor(limit: number) {
    this.limit = limit
  }

  open(): number {
    if (this.open_.size >= this.limit)
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    this.open_.add(++this.last)
    return this.last
  }

  close(descriptor: number): void {
    expect(this.open_.delete(descriptor)).toBe(true)
  }

  get free(): number {
    return this.limit - this.open_.size
  }
}

describe('the reserve of descriptors', () => {
  it('refuses the last one, and then has room for those who are told so, and for peers', () => {
    const system = new System(100)
    const reserve = new DescriptorReserve(system)
    const clients: number[] = []
    let allowed = true
    while (allowed) {
      clients.push(system.open())
      allowed = reserve.allows()
    }
    expect(clients).toHaveLength(100 - 16)
    system.close(clients.pop() as number)
    expect(system.free).toBe(17)
    // Those who come now are refused, and cost nothing for long.
    for (let i = 0; i < 10; i++) {
      const client = system.open()
      expect(reserve.allows()).toBe(false)
      system.close(client)
      expect(system.free).toBe(17)
    }
    // A peer is reached again.
    const peer = system.open()
    expect(system.free).toBe(16)
    // Only when there is enough for all of it, and one more, are clients taken again.
    system.close(clients.pop() as number)
    const next = system.open()
    expect(reserve.allows()).toBe(false)
    system.close(next)
    system.close(clients.pop() as number)
    system.open()
    expect(reserve.allows()).toBe(true)
    expect(system.free).toBe(1)
    system.close(peer)
    expect(reserve.allows()).toBe(true)
    reserve.close()
    expect(reserve.allows()).toBe(false)
  })

  it('is given back when others took what was free', () => {
    const system = new System(30)
    const reserve = new DescriptorReserve(system)
    while (system.free > 0) system.open()
    reserve.look()
    expect(system.free).toBe(16)
    reserve.look()
    expect(system.free).toBe(16)
    reserve.close()
  })

  it('of the process itself is given back', () => {
    const reserve = new DescriptorReserve()
    expect(reserve.allows()).toBe(true)
    reserve.close()
    reserve.close()
    expect(reserve.allows()).toBe(false)
  })

  it('is none where there are too few, and nobody is taken', () => {
    const system = new System(10)
    const reserve = new DescriptorReserve(system)
    expect(system.free).toBe(10)
    expect(reserve.allows()).toBe(false)
    system.limit = 40
    expect(reserve.allows()).toBe(true)
    expect(system.free).toBe(24)
  })
})
