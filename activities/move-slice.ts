// Steps 2 to 5 in one activity, for windows of one slice: the same step functions, resumed at the last durable step.
import type { HeadwaterError } from '../rules/errors.ts';
import type { Batch, LoadReceipt } from '../schemas/batch.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { ObjectSummary } from '../schemas/run.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import { commitSink, prove } from './commit.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import { copiesOf, forSink, isAway } from './copies.ts';
import type { Source } from '../sources/source.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { extractSlice } from './extract.ts';
import { loadAll, loadSlice } from './load.ts';
import { beginShape } from './page-parts.ts';
import { idleWindow, landEmpty } from './plan-idle.ts';
import { shapeSlice } from './shape.ts';

/** What the workflow passes: names only. Cursors, schemas and files lie in the ledger and the stage. */
export interface MoveInput {
  connection: string;
  window: string;
  attempt: number;
  slice: number;
  callClass: CallClass;
  /** A further warehouse that the window, which is staged, lands in; absent: the main one. */
  sink?: string;
  /** Ends when the window is staged and proven: of several warehouses each lands it at its own pace. */
  stageOnly?: boolean;
  /** Set when an operator said that the source may have far fewer rows. */
  allowShrink?: boolean;
}

/** Runs one step with its time taken. */
async function timed<T>(stepMs: Record<string, number>, name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    return await work();
  } finally {
    stepMs[name] = Math.round(performance.now() - startedMs);
  }
}

export interface Steps {
  moveSlice(input: MoveInput): Promise<ObjectSummary>;
  extract(input: MoveInput): Promise<{ rows: number; bytes: number }>;
  shape(input: MoveInput): Promise<{ rows: number; quarantined: number }>;
  /** Null: this one of several warehouses is away; `commit` looks again. */
  load(input: MoveInput): Promise<LoadReceipt | null>;
  commit(input: Omit<MoveInput, 'slice'>): Promise<ObjectSummary>;
}

type Open = (input: Omit<MoveInput, 'slice'>) => Promise<{
  settings: ConnectionSettings;
  source: Source;
  progress: WindowProgress;
}>;

export function createSteps(dependencies: Dependencies, sources: OpenSources): Steps {
  const { ledger } = dependencies;
  const open: Open = async (input) => ({
    settings: connectionSettings(dependencies, input.connection),
    source: await sources.source(input.connection, input.callClass),
    progress: claimed(await ledger.progress(input.window), input.attempt),
  });
  /** A slice whose pages were of no use has been given back: it is extracted again before it is shaped. */
  const shaped = async (input: MoveInput): Promise<Batch> => {
    const { settings, source, progress } = await open(input);
    await extractSlice(dependencies, source, progress, input.slice);
    const { progress: extracted } = await open(input);
    return shapeSlice(dependencies, settings, extracted, input.slice);
  };
  return {
    moveSlice: (input) => moveWhole(dependencies, input, open),
    async extract(input) {
      const { source, progress } = await open(input);
      return timed({}, 'extract', () => extractSlice(dependencies, source, progress, input.slice));
    },
    async shape(input) {
      const batch = await timed({}, 'shape', () => shaped(input));
      return { rows: batch.counts.shaped, quarantined: batch.counts.quarantined };
    },
    async load(input) {
      return timed({}, 'load', async () => {
        const batch = await shaped(input);
        const { settings, progress } = await open(input);
        try {
          return await loadSlice(await forSink(dependencies, input.sink), settings, progress, batch);
        } catch (error) {
          if (waitsForNobody(dependencies, error)) return null;
          throw error;
        }
      });
    },
    async commit(input) {
      const startedMs = performance.now();
      const seconds = () => (performance.now() - startedMs) / 1000;
      const idle = await idleWindow(dependencies, input);
      if (idle !== null) {
        const { window, receipt } = idle;
        return landed(dependencies, receipt, seconds, undefined, async () => {
          await landEmpty(await forSink(dependencies, input.sink), input.connection, [window]);
          return { receipt, loads: [] };
        });
      }
      const { settings, source, progress } = await open(input);
      const proof = await prove(dependencies, settings, source, progress);
      if (input.stageOnly === true) return staged(proof.receipt, seconds(), undefined);
      return landed(dependencies, proof.receipt, seconds, undefined, async () => {
        const at = await forSink(dependencies, input.sink);
        const loads = await loadAll(at, settings, proof.progress);
        const { receipt } = proof;
        return {
          loads,
          receipt: await commitSink(at, source, proof.progress, receipt, input.allowShrink === true),
        };
      });
    },
  };
}

/** All steps of a window of one slice; pages are shaped while later ones arrive. */
async function moveWhole(dependencies: Dependencies, input: MoveInput, open: Open): Promise<ObjectSummary> {
  const stepMs: Record<string, number> = {};
  const startedMs = performance.now();
  const { settings, source, progress } = await open(input);
  const early = beginShape(dependencies, progress);
  try {
    await timed(stepMs, 'extract', () =>
      extractSlice(dependencies, source, progress, input.slice, early.add),
    );
    const { progress: extracted } = await open(input);
    await timed(stepMs, 'shape', async () =>
      shapeSlice(dependencies, settings, extracted, input.slice, await early.parts()),
    );
  } finally {
    await early.stop();
  }
  const { progress: shaped } = await open(input);
  const proof = await timed(stepMs, 'prove', () => prove(dependencies, settings, source, shaped));
  const seconds = () => (performance.now() - startedMs) / 1000;
  if (input.stageOnly === true) return staged(proof.receipt, seconds(), stepMs);
  return landed(dependencies, proof.receipt, seconds, stepMs, async () => {
    const at = await forSink(dependencies, input.sink);
    const loads = await timed(stepMs, 'load', () => loadAll(at, settings, proof.progress));
    const receipt = await timed(stepMs, 'commit', () =>
      commitSink(at, source, proof.progress, proof.receipt, input.allowShrink === true),
    );
    return { loads, receipt };
  });
}

/**
 * The only warehouse is waited for, try by try. One of several that is away holds up nobody: the window is staged and proven, and
 * is delivered later.
 */
function waitsForNobody(dependencies: Dependencies, error: unknown): error is HeadwaterError {
  return copiesOf(dependencies).length > 0 && isAway(error);
}

async function landed(
  dependencies: Dependencies,
  proven: Receipt,
  seconds: () => number,
  stepMs: Record<string, number> | undefined,
  land: () => Promise<{ receipt: Receipt; loads: LoadReceipt[] }>,
): Promise<ObjectSummary> {
  try {
    const { receipt, loads } = await land();
    return summarize(receipt, loads, seconds(), stepMs);
  } catch (error) {
    if (!waitsForNobody(dependencies, error)) throw error;
    const { code, message } = error;
    return { ...staged(proven, seconds(), stepMs), code, message };
  }
}

function staged(proven: Receipt, seconds: number, stepMs: Record<string, number> | undefined): ObjectSummary {
  return { ...summarize(proven, [], seconds, stepMs), state: 'staged' };
}

/** I3: a step of an older attempt than the ledger's works with what the newer one has; the ledger refuses its writes. */
function claimed(progress: WindowProgress, attempt: number): WindowProgress {
  return { ...progress, window: { ...progress.window, attempt } };
}

/**
 * What is in the recycle bin comes twice, as a row with the flag and as a tombstone. A partial window passes by every deleted
 * row there is; only what it found gone is news.
 */
function deletedBy({ transport, destination, fields }: Receipt): number {
  const retired = destination?.retired ?? 0;
  return fields === undefined ? Math.max(transport.deleted, transport.tombstones) + retired : retired;
}

function summarize(
  receipt: Receipt,
  loads: LoadReceipt[],
  seconds: number,
  stepMs: Record<string, number> | undefined,
): ObjectSummary {
  const total = (pick: (load: LoadReceipt) => number) => loads.reduce((sum, load) => sum + pick(load), 0);
  return {
    object: receipt.object,
    window: receipt.window,
    from: receipt.from,
    until: receipt.until,
    state: 'landed',
    rows: receipt.transport.received,
    inserted: total((load) => load.inserted),
    updated: total((load) => load.updated),
    unchanged: total((load) => load.unchanged),
    deleted: deletedBy(receipt),
    quarantined: receipt.transport.quarantined,
    verdict: receipt.verdict,
    seconds: Math.round(seconds * 100) / 100,
    ...(stepMs === undefined ? {} : { stepMs }),
  };
}
