import { expect, test } from '@jest/globals';
import { copyLanes, forSink, onEachCopy, tryEachCopy, type Copy } from '../../../activities/copies.ts';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { createLanes } from '../../../activities/lanes.ts';
import { examineSinks } from '../../../activities/plan-copies.ts';
import { publish } from '../../../activities/publish.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { Warehouse } from '../../../warehouses/warehouse.ts';

const AWAY = new HeadwaterError('WAREHOUSE_UNAVAILABLE', 'it does not answer');

function warehouse(name: string, error?: HeadwaterError): Warehouse {
  const sinkState = () =>
    error === undefined ? Promise.resolve({ epoch: name, seq: 0 }) : Promise.reject(error);
  // Only what these steps ask for; anything else is not there and fails.
  return { sinkState, intervals: () => Promise.resolve([]) } as unknown as Warehouse;
}

function copy(sink: string, error?: HeadwaterError): Copy {
  return { sink, lanes: createLanes(), open: () => Promise.resolve(warehouse(sink, error)) };
}

function bench(copies: Copy[], mainError?: HeadwaterError) {
  const told: string[] = [];
  const adopted: string[] = [];
  const dependencies = {
    ...{ sink: 'main', warehouse: warehouse('main', mainError), lanes: createLanes(), copies },
    now: Date.now,
    log: (_: string, message: string, fields: { sink?: string }) =>
      told.push(`${message} ${fields.sink ?? ''}`),
    ledger: {
      sinkState: (sink: string) => Promise.resolve(sink === 'other' ? { epoch: 'before', seq: 3 } : null),
      adoptIntervals: (sink: string) => Promise.resolve(void adopted.push(sink)),
      commitSink: (sink: string) => Promise.resolve(void adopted.push(sink)),
    },
  } as unknown as Dependencies;
  return { dependencies, told, adopted };
}

test('the steps of another sink work with its warehouse, under its name', async () => {
  const { dependencies } = bench([copy('copy')]);
  const there = await forSink(dependencies, 'copy');
  expect([there.sink, there.isCopy, await there.warehouse.sinkState()]).toEqual([
    ...['copy', true],
    { epoch: 'copy', seq: 0 },
  ]);
  expect(await forSink(dependencies, undefined)).toBe(dependencies);
  expect(await forSink(dependencies, 'main')).toBe(dependencies);
  await expect(forSink(dependencies, 'gone')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('I2: what must be everywhere fails with the copy that is away, so that its caller does not go on to the main one; the others have it', async () => {
  const { dependencies } = bench([copy('a'), copy('b', AWAY), copy('c')]);
  const seen: string[] = [];
  const work = async ({ sink, warehouse: at }: Dependencies) => {
    await at.sinkState();
    seen.push(sink);
  };
  await expect(onEachCopy(dependencies, work)).rejects.toBe(AWAY);
  expect(seen).toEqual(['a', 'c']);
});

test('what comes again by itself passes by the copy that is away, and says so', async () => {
  const { dependencies, told } = bench([copy('a'), copy('b', AWAY), copy('c')]);
  const seen: string[] = [];
  await tryEachCopy(dependencies, 'the run', async ({ sink, warehouse: at }) => {
    await at.sinkState();
    seen.push(sink);
  });
  expect(seen).toEqual(['a', 'c']);
  expect(told).toEqual(['the run did not reach a further warehouse b']);
});

test('a plan goes on while one warehouse can be written to, and names the others', async () => {
  const { dependencies } = bench([copy('copy'), copy('gone', AWAY), copy('other')], AWAY);
  const sinks = await examineSinks(dependencies, 'crm');
  expect(sinks.mainAway).toBe(true);
  expect(sinks.copies.map(({ sink }) => sink)).toEqual(['copy']);
  expect(sinks.away).toEqual(['gone']);
  expect(sinks.troubles.map(({ sink, code }) => [sink, code]).toSorted()).toEqual([
    ['gone', 'WAREHOUSE_UNAVAILABLE'],
    ['main', 'WAREHOUSE_UNAVAILABLE'],
    // I7: another warehouse than the ledger remembers is never taken for that one.
    ['other', 'SINK_REWOUND'],
  ]);
});

test('with none that can be written to, or none beside it, the error of the main one ends the plan', async () => {
  await expect(examineSinks(bench([copy('gone', AWAY)], AWAY).dependencies, 'crm')).rejects.toBe(AWAY);
  await expect(examineSinks(bench([], AWAY).dependencies, 'crm')).rejects.toBe(AWAY);
});

test('a copy has a lane of its own; an embedded one shares that of the shaper', async () => {
  const order: string[] = [];
  let free: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (free = resolve));
  const shared = createLanes();
  const busy = shared('warehouse', () => held);
  await copyLanes(shared, createLanes(), false)('warehouse', () => Promise.resolve(void order.push('apart')));
  const shaping = shared('shape', () => held);
  const embedded = copyLanes(
    shared,
    createLanes(),
    true,
  )('warehouse', () => Promise.resolve(void order.push('embedded')));
  await Promise.resolve();
  expect(order).toEqual(['apart']);
  free();
  await Promise.all([busy, shaping, embedded]);
  expect(order).toEqual(['apart', 'embedded']);
});

test('without profiles nothing is published, wherever', async () => {
  expect(await publish(bench([copy('gone', AWAY)]).dependencies)).toBe(0);
});
