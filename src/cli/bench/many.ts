/** Clients whose work is only to come in: many sessions, or one in many groups. */

import { connect, type Session } from '../../client/index.ts'
import { nowMicros } from './payload.ts'
import type { Answer, CrowdTask, JoinerTask } from './task.ts'

/** Many sessions in one group; done when each has seen a view of all. */
export async function enterCrowd(task: CrowdTask, say: (answer: Answer) => void): Promise<void> {
  const watch = async (session: Session): Promise<void> => {
    for await (const batch of session.batches()) {
      for (const event of batch) if (event.type === 'view' && event.members.length === task.members) return
    }
  }
  const enter = async (index: number): Promise<void> => {
    const session = await connect(task.address, { name: `${task.name}-${index}` })
    const watched = watch(session)
    await session.join('crowd')
    await watched
  }
  await Promise.all(Array.from({ length: task.sessions }, (_, index) => enter(index)))
  say({ type: 'entered', at: nowMicros() })
}

/** One session, already connected, in many groups; done when it has the first view of each. */
export async function joinMany(
  task: JoinerTask,
  session: Session,
  say: (answer: Answer) => void,
): Promise<void> {
  const names = Array.from({ length: task.groups }, (_, i) => `many-${i}`)
  const groups = await Promise.all(names.map(name => session.join(name)))
  const wrong = groups.filter(({ members }) => !members.includes(session.id))
  if (wrong.length > 0) say({ type: 'failed', why: `it is not in its own view of ${wrong[0]?.name}` })
  else say({ type: 'entered', at: nowMicros() })
}
