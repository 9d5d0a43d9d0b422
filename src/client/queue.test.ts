import { expect, it } from 'vitest'
import type { QueuedItem } from './events.ts'
import { EventQueue } from './queue.ts'

const item: QueuedItem = { type: 'warning', code: 'x', message: '', group: null }

it('a full queue has room again when its consumer stops with the last batch in hand', async () => {
  const told: string[] = []
  const queue = new EventQueue(null, 1024, {
    onHalfUnread: () => {},
    onFull: () => told.push('full'),
    onRoom: () => told.push('room'),
  })
  const batches = queue.batches()
  for (let i = 0; i < 5; i++) queue.push(i, item)
  expect(told).toEqual(['full'])
  const { value } = await batches.next()
  expect([value?.size, queue.length]).toEqual([5, 0])
  // What is in its hands still counts.
  expect(told).toEqual(['full'])
  await batches.return?.()
  expect(told).toEqual(['full', 'room'])
})
