import { expect, test } from '@jest/globals';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { takeEvidence } from '../../../activities/explain.ts';

type Given = Parameters<typeof takeEvidence>;

const FROM = '2026-11-20T08:00:00.000Z';
const UNTIL = '2026-11-20T09:00:00.000Z';

/** Counts in the order in which they are asked for, the last for ever; lists of so many ids, each of them read. */
function evidence(counts: number[], listed: number, read: number) {
  const dependencies = {
    now: () => Date.parse(UNTIL),
    shaper: { absentKeys: () => Promise.resolve([]) },
  } as unknown as Given[0];
  const source = {
    count: () => Promise.resolve((counts.length > 1 ? counts.shift() : counts[0]) ?? 0),
    async *stamps(_schema: unknown, interval: { from: string }) {
      if (interval.from === UNTIL) return;
      yield Array.from({ length: listed }, (_, id) => ({ id: String(id), stamp: FROM }));
    },
  } as unknown as Given[1];
  const progress = {
    window: { id: 'w', object: 'Contact', from: FROM, until: UNTIL },
    schema: { key: 'Id', fields: [] },
    slices: [],
  } as unknown as Given[2];
  const context = {
    cancellationSignal: new AbortController().signal,
    heartbeat: () => {},
  } as unknown as Context;
  return asyncLocalStorage.run(context, () => takeEvidence(dependencies, source, progress, read));
}

test('a list of ids that is cut like the read does not prove it', async () => {
  await expect(evidence([600], 597, 597)).rejects.toMatchObject({ code: 'RECEIPT_SOURCE' });
  await expect(evidence([600], 0, 0)).rejects.toMatchObject({ code: 'RECEIPT_SOURCE' });
});

test('while rows leave the window, a list between two counts is believed', async () => {
  expect(await evidence([598, 598, 600, 598], 599, 600)).toEqual({ after: 599, moved: 1, lateIds: [] });
});
