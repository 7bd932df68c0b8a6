import { describe, expect, test } from '@jest/globals';
import { desiredSchedules, differences, nextTimes } from '../../../cli/schedules.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { KINDS, valid } from '../config/kinds.ts';

function schedules() {
  const parsed = parseConfig(valid(), { file: 'f', home: '/h', kinds: KINDS });
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  return desiredSchedules(parsed.config);
}

test('a connection has an hourly schedule, a paused twin with a buffer of its own, and an audit between the runs', () => {
  const hourly = { connection: 'acme', everyMs: 3_600_000, taskQueue: 'headwater' };
  const shared = { ...hourly, workflow: 'syncConnection', offsetMs: 0, catchupMs: 3_600_000 };
  expect(schedules()).toEqual([
    {
      ...shared,
      id: 'sync/acme',
      jitterMs: 30_000,
      overlap: 'BUFFER_ONE',
      paused: false,
      trigger: 'schedule',
    },
    { ...shared, id: 'backfill/acme', jitterMs: 0, overlap: 'BUFFER_ALL', paused: true, trigger: 'backfill' },
    {
      ...hourly,
      id: 'audit/acme',
      workflow: 'audit',
      offsetMs: 1_800_000,
      jitterMs: 60_000,
      overlap: 'SKIP',
      catchupMs: 60_000,
      paused: false,
      trigger: 'schedule',
    },
  ]);
});

describe('what differs', () => {
  const [wanted] = schedules();
  if (!wanted) throw new Error('there is no schedule');
  test.each([
    ['nothing', {}, []],
    ['the interval', { everyMs: 900_000 }, ['every 15m → 1h']],
    ['several', { overlap: 'SKIP' as const, jitterMs: 0 }, ['jitter 0s → 30s', 'overlap SKIP → BUFFER_ONE']],
    ["an operator's pause stays", { paused: true }, []],
  ])('%s', (_, found, told) => expect(differences(wanted, { ...wanted, ...found })).toEqual(told));

  test('a pause in the configuration is applied', () => {
    expect(differences({ ...wanted, paused: true }, wanted)).toEqual(['running → paused']);
  });
});

test('times are whole intervals after the moment, never the moment itself', () => {
  const nine = Date.parse('2026-11-21T09:00:00.000Z');
  expect(nextTimes(3_600_000, nine, 2)).toEqual(['2026-11-21T10:00:00.000Z', '2026-11-21T11:00:00.000Z']);
  expect(nextTimes(3_600_000, nine - 1, 1)).toEqual(['2026-11-21T09:00:00.000Z']);
});
