/** Who is told when: whatever a receiver answers, and whenever the worker dies. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { NotifyQueue, type Refusal, type Waiting } from '../../../activities/notify-queue.ts';
import type { OutboxRow } from '../../../stores/claims/claims.ts';

const DAY_MS = 86_400_000;
const row = (profile: string, version: number, position: number, atMs = 0): OutboxRow => ({
  profile,
  version,
  position,
  entity: 'contact',
  seq: position,
  at: new Date(atMs).toISOString(),
});
const away: Refusal = { code: 'HTTP_503', whole: true };
const refused: Refusal = { code: 'HTTP_400', whole: false };
/** No jitter. */
const queueAt = (read: number) => new NotifyQueue(read, () => 0.5);

type Answer = 'taken' | 'away' | 'refused' | 'later' | 'lost';
type Step =
  | { do: 'change'; profile: number }
  | { do: 'look' }
  | { do: 'answer'; which: number; as: Answer }
  | { do: 'wait'; ms: number }
  | { do: 'die' };

const profile = fc.nat({ max: 3 });
const stepOf: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('change' as const), profile }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('look' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      which: fc.nat({ max: 7 }),
      as: fc.constantFrom<Answer>('taken', 'away', 'refused', 'later', 'lost'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
);

/** An outbox, a receiver that answers as the schedule says, and a worker that may die between any two steps. */
class World {
  readonly versions = new Map<string, number>();
  readonly outbox: OutboxRow[] = [];
  /** What the receiver has seen, in its order. */
  readonly heard: { profile: string; version: number }[] = [];
  queue = queueAt(0);
  nowMs = 0;
  saved = 0;
  sending: { one: Waiting; version: number }[] = [];

  change(name: string): void {
    const version = (this.versions.get(name) ?? 0) + 1;
    this.versions.set(name, version);
    this.outbox.push(row(name, version, this.outbox.length + 1, this.nowMs));
  }

  look(): void {
    const rows = this.outbox.slice(this.queue.read, this.queue.read + 3);
    this.queue.add(rows, this.queue.read + rows.length, this.nowMs);
    for (const one of this.queue.take(this.nowMs, 8 - this.sending.length, this.sending.length)) {
      // As the activity does: what is sent is what the profile is now.
      this.sending.push({ one, version: this.versions.get(one.profile) ?? 0 });
    }
    const names = this.sending.map(({ one }) => one.profile);
    expect(new Set(names).size).toBe(names.length);
    this.save();
  }

  save(): void {
    expect(this.queue.done).toBeGreaterThanOrEqual(this.saved);
    this.saved = this.queue.done;
  }

  answer(which: number, as: Answer): void {
    const [sent] = this.sending.splice(which % Math.max(1, this.sending.length), 1);
    if (sent === undefined) return;
    const { one, version } = sent;
    // A lost answer: the receiver has it, and we do not know.
    if (as === 'taken' || as === 'lost') this.heard.push({ profile: one.profile, version });
    if (as === 'taken') this.queue.settle(one, version, this.nowMs, true);
    else if (as === 'refused') this.queue.failed(one, refused, this.nowMs);
    else if (as === 'later') this.queue.failed(one, { ...away, retryAfterMs: 9_000 }, this.nowMs);
    else this.queue.failed(one, away, this.nowMs);
    this.save();
  }

  die(): void {
    // The connection breaks with the process: what was under way may have arrived.
    for (const { one, version } of this.sending) this.heard.push({ profile: one.profile, version });
    this.sending = [];
    this.queue = queueAt(this.saved);
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.do === 'change') this.change(`p${step.profile}`);
      else if (step.do === 'look') this.look();
      else if (step.do === 'answer') this.answer(step.which, step.as);
      else if (step.do === 'wait') this.nowMs += step.ms;
      else this.die();
    }
  }

  /** From now on the receiver takes everything. */
  end(): void {
    for (let round = 0; round < 1_000; round += 1) {
      this.look();
      while (this.sending.length > 0) this.answer(0, 'taken');
      if (this.queue.size === 0 && this.queue.read === this.outbox.length) return;
      this.nowMs += 3_600_000;
    }
    throw new Error('something waits for ever');
  }
}

describe('the order of what is told', () => {
  test('of one profile versions never go back, and the last one arrives, whatever is answered and dies', () => {
    fc.assert(
      fc.property(fc.array(stepOf, { maxLength: 120 }), (steps) => {
        const world = new World();
        world.run(steps);
        world.end();
        const last = new Map<string, number>();
        for (const { profile: name, version } of world.heard) {
          expect(version).toBeGreaterThanOrEqual(last.get(name) ?? 0);
          last.set(name, version);
        }
        expect(last).toEqual(world.versions);
        expect(world.queue.done).toBe(world.outbox.length);
      }),
      { numRuns: 500 },
    );
  });

  test('without a death or a lost answer nothing is told twice', () => {
    fc.assert(
      fc.property(fc.array(stepOf, { maxLength: 120 }), (steps) => {
        const world = new World();
        world.run(steps.filter((step) => step.do !== 'die' && !(step.do === 'answer' && step.as === 'lost')));
        world.end();
        const told = world.heard.map((one) => `${one.profile} ${one.version}`);
        expect(new Set(told).size).toBe(told.length);
      }),
      { numRuns: 300 },
    );
  });
});

describe('when it is tried again', () => {
  test('a receiver that is away is asked by one message alone, after 5 s, 15 s … 1 h', () => {
    const queue = queueAt(0);
    queue.add([row('a', 1, 1), row('b', 1, 2), row('c', 1, 3)], 3, 0);
    const [first, ...others] = queue.take(0, 8, 0);
    if (first === undefined) throw new Error('nobody waits');
    for (const one of others) queue.release(one);
    const waits: number[] = [];
    let nowMs = 0;
    queue.failed(first, away, nowMs);
    for (let tries = 0; tries < 8; tries += 1) {
      let waitedMs = 0;
      while (queue.take(nowMs + waitedMs, 8, 1).length > 0) throw new Error('two ask at once');
      let taken: Waiting[] = [];
      for (; taken.length === 0; waitedMs += 1_000) taken = queue.take(nowMs + waitedMs, 8, 0);
      nowMs += waitedMs - 1_000;
      waits.push((waitedMs - 1_000) / 1_000);
      expect(taken).toHaveLength(1);
      for (const one of taken) queue.failed(one, away, nowMs);
    }
    expect(waits).toEqual([5, 15, 45, 135, 405, 1_215, 3_600, 3_600]);
    expect(queue.lastCode).toBe('HTTP_503');
    const [one] = queue.take(nowMs + 3_600_000, 8, 0);
    if (one === undefined) throw new Error('nobody waits');
    queue.settle(one, 1, nowMs, true);
    expect(queue.take(nowMs, 8, 0)).toHaveLength(2);
  });

  test('a message that is refused by itself holds up nobody else', () => {
    const queue = queueAt(0);
    queue.add([row('a', 1, 1), row('b', 1, 2)], 2, 0);
    const [a, b] = queue.take(0, 8, 0);
    if (a === undefined || b === undefined) throw new Error('nobody waits');
    queue.failed(a, refused, 0);
    queue.settle(b, 1, 0, true);
    queue.add([row('c', 1, 3)], 3, 0);
    expect(queue.take(0, 8, 0).map(({ profile: name }) => name)).toEqual(['c']);
    expect(queue.done).toBe(0);
    expect([queue.failingSinceMs, queue.lastCode]).toEqual([0, 'HTTP_400']);
    expect(queue.take(5_000, 8, 0).map(({ profile: name }) => name)).toEqual(['a']);
  });

  test('Retry-After is waited for', () => {
    const queue = queueAt(0);
    queue.add([row('a', 1, 1)], 1, 0);
    const [one] = queue.take(0, 8, 0);
    if (one === undefined) throw new Error('nobody waits');
    queue.failed(one, { ...away, retryAfterMs: 60_000 }, 0);
    expect(queue.take(59_999, 8, 0)).toEqual([]);
    expect(queue.take(60_000, 8, 0)).toHaveLength(1);
  });

  test('after three days and ten tries it is given up, and the cursor moves on', () => {
    const queue = queueAt(0);
    queue.add([row('a', 1, 1)], 1, 0);
    let nowMs = 0;
    let tries = 0;
    for (; queue.size > 0; nowMs += 3_600_000) {
      for (const one of queue.take(nowMs, 8, 0)) {
        queue.failed(one, refused, nowMs);
        tries += 1;
      }
      if (tries > 200) throw new Error('it is tried for ever');
    }
    expect(nowMs).toBeGreaterThan(3 * DAY_MS);
    expect(queue.givenUp).toBe(1);
    expect(queue.done).toBe(1);
  });
});
