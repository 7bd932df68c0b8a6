import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Inbox } from '../../stores/inbox/inbox.ts';
import { CRM, event } from './inbox-fixture.ts';

export interface InboxHarness {
  /** Another process's view of the same inbox: each call opens one. */
  open: (options?: { waitingMax?: number }) => Promise<Inbox>;
  /** Everything that the store keeps on disk, as bytes: what is forgotten is not among them. */
  bytes: () => Promise<Buffer>;
  destroy: () => Promise<void>;
}

const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);

/** What every inbox must do, whatever keeps it. */
export function inboxSuite(name: string, start: () => Promise<InboxHarness>): void {
  describe(`inbox on ${name}`, () => {
    let world: InboxHarness;
    let inbox: Inbox;
    beforeEach(async () => {
      world = await start();
      inbox = await world.open();
    });
    afterEach(async () => {
      await inbox.close();
      await world.destroy();
    });

    test('accepted events wait in their order, each connection by itself', async () => {
      const first = await inbox.accept(CRM, [event('a'), event('b')]);
      await inbox.accept('shop', [event('a')]);
      await inbox.accept(CRM, [event('c', { kind: 'deleted', values: null, at: null })]);
      expect(first).toMatchObject({ accepted: 2, repeated: 0 });
      const rows = await inbox.take(CRM, 0, 10);
      expect(ids(rows)).toEqual(['a', 'b', 'c']);
      expect(rows[0]).toMatchObject({ ...event('a'), attempts: 0, position: first.positions[0] });
      expect(rows[2]).toMatchObject({ kind: 'deleted', values: null, at: null });
      expect(ids(await inbox.take(CRM, rows[0]?.position ?? 0, 1))).toEqual(['b']);
      expect(ids(await inbox.take('shop', 0, 10))).toEqual(['a']);
      expect(ids(await inbox.take(CRM, 0, 10))).toEqual(['a', 'b', 'c']);
    });

    test('the place in a topic is kept with the events, and a word of the topic counts as heard', async () => {
      const topic = {
        ...{ connection: CRM, topic: '/data/A', position: 'AAAB', since: null, trouble: null },
        heardAt: '2026-11-21T08:00:00.000Z',
        owed: { objects: ['Contact'], at: '2026-11-21T09:00:00.000Z' },
      };
      expect(await inbox.topics()).toEqual([]);
      await inbox.keepTopic({ ...topic, topic: '/data/B', heardAt: null, owed: null });
      await inbox.keepTopic(topic);
      expect(await inbox.states()).toMatchObject([
        { connection: CRM, waiting: 0, lastAt: null, heardAt: topic.heardAt },
      ]);
      const later = { ...topic, heardAt: '2026-11-21T08:00:01.000Z', position: 'AAAC', owed: null };
      await inbox.keepTopic(later);
      const other = await world.open();
      expect((await other.topics())[0]).toEqual(later);
      expect(await other.topics()).toHaveLength(2);
      await inbox.accept(CRM, [event('a')]);
      const [state] = await other.states();
      expect(state).toMatchObject({ waiting: 1, heardAt: state?.lastAt });
      await other.close();
    });

    test('I2: an event is kept once, however often and by whomever it is told', async () => {
      const other = await world.open();
      const { positions } = await inbox.accept(CRM, [event('a')]);
      const again = await Promise.all([
        inbox.accept(CRM, [event('a'), event('b'), event('b')]),
        ...Array.from({ length: 100 }, () => other.accept(CRM, [event('a')])),
      ]);
      expect(again[0]).toMatchObject({ accepted: 1, repeated: 2, repeats: [true, false, true] });
      expect(new Set(again[0]?.positions.slice(1)).size).toBe(1);
      for (const one of again) expect(one.positions[0]).toBe(positions[0]);
      await inbox.settle(CRM, positions);
      expect(await inbox.accept(CRM, [event('a')])).toEqual({
        accepted: 0,
        repeated: 1,
        positions,
        repeats: [true],
      });
      expect(ids(await inbox.take(CRM, 0, 10))).toEqual(['b']);
      await other.close();
    });

    test('many callers at once: each hears of its own events, and nothing is lost', async () => {
      const calls = Array.from({ length: 300 }, (_, call) => [event(`${call}-1`), event(`${call}-2`)]);
      const answers = await Promise.all(calls.map((events) => inbox.accept(CRM, events)));
      const rows = new Map((await inbox.take(CRM, 0, 1_000)).map((row) => [row.position, row.id]));
      expect(rows.size).toBe(600);
      for (const [call, { positions }] of answers.entries()) {
        expect(positions.map((position) => rows.get(position))).toEqual([`${call}-1`, `${call}-2`]);
      }
    });

    test('a full inbox refuses whole callers, takes repetitions, and has room again after settling', async () => {
      const small = await world.open({ waitingMax: 3 });
      await small.accept(CRM, [event('a'), event('b')]);
      const tries = await Promise.allSettled([
        small.accept(CRM, [event('c'), event('d')]),
        small.accept(CRM, [event('e')]),
        small.accept('shop', [event('f')]),
        small.accept(CRM, [event('b')]),
      ]);
      expect(tries.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
      expect(tries[0]).toMatchObject({ reason: { code: 'INBOX_FULL' } });
      const rows = await small.take(CRM, 0, 10);
      expect(ids(rows)).toEqual(['a', 'b', 'e']);
      await small.settle(CRM, [rows[0]?.position ?? 0]);
      expect(await small.accept('shop', [event('f')])).toMatchObject({ accepted: 1 });
      await small.close();
    });

    test('I5: settling removes the values and keeps the id', async () => {
      const { positions } = await inbox.accept(CRM, [event('a', { values: { Note: 'lavender-4711' } })]);
      expect(await inbox.settled(CRM, positions)).toBe(false);
      await inbox.settle(CRM, positions);
      await inbox.settle(CRM, positions);
      expect(await inbox.settled(CRM, positions)).toBe(true);
      expect(await inbox.states()).toMatchObject([
        { connection: CRM, waiting: 0, parked: 0, oldestAt: null, lastAt: expect.any(String) },
      ]);
      expect(await inbox.take(CRM, 0, 10)).toEqual([]);
    });

    test('after too many tries an event is set aside with its reason, and can wait again', async () => {
      const { positions } = await inbox.accept(CRM, [event('a'), event('b')]);
      const [a = 0] = positions;
      expect(await inbox.fail(CRM, [a], 'SOURCE_REJECTED', 2)).toBe(0);
      expect((await inbox.take(CRM, 0, 10)).map(({ id, attempts }) => [id, attempts])).toEqual([
        ['a', 1],
        ['b', 0],
      ]);
      expect(await inbox.fail(CRM, [a], 'SOURCE_REJECTED', 2)).toBe(1);
      expect(ids(await inbox.take(CRM, 0, 10))).toEqual(['b']);
      expect(await inbox.settled(CRM, [a])).toBe(true);
      expect(await inbox.states()).toMatchObject([{ waiting: 1, parked: 1 }]);
      const before = inbox.revision();
      expect(await inbox.retry(CRM)).toBe(1);
      expect(inbox.revision()).not.toBe(before);
      const [row] = await inbox.take(CRM, 0, 10);
      expect(row).toMatchObject({ id: 'a', attempts: 0, values: { Email: 'a@example.com' } });
      expect(await inbox.states()).toMatchObject([{ waiting: 2, parked: 0 }]);
    });

    test('the revision moves with what any process accepts, and rests otherwise', async () => {
      const other = await world.open();
      await other.accept(CRM, [event('0')]);
      const start = inbox.revision();
      expect([inbox.revision(), inbox.revision()]).toEqual([start, start]);
      await other.accept(CRM, [event('a')]);
      await seen(() => inbox.revision() !== start);
      const second = inbox.revision();
      await inbox.accept(CRM, [event('b')]);
      expect(inbox.revision()).not.toBe(second);
      await other.close();
    });

    test('states tell each connection with the age of its oldest event', async () => {
      await inbox.accept(CRM, [event('a')]);
      const [row] = await inbox.take(CRM, 0, 1);
      await inbox.accept(CRM, [event('b')]);
      await inbox.accept('shop', [event('a')]);
      expect(await inbox.states()).toMatchObject([
        { connection: CRM, waiting: 2, oldestAt: row?.acceptedAt },
        { connection: 'shop', waiting: 1 },
      ]);
    });

    test('ids that were dealt with long ago are forgotten, those that wait or are parked never', async () => {
      const { positions } = await inbox.accept(CRM, [event('a'), event('b'), event('c')]);
      const [a = 0, b = 0] = positions;
      await inbox.settle(CRM, [a]);
      await inbox.fail(CRM, [b], 'INTERNAL', 1);
      expect(await inbox.prune('2026-01-01T00:00:00.000Z')).toBe(0);
      expect(await inbox.prune('2099-01-01T00:00:00.000Z')).toBe(1);
      const again = await inbox.accept(CRM, [event('a'), event('b')]);
      expect(again).toMatchObject({ accepted: 1, repeated: 1 });
      // A reader that goes on behind the last position must see it.
      expect(again.positions[0]).toBeGreaterThan(Math.max(...positions));
    });

    test('I5: what is kept of an erased record is gone, waiting or not, from the disk too', async () => {
      const secret = 'lavender-4711';
      const events = ['a', 'b', 'c'].map((id) => event(id, { record: 'gone', values: { Note: secret } }));
      const { positions } = await inbox.accept(CRM, events);
      const [a = 0, b = 0] = positions;
      await inbox.settle(CRM, [a]);
      await inbox.fail(CRM, [b], 'INTERNAL', 1);
      await inbox.accept(CRM, [event('d'), event('e', { object: 'Lead', record: 'gone' })]);
      await inbox.forget(CRM, 'Contact', ['gone', 'nobody']);
      expect(ids(await inbox.take(CRM, 0, 10))).toEqual(['d', 'e']);
      expect(await inbox.states()).toMatchObject([{ waiting: 2, parked: 0 }]);
      expect(await inbox.settled(CRM, positions)).toBe(true);
      expect((await world.bytes()).includes(secret)).toBe(false);
    });

    test('unread is what waits, is older than asked and not in the profiles; long values are left out', async () => {
      const later = new Date(Date.now() + 60_000).toISOString();
      const long = { Note: 'x'.repeat(5_000) };
      const { positions } = await inbox.accept(CRM, [
        ...['a', 'b', 'c', 'd'].map((id) => event(id)),
        event('e', { values: long }),
      ]);
      await inbox.accept('shop', [event('a')]);
      const [a = 0, b = 0, c = 0] = positions;
      await inbox.claimed(CRM, [a]);
      await inbox.settle(CRM, [b]);
      await inbox.fail(CRM, [c], 'INTERNAL', 1);
      const rows = await inbox.unread(CRM, later, 10);
      expect(rows).toMatchObject([event('d'), { ...event('e'), values: null }]);
      expect(ids(await inbox.unread(CRM, later, 1))).toEqual(['d']);
      expect(await inbox.unread(CRM, '2020-01-01T00:00:00.000Z', 10)).toEqual([]);
      expect((await inbox.take(CRM, 0, 10)).at(-1)?.values).toEqual(long);
    });

    test('hostile texts come back as they were', async () => {
      const texts = ['"; DROP TABLE events; --', "O'Neil", 'a\u0000b', '😀', '\\', '%_', '{"a":1}'];
      const events = texts.map((text, at) =>
        event(`${at}${text}`, { record: text, values: { [text]: text } }),
      );
      await inbox.accept(CRM, events);
      const rows = await inbox.take(CRM, 0, 100);
      expect(rows.map(({ id, record, values }) => ({ id, record, values }))).toEqual(
        events.map(({ id, record, values }) => ({ id, record, values })),
      );
    });
  });
}

async function seen(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !holds(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(holds()).toBe(true);
}
