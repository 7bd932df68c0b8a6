import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from '@jest/globals';
import { openInbox } from '../../stores/inbox/open.ts';
import { CRM, event } from './inbox-fixture.ts';
import { inboxSuite, type InboxHarness } from './inbox-suite.ts';

const WAITING_MAX = 1_000_000;

async function folder(): Promise<InboxHarness & { path: string }> {
  const root = await mkdtemp(join(tmpdir(), 'inbox-'));
  const path = join(root, 'state', 'inbox.db');
  return {
    path,
    open: ({ waitingMax = WAITING_MAX } = {}) => openInbox({ path, waitingMax }),
    bytes: async () => {
      const names = await readdir(join(root, 'state'));
      return Buffer.concat(await Promise.all(names.map((name) => readFile(join(root, 'state', name)))));
    },
    destroy: () => rm(root, { recursive: true }),
  };
}

inboxSuite('sqlite', folder);

test('only its owner can read it', async () => {
  const { path, open, destroy } = await folder();
  const inbox = await open();
  await inbox.accept(CRM, [event('a')]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(`${path}-wal`)).mode & 0o777).toBe(0o600);
  await inbox.close();
  await destroy();
});

test('an inbox that another process keeps locked is unavailable, and nothing of it was kept', async () => {
  const { path, open, destroy } = await folder();
  const inbox = await open();
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const attempts = await Promise.allSettled([
    inbox.accept(CRM, [event('a')]),
    inbox.accept(CRM, [event('b')]),
  ]);
  for (const one of attempts) expect(one).toMatchObject({ reason: { code: 'INBOX_UNAVAILABLE' } });
  other.exec('ROLLBACK');
  other.close();
  expect(await inbox.take(CRM, 0, 10)).toEqual([]);
  expect(await inbox.accept(CRM, [event('a')])).toMatchObject({ accepted: 1 });
  await inbox.close();
  await destroy();
});

test('callers who come together share a commit, and a lone one is not kept waiting', async () => {
  const { path, open, destroy } = await folder();
  const inbox = await open();
  await inbox.accept(CRM, [event('warm')]);
  const frames = async () => (await stat(`${path}-wal`)).size;
  const before = await frames();
  await Promise.all(Array.from({ length: 200 }, (_, at) => inbox.accept(CRM, [event(`t${at}`)])));
  const together = (await frames()) - before;
  const times: number[] = [];
  for (let at = 0; at < 20; at += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const start = performance.now();
    await inbox.accept(CRM, [event(`l${at}`)]);
    times.push(performance.now() - start);
  }
  // One by one each commit writes some pages of 4 KB: 200 of them are above 3 MB.
  expect(together).toBeLessThan(600_000);
  expect(times.toSorted((left, right) => left - right)[5]).toBeLessThan(20);
  await inbox.close();
  await destroy();
});

test('whoever only looks makes none', async () => {
  const { path, destroy, open } = await folder();
  await expect(openInbox({ path, waitingMax: 1, existing: true })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
  });
  await (await open()).close();
  await (await openInbox({ path, waitingMax: 1, existing: true })).close();
  await destroy();
});
