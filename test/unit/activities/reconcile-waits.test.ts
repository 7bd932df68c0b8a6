import { expect, test } from '@jest/globals';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { NO_GOLDEN, reconcile } from '../../../activities/reconcile.ts';
import { ORIGIN } from '../../../schemas/instant.ts';

const window = (id: string, object: string, from: string) => ({ id, object, from, attempt: 1, slices: [] });

/** What the claims are owed, and of it what the main warehouse lacks. */
function bench(owed: ReturnType<typeof window>[], lacking: string[], stamp: string | null) {
  const begun: string[] = [];
  const dependencies = {
    sink: 'main',
    profiles: { claims: { sinkState: () => Promise.resolve({ epoch: 'e', seq: 0 }) } },
    ledger: {
      sinkState: () => Promise.resolve(null),
      undelivered: (sink: string) =>
        Promise.resolve(sink === 'main' ? owed.filter(({ id }) => lacking.includes(id)) : owed),
      progress: (id: string) => {
        // The first look is for the wait, the second begins the window.
        if (begun.includes(id)) return Promise.reject(new Error(`begins ${id}`));
        begun.push(id);
        return Promise.resolve({ schema: { stamp }, slices: [] });
      },
    },
  } as unknown as Dependencies;
  return dependencies;
}

const LATER = '2026-11-20T08:00:00.000Z';
const input = { connection: 'crm', backfill: false };

test('I2: a whole read that the main warehouse lacks waits for it, and what came later of the same object with it', async () => {
  const owed = [window('whole', 'Contact', ORIGIN), window('later', 'Contact', LATER)];
  expect(await reconcile(bench(owed, ['whole'], 'updated'), input)).toEqual(NO_GOLDEN);
});

test('an object without a stamp is compared whole each time, so each of its windows waits', async () => {
  expect(await reconcile(bench([window('ids', 'Lot', LATER)], ['ids'], null), input)).toEqual(NO_GOLDEN);
});

test('other objects, and windows of changes alone, wait for nobody', async () => {
  const other = [window('whole', 'Contact', ORIGIN), window('lead', 'Lead', LATER)];
  await expect(reconcile(bench(other, ['whole'], 'updated'), input)).rejects.toThrow('begins lead');
  const changes = [window('changes', 'Contact', LATER)];
  await expect(reconcile(bench(changes, ['changes'], 'updated'), input)).rejects.toThrow('begins changes');
});
