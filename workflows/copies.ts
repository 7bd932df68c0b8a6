// Part of a run: brings further warehouses up to date, each by a workflow of its own, and says which of them stays behind.
import { ParentClosePolicy, sleep, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Tuning } from '../schemas/inputs.ts';
import type { RunSummary, SinkTrouble } from '../schemas/run.ts';
import { CONNECTION, PHASE } from './attributes.ts';
import { deliverCopy } from './deliver-copy.ts';
import { troubleOf } from './failures.ts';

interface Limits {
  /** Left for the run, ms. */
  deadlineMs: number | null;
  allowShrink?: boolean | undefined;
  tuning: Tuning | undefined;
}

/** Of several warehouses, what the plans of one run found out. */
export class Copies {
  readonly #deliver = new Set<string>();
  readonly #away = new Set<string>();
  readonly #troubles = new Map<string, SinkTrouble>();

  note(planned: { deliver?: string[]; await?: string[]; troubles?: SinkTrouble[] }): void {
    const { deliver = [], await: away = [], troubles = [] } = planned;
    for (const sink of away) this.#away.add(sink);
    for (const sink of deliver) this.#deliver.add(sink);
    for (const trouble of troubles) this.#troubles.set(trouble.sink, trouble);
  }

  /**
   * All at once; each is awaited until it lacks nothing, does not land, or the run's time is over. What is left is landed by a workflow
   * that no run waits for. A run whose windows are all proven is `behind` then, never failed.
   */
  async settle(run: RunSummary, limits: Limits): Promise<void> {
    const behind = [...this.#troubles.values()].filter(({ sink }) => !this.#deliver.has(sink));
    for (const sink of this.#away)
      if (!this.#deliver.has(sink)) await start(run.connection, sink, false, limits);
    const landed = await Promise.all(
      [...this.#deliver].map((sink) => deliverInTime(run.connection, sink, limits)),
    );
    for (const trouble of landed) if (trouble !== null) behind.push(trouble);
    if (behind.length > 0) run.behind = behind.sort((a, b) => (a.sink < b.sink ? -1 : 1));
  }
}

async function deliverInTime(connection: string, sink: string, limits: Limits): Promise<SinkTrouble | null> {
  try {
    const child = await start(connection, sink, true, limits);
    if (child === null)
      return {
        sink,
        code: 'WINDOW_IN_PROGRESS',
        message: `${sink}: ${idOf(connection, sink)} lands what it lacks`,
      };
    const result = child.result();
    const late =
      limits.deadlineMs === null ? [] : [sleep(limits.deadlineMs, { summary: `${sink} has until then` })];
    const run = await Promise.race([result, ...late]);
    if (run === undefined) {
      result.catch(() => undefined);
      return { sink, code: 'TIMEOUT', message: `${sink}: ${idOf(connection, sink)} still lands windows` };
    }
    const [trouble] = run.behind ?? [];
    if (trouble === undefined) return null;
    await start(connection, sink, false, limits);
    return trouble;
  } catch (error) {
    const { code, message, state } = troubleOf(error);
    if (state === 'cancelled') throw error;
    return { sink, code, message };
  }
}

/** Null: one of this warehouse runs already. */
async function start(connection: string, sink: string, once: boolean, { allowShrink, tuning }: Limits) {
  try {
    return await startChild(deliverCopy, {
      workflowId: idOf(connection, sink),
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${connection} · staged windows to ${sink}`,
      typedSearchAttributes: [
        { key: CONNECTION, value: connection },
        { key: PHASE, value: 'deliver' },
      ],
      args: [
        {
          ...{ connection, sink },
          ...(once ? { once } : {}),
          ...(allowShrink === true ? { allowShrink } : {}),
          ...(tuning === undefined ? {} : { tuning }),
        },
      ],
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

function idOf(connection: string, sink: string): string {
  return `deliver/${connection}/${sink}`;
}
