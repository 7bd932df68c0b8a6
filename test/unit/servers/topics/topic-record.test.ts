import { expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Topic } from '../../../../schemas/topic.ts';
import { TopicRecord } from '../../../../servers/topics/topic-record.ts';
import type { Inbox } from '../../../../stores/inbox/inbox.ts';

/** An inbox of which only the topics are used. */
function opened(keepTopic: (topic: Topic) => Promise<void>) {
  const inbox: Pick<Inbox, 'topics' | 'keepTopic'> = { topics: () => Promise.resolve([]), keepTopic };
  return TopicRecord.open(inbox, 'crm', '/data/ChangeEvents');
}

test('changes are written in their order, however long each takes, and a failed one is in the next', async () => {
  const written: (string | null)[] = [];
  const { record, isNew } = await opened(async ({ position }) => {
    await sleep(position === 'a' ? 30 : 1);
    if (position === 'b') throw new Error('full');
    written.push(position);
  });
  expect(isNew).toBe(true);
  const results = await Promise.allSettled(['a', 'b', 'c'].map((position) => record.update({ position })));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(written).toEqual(['a', 'c']);
});

test('what is noted is written together, moments later, or with the next change', async () => {
  const written: Topic[] = [];
  const { record } = await opened((topic) => Promise.resolve(void written.push(topic)));
  for (const position of ['a', 'b', 'c']) record.note({ position });
  await sleep(400);
  expect(written.map(({ position }) => position)).toEqual(['c']);
  record.note({ position: 'd' });
  await record.update({ trouble: 'X' });
  await sleep(400);
  expect(written.map(({ position, trouble }) => [position, trouble])).toEqual([
    ['c', null],
    ['d', 'X'],
  ]);
});

test('debts are joined: all objects hold any, and the later moment counts', async () => {
  const { record } = await opened(() => Promise.resolve());
  const [early, late] = ['2026-11-21T08:00:00.000Z', '2026-11-21T09:00:00.000Z'] as const;
  expect(record.owing(['A'], early)).toEqual({ objects: ['A'], at: early });
  await record.update({ owed: { objects: ['A'], at: late } });
  expect(record.owing(['B', 'A'], early)).toEqual({ objects: ['A', 'B'], at: late });
  expect(record.owing('all', early)).toEqual({ objects: 'all', at: late });
  await record.update({ owed: { objects: 'all', at: early } });
  expect(record.owing(['B'], late)).toEqual({ objects: 'all', at: late });
});
