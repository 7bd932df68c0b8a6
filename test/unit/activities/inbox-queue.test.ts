import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InboxQueue } from '../../../activities/inbox-queue.ts';
import type { Inbox } from '../../../stores/inbox/inbox.ts';
import { openSqliteInbox } from '../../../stores/inbox/sqlite.ts';
import { changed } from '../../support/fast-lane.ts';

let folder: string;
let inbox: Inbox;
let queue: InboxQueue;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-queue-'));
  inbox = await openSqliteInbox({ path: join(folder, 'inbox.db'), waitingMax: 1_000 });
  queue = new InboxQueue(inbox, 'crm');
});
afterEach(async () => {
  await inbox.close();
  await rm(folder, { recursive: true });
});

const accept = (...records: string[]) =>
  inbox.accept(
    'crm',
    records.map((record) => changed('Contact', record)),
  );
async function take(nowMs = 0, limit = 10) {
  return (await queue.take(limit, nowMs)).map(({ record }) => record);
}

test('each event is taken once, in order, as it comes', async () => {
  await accept('a', 'b', 'c');
  expect(await take(0, 2)).toEqual(['a', 'b']);
  expect(await take(0, 2)).toEqual(['c']);
  expect(await take()).toEqual([]);
  await accept('d');
  expect(await take()).toEqual(['d']);
});

test('another process that accepts is noticed', async () => {
  expect(await take()).toEqual([]);
  const other = await openSqliteInbox({ path: join(folder, 'inbox.db'), waitingMax: 1_000 });
  await other.accept('crm', [changed('Contact', 'a')]);
  await other.close();
  expect(await take()).toEqual(['a']);
});

test('what failed comes again when it is due, and nothing that is at work meanwhile', async () => {
  const { positions } = await accept('a', 'b', 'c');
  await take();
  queue.again([positions[1] ?? 0], 1_000);
  await accept('d');
  expect(await take(500)).toEqual(['d']);
  expect(await take(1_000)).toEqual(['b']);
  queue.again([positions[1] ?? 0], 3_000);
  queue.again([positions[2] ?? 0], 2_000);
  expect(await take(2_000)).toEqual(['c']);
  expect(await take(3_000)).toEqual(['b']);
});

test('what was passed over is not read again before its time, however much it is', async () => {
  const { positions } = await accept('a', 'b', 'c', 'd');
  expect(await take(0, 2)).toEqual(['a', 'b']);
  queue.pass(positions.slice(0, 2), 1_000);
  expect(await take(500)).toEqual(['c', 'd']);
  queue.pass(positions.slice(2), 1_000);
  expect(await take(900)).toEqual([]);
  expect(await take(1_000, 2)).toEqual(['a', 'b']);
  // Still in vain: the others are not even looked at before the next time.
  queue.pass(positions.slice(0, 2), 2_000);
  expect(await take(1_500)).toEqual([]);
  expect(await take(2_000)).toEqual(['a', 'b', 'c', 'd']);
});

test('what is done may be accepted, and fail, without coming back', async () => {
  const { positions } = await accept('a');
  await take();
  await inbox.settle('crm', positions);
  queue.done(positions);
  expect(queue.busy).toBe(0);
  expect(await take(10_000)).toEqual([]);
});

test('claimed events count as dealt with for whoever waits, and are taken again by the next worker', async () => {
  const { positions } = await accept('a', 'b');
  await inbox.claimed('crm', positions.slice(0, 1));
  expect(await inbox.settled('crm', positions.slice(0, 1))).toBe(true);
  expect(await inbox.settled('crm', positions)).toBe(false);
  const later = new Date(Date.now() + 60_000).toISOString();
  expect((await inbox.unread('crm', later, 10)).map(({ record }) => record)).toEqual(['b']);
  expect(await take()).toEqual(['a', 'b']);
  await inbox.fail('crm', positions.slice(1), 'SOURCE_REJECTED', 1);
  expect(await inbox.troubles('crm')).toEqual([
    { object: 'Contact', reason: 'SOURCE_REJECTED', waiting: 0, parked: 1 },
  ]);
});

test('parked events that somebody lets wait again are taken, and nothing that is at work', async () => {
  const { positions } = await accept('a', 'b');
  await take();
  await inbox.fail('crm', positions.slice(0, 1), 'OBJECT_UNKNOWN', 1);
  queue.done(positions.slice(0, 1));
  queue.recheck(1);
  expect(await take()).toEqual([]);
  await inbox.retry('crm');
  queue.recheck(2);
  expect(await take()).toEqual(['a']);
});
