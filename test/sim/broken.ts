// Builds that break a law on purpose. Each must be caught by some seed: a simulator that passes them proves nothing.

import type { Replacement } from './build.ts'

export interface Broken {
  readonly name: string
  readonly replacements: readonly Replacement[]
}

export const BROKEN: readonly Broken[] = [
  {
    name: 'outbox written apart',
    replacements: [
      {
        file: 'src/steps.ts',
        find: 'changes.push({ group: OWN.outbox, leaf: letter.id, value })',
        put: `const apart = [{ group: OWN.outbox, leaf: letter.id, value }]
      this.world.clock.wake(this.world.clock.now(), () => this.world.commit.enter(resident.records.prepare(apart), undefined, () => undefined))`,
      },
    ],
  },
  {
    name: 'high-water dedupe',
    replacements: [
      {
        file: 'src/step.ts',
        find: `    const before = repeated(run, sender, id, bodyHash)
    if (before !== undefined) return again(run, channel, stimulus, before)
    remember(run, sender, id, bodyHash, undefined)`,
        put: `    const numbered = /^(.*)-\\d+$/.exec(id)
    const high = numbered === null ? undefined : run.records.get('high', sender + numbered[1])
    const before = numbered === null ? repeated(run, sender, id, bodyHash) : typeof high === 'string' && id <= high ? { eid: id, directives: [], replayed: true } : undefined
    if (before !== undefined) return nothing(run, before)
    if (numbered === null) remember(run, sender, id, bodyHash, undefined)
    else run.records.put('high', sender + numbered[1], id)`,
      },
    ],
  },
  {
    name: 'acknowledge before commit',
    replacements: [
      {
        file: 'src/commit.ts',
        find: 'await this.store.write(writes, true)',
        put: `const written = this.store.write(writes, true)
        for (const { done } of batch.splice(0)) done(undefined)
        await written`,
      },
    ],
  },
  {
    name: 'no sync',
    replacements: [
      {
        file: 'src/commit.ts',
        find: 'await this.store.write(writes, true)',
        put: 'await this.store.write(writes, false)',
      },
    ],
  },
]
