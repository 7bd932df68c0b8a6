// After a run: staged files, and old windows, receipts and runs that no one needs any more are removed.
import { decideRemovals, factsBefore } from '../rules/retention.ts';
import { fromMs } from '../rules/time.ts';
import { copiesOf, inTime, tryEachCopy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { overdueEraser } from './erase-retention.ts';

/** Windows that are looked up to find out whether their files are still needed. */
const WINDOWS_MAX = 100_000;
/** Sweeping looks at every staged file: once in this time per worker is enough. */
const SWEEP_EVERY_MS = 10 * 60_000;
/** Rows of each kind that one sweep removes from the ledger and from each table of the warehouse; the next one goes on. */
const FACTS_ROWS_MAX = 2_000;
/** One of several that still lands is swept after that: no run waits for it. */
const PRUNE_MS_MAX = 10_000;
/** Rows of the outbox that one sweep looks at; the next one goes on. */
const OUTBOX_ROWS_MAX = 100_000;

/** Never fails a run: what could not be removed is removed after the next one. */
export function sweeper(dependencies: Dependencies): () => Promise<void> {
  let sweptMs = 0;
  const eraseOverdue = overdueEraser(dependencies);
  const attempt = async (what: string, work: () => Promise<string>) => {
    try {
      const told = await work();
      if (told !== '') dependencies.log('info', told);
    } catch (error) {
      const reason = error instanceof Error ? error.name : 'unknown';
      dependencies.log('warn', `${what} could not be swept`, { reason });
    }
  };
  return async () => {
    const nowMs = dependencies.now();
    if (nowMs - sweptMs < SWEEP_EVERY_MS) return;
    sweptMs = nowMs;
    await attempt('the stage', () => sweepStage(dependencies, nowMs));
    await attempt('the ledger', () => pruneFacts(dependencies, nowMs));
    await attempt('the outbox', () => pruneOutbox(dependencies));
    await attempt('old records', () => eraseOverdue(nowMs));
  };
}

async function pruneOutbox({ profiles }: Dependencies): Promise<string> {
  const rows = (await profiles?.claims.prune(OUTBOX_ROWS_MAX)) ?? 0;
  return rows === 0 ? '' : `removed ${rows} rows of the outbox that newer ones replace`;
}

async function sweepStage(dependencies: Dependencies, nowMs: number): Promise<string> {
  const { ledger, stage, sink, retention } = dependencies;
  const sinks = [sink, ...copiesOf(dependencies).map((copy) => copy.sink)];
  const usage = await stage.usage();
  if (usage.length === 0) return '';
  const applied = new Set<string>();
  const open = new Set<string>();
  for (const connection of dependencies.connections.keys()) {
    const waiting = new Set<string>();
    for (const one of sinks) for (const { id } of await ledger.undelivered(one, connection)) waiting.add(id);
    for (const { id } of await ledger.openWindows(connection)) open.add(id);
    for (const { id } of await ledger.windows({ connection, limit: WINDOWS_MAX })) {
      if (!waiting.has(id) && !open.has(id)) applied.add(id);
    }
  }
  const removals = decideRemovals(usage, {
    applied,
    open,
    now: fromMs(nowMs),
    ageMsMax: retention.keepMs,
    bytesMax: retention.bytesMax,
  });
  for (const window of removals) await stage.remove(window);
  return removals.length === 0 ? '' : `removed the staged files of ${removals.length} windows`;
}

/** The ledger first: what it no longer names, nobody will ask the warehouse for. */
async function pruneFacts(dependencies: Dependencies, nowMs: number): Promise<string> {
  const { ledger, warehouse, lanes, sink, retention } = dependencies;
  const before = factsBefore(fromMs(nowMs), retention.factsMs, retention.keepMs);
  const { windows, runs } = await ledger.prune({ sink, before, rowsMax: FACTS_ROWS_MAX });
  const isOne = copiesOf(dependencies).length === 0;
  const prune = () => lanes('warehouse', () => warehouse.prune(before, FACTS_ROWS_MAX));
  const rows = await (isOne ? prune() : inTime(sink, PRUNE_MS_MAX, prune));
  await tryEachCopy(dependencies, 'the removal of old facts', (copy) =>
    inTime(copy.sink, PRUNE_MS_MAX, () =>
      copy.lanes('warehouse', () => copy.warehouse.prune(before, FACTS_ROWS_MAX)),
    ),
  );
  if (windows + runs + rows === 0) return '';
  return `removed ${windows} windows, ${runs} runs and ${rows} rows of _headwater from before ${before}`;
}
