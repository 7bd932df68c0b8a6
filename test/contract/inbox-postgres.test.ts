import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openInbox } from '../../stores/inbox/open.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { CRM, event } from './inbox-fixture.ts';
import { inboxSuite } from './inbox-suite.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});

function world() {
  const place = { kind: 'postgres' as const, url: postgres.url, schema: postgres.newSchema() };
  const open = async ({ waitingMax = 1_000_000 } = {}) =>
    await openInbox({ place, path: '/none', waitingMax });
  // What a Postgres keeps of a row that was deleted is for its vacuum.
  return { open, bytes: async () => Buffer.alloc(0), destroy: async () => {} };
}

inboxSuite('postgres', async () => world());

test('I2: a server that is killed at any moment has what was acknowledged; it is unavailable meanwhile, and found again', async () => {
  const inbox = await world().open();
  const acknowledged: string[] = [];
  let refused = 0;
  let until = performance.now() + 600;
  const lane = async (name: string) => {
    for (let at = 0; performance.now() < until; at += 1) {
      const id = `${name}-${at}`;
      await inbox.accept(CRM, [event(id)]).then(
        () => acknowledged.push(id),
        (error: { code: string }) => {
          expect(error.code).toBe('INBOX_UNAVAILABLE');
          refused += 1;
        },
      );
    }
  };
  const lanes = ['a', 'b', 'c', 'd'].map(lane);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await postgres.kill();
  await expect(inbox.accept(CRM, [event('away')])).rejects.toMatchObject({ code: 'INBOX_UNAVAILABLE' });
  await Promise.all(lanes);
  await postgres.restart();
  until = Infinity;
  const there = new Set((await inbox.take(CRM, 0, 100_000)).map(({ id }) => id));
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(refused).toBeGreaterThan(0);
  const before = inbox.revision();
  expect((await inbox.accept(CRM, [event('back')])).accepted).toBe(1);
  expect(inbox.revision()).not.toBe(before);
  await inbox.close();
});
