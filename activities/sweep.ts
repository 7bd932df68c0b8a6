// After a run: staged files that no one needs any more are removed, landed windows first.
import { decideRemovals } from '../rules/retention.ts';
import { fromMs } from '../rules/time.ts';
import type { Dependencies } from './dependencies.ts';

/** Windows that are looked up to find out whether their files are still needed. */
const WINDOWS_MAX = 100_000;
/** Sweeping looks at every staged file: once in this time per worker is enough. */
const SWEEP_EVERY_MS = 10 * 60_000;

/** Never fails a run: what could not be removed is removed after the next one. */
export function stageSweeper(dependencies: Dependencies): () => Promise<void> {
  let sweptMs = 0;
  return async () => {
    const nowMs = dependencies.now();
    if (nowMs - sweptMs < SWEEP_EVERY_MS) return;
    sweptMs = nowMs;
    try {
      const removed = await sweep(dependencies, nowMs);
      if (removed > 0) dependencies.log('info', `removed the staged files of ${removed} windows`);
    } catch (error) {
      const reason = error instanceof Error ? error.name : 'unknown';
      dependencies.log('warn', 'the stage could not be swept', { reason });
    }
  };
}

async function sweep(dependencies: Dependencies, nowMs: number): Promise<number> {
  const { ledger, stage, sink, retention } = dependencies;
  const usage = await stage.usage();
  if (usage.length === 0) return 0;
  const applied = new Set<string>();
  const open = new Set<string>();
  for (const connection of dependencies.connections.keys()) {
    const waiting = new Set((await ledger.undelivered(sink, connection)).map((window) => window.id));
    for (const window of await ledger.windows({ connection, limit: WINDOWS_MAX })) {
      if (window.state === 'open') open.add(window.id);
      else if (!waiting.has(window.id)) applied.add(window.id);
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
  return removals.length;
}
