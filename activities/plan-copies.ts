// Part of plan: what the further warehouses lack, and whether they can be reached.
import { HeadwaterError } from '../rules/errors.ts';
import type { SinkTrouble } from '../schemas/run.ts';
import type { IntervalRow } from '../warehouses/warehouse.ts';
import { copiesOf, forCopy, inTime, isAway, isBusy, type Copy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { compareSink } from './sink.ts';

/** A copy that does not answer within this long is behind; the run goes on without it. */
const ANSWER_MS_MAX = 10_000;
/** The main one may have to wake up first. */
const MAIN_ANSWER_MS_MAX = 30_000;
/** A main warehouse that is still landing what an earlier run staged is waited for as long before a plan does without it. */
const MAIN_LANE_MS_MAX = 2_000;

export interface Sinks {
  /** The main warehouse does not answer, or is busy for longer; the copies go on without it. */
  mainAway: boolean;
  /** Copies that can be written to. */
  copies: readonly Copy[];
  /** Names of the copies that do not answer. */
  away: string[];
  troubles: SinkTrouble[];
}

/** One warehouse: its error is the plan's. Several: the plan goes on while one of them can be written to. */
export async function examineSinks(dependencies: Dependencies, connection: string): Promise<Sinks> {
  if (copiesOf(dependencies).length === 0) {
    await compareSink(dependencies, connection);
    return { mainAway: false, copies: [], away: [], troubles: [] };
  }
  const [main, { well, away, troubles }] = await Promise.all([
    inTime(dependencies.sink, MAIN_ANSWER_MS_MAX, () => compareSink(dependencies, connection)).then(
      () => null,
      (error: unknown) => error,
    ),
    examineCopies(dependencies, connection),
  ]);
  if (main === null)
    return { mainAway: await isBusy(dependencies, MAIN_LANE_MS_MAX), copies: well, away, troubles };
  if (!isAway(main) || well.length === 0) throw main;
  return { mainAway: true, copies: well, away, troubles: [troubleOf(dependencies.sink, main), ...troubles] };
}

/** Copies that can be reached and hold what the ledger remembers, and the others with the reason. */
async function examineCopies(
  dependencies: Dependencies,
  connection: string,
): Promise<{ well: Copy[]; away: string[]; troubles: SinkTrouble[] }> {
  const well: Copy[] = [];
  const away: string[] = [];
  const troubles: SinkTrouble[] = [];
  await Promise.all(
    copiesOf(dependencies).map(async (copy) => {
      try {
        await inTime(copy.sink, ANSWER_MS_MAX, async () =>
          compareSink(await forCopy(dependencies, copy), connection),
        );
        well.push(copy);
      } catch (error) {
        troubles.push(troubleOf(copy.sink, error));
        if (isAway(error)) away.push(copy.sink);
      }
    }),
  );
  return { well, away, troubles };
}

/** Windows without rows: their interval rows are all that there is to land. What fails here is delivered later. */
export async function settleCopies(
  dependencies: Dependencies,
  copies: readonly Copy[],
  rows: IntervalRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await Promise.all(
    copies.map(async (copy) => {
      try {
        await inTime(copy.sink, ANSWER_MS_MAX, async () => {
          const { warehouse, lanes, ledger, sink } = await forCopy(dependencies, copy);
          const state = await lanes('warehouse', () => warehouse.closeWindows(rows));
          await ledger.commitSink(sink, rows.map(withoutReceipt), state);
        });
      } catch (error) {
        const { code, sink } = troubleOf(copy.sink, error);
        dependencies.log('warn', 'empty windows wait for a further warehouse', { sink, code });
      }
    }),
  );
}

/** The ledger's receipt tells of the main warehouse; a copy has its own in its interval rows. */
export function withoutReceipt({ window, attempt }: IntervalRow): { window: string; attempt: number } {
  return { window, attempt };
}

/** Copies that a run has to bring up to date: all when windows moved, else those that wait for some. */
export async function copiesToDeliver(
  { ledger }: Dependencies,
  copies: readonly Copy[],
  connection: string,
  windowsMove: boolean,
): Promise<string[]> {
  const waiting: string[] = [];
  for (const { sink } of copies) {
    if (windowsMove || (await ledger.undelivered(sink, connection)).length > 0) waiting.push(sink);
  }
  return waiting;
}

function troubleOf(sink: string, error: unknown): SinkTrouble {
  if (error instanceof HeadwaterError) return { sink, code: error.code, message: error.message };
  return { sink, code: 'INTERNAL', message: 'an unexpected error' };
}
