import { expect, test } from '@jest/globals';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { countArrivals, noteArrivals, noteHeard, pollReason } from '../../../activities/inbox-poll.ts';
import type { Window } from '../../../schemas/window.ts';
import type { ShapedRow } from '../../../shaper/shaper.ts';
import { windowOf } from '../../contract/warehouse-fixture.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.parse('2026-11-20T08:00:00.000Z');
const at = (minutes: number) => new Date(START_MS + minutes * MINUTE_MS).toISOString();

function bench({ quietAfterMs = null as number | null, waiting = 0 } = {}) {
  const meta = new Map<string, string>();
  const clock = { minutes: 0 };
  const told: string[] = [];
  const trust: { quiet: boolean; missed: number }[] = [];
  const state = { connection: 'crm', waiting, parked: 0, oldestAt: null, lastAt: null };
  const dependencies = {
    connections: new Map([
      ['crm', { name: 'crm', webhooks: { landEveryMs: 1, quietAfterMs, pollEveryMs: 5 * MINUTE_MS } }],
    ]),
    ledger: {
      meta: (key: string) => Promise.resolve(meta.get(key) ?? null),
      setMeta: (key: string, value: string) => Promise.resolve(void meta.set(key, value)),
    },
    fast: { inbox: { states: () => Promise.resolve([state]) } },
    now: () => START_MS + clock.minutes * MINUTE_MS,
    log: (_: string, message: string) => void told.push(message),
  } as unknown as Dependencies;
  const reason = (lastMinutes: number | null) =>
    pollReason(dependencies, 'crm', lastMinutes === null ? null : at(lastMinutes), START_MS, {
      noteTrust: (one) => void trust.push(one),
    });
  return { dependencies, clock, told, trust, reason };
}

const window = (from: number, more: Partial<Window> = {}): Window =>
  windowOf('w', { connection: 'crm', from: at(from), until: at(from + 60), ...more });

test('a connection that is quiet for longer than it may be is polled every so often, until an event comes', async () => {
  const { clock, trust, reason } = bench({ quietAfterMs: 10 * MINUTE_MS });
  clock.minutes = 9;
  expect(await reason(null)).toBeNull();
  clock.minutes = 10;
  expect(await reason(null)).toBe('quiet');
  clock.minutes = 14;
  expect(await reason(null)).toBeNull();
  clock.minutes = 15;
  expect(await reason(3)).toBe('quiet');
  clock.minutes = 30;
  expect(await reason(29)).toBeNull();
  // Told each time, whether or not it is time for a poll.
  expect(trust.map(({ quiet }) => quiet)).toEqual([false, true, true, true, false]);
});

test('without quietAfter silence says nothing', async () => {
  const { clock, reason } = bench();
  clock.minutes = 10_000;
  expect(await reason(null)).toBeNull();
});

test('changes that no webhook brought are told, and polled for until a poll finds that all had come', async () => {
  const { dependencies, clock, told, reason } = bench();
  await noteHeard(dependencies, 'crm', 'Contact');
  clock.minutes = 65;
  await noteArrivals(dependencies, window(1), { brought: 3, unheard: 2 }, 2);
  expect(told).toEqual(['a poll found changes that no webhook brought']);
  expect(await reason(64)).toBe('missed');
  expect(await reason(64)).toBeNull();
  clock.minutes = 70;
  await noteArrivals(dependencies, window(61), { brought: 0, unheard: 0 }, 0);
  expect(await reason(69)).toBe('missed');
  await noteArrivals(dependencies, window(66), { brought: 4, unheard: 0 }, 0);
  clock.minutes = 80;
  expect(await reason(69)).toBeNull();
});

test.each<[string, Window, number, number]>([
  ['an object whose events never came', window(1, { object: 'Lead' }), 1, 0],
  ['a window that began before its events came', window(-1), 1, 0],
  ['a backfill', window(1, { kind: 'past' }), 1, 0],
  ['a few fields of all records', window(1, { fields: ['Title'] }), 1, 0],
  ['versions that changed no profile', window(1), 0, 0],
  ['events that wait to be read', window(1), 1, 1],
])('nothing is said of %s', async (_, of, profiles, waiting) => {
  const { dependencies, told } = bench({ waiting });
  await noteHeard(dependencies, 'crm', 'Contact');
  await noteArrivals(dependencies, of, { brought: 0, unheard: 5 }, profiles);
  expect(told).toEqual([]);
});

test('only new versions count that an event had time to bring', () => {
  const row = (version: number): ShapedRow => ({
    ...{ record: String(version), hash: '1', version: at(version), confirmedAt: at(60) },
    ...{ deleted: false, values: () => [] },
  });
  const rows = [row(-1), row(10), row(20), row(59.5)];
  const arrivals = { brought: 0, unheard: 0 };
  const [, second] = rows;
  if (second !== undefined) countArrivals(arrivals, window(0), rows, new Set([second]));
  expect(arrivals).toEqual({ brought: 1, unheard: 1 });
});
