// Part of a run: each of several warehouses lands what is staged at its own pace, by a workflow of its own; who stays behind is named.
import {
  CancellationScope,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  patched,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Tuning } from '../schemas/inputs.ts';
import type { ObjectSummary, RunSummary, SinkTrouble } from '../schemas/run.ts';
import { CONNECTION, PHASE } from './attributes.ts';
import { deliverCopy, TAKEN_OVER } from './deliver-copy.ts';
import { troubleOf } from './failures.ts';
import { completeSignal, followedSignal, stagedSignal } from './messages.ts';

/** Runs that began before this was so land in the main warehouse first, then in the others. */
const SIDE_BY_SIDE = 'warehouses-side-by-side';
/** A delivery that another run left is asked to end so often, each time with twice the pause. */
const TAKE_OVERS_MAX = 8;
const TAKE_OVER_MS = 250;

interface Limits {
  /** Left for the run, ms. */
  deadlineMs: number | null;
  allowShrink?: boolean | undefined;
  tuning: Tuning | undefined;
}

type Mode = 'follow' | 'once' | 'until-landed';
type Delivery = ChildWorkflowHandle<typeof deliverCopy>;

/** How one warehouse ended: what it landed, where that is known, and why it lacks something. */
interface End {
  landed: ObjectSummary[];
  /** False: it goes on by itself, or could not be started. */
  hasEnded: boolean;
  /** Another run asked it to end: what was staged since then is not landed. */
  isTaken?: boolean;
  trouble: SinkTrouble | null;
}

/** Of several warehouses, what the plans of one run found out. */
export class Copies {
  readonly #deliver = new Set<string>();
  readonly #away = new Set<string>();
  readonly #troubles = new Map<string, SinkTrouble>();
  readonly #following = new Map<string, Promise<Delivery | null>>();
  #main: string | undefined;
  #sinceMs = 0;

  note(planned: { main?: string; deliver?: string[]; await?: string[]; troubles?: SinkTrouble[] }): void {
    const { main, deliver = [], await: away = [], troubles = [] } = planned;
    if (main !== undefined) this.#main = main;
    for (const sink of away) this.#away.add(sink);
    for (const sink of deliver) this.#deliver.add(sink);
    for (const trouble of troubles) this.#troubles.set(trouble.sink, trouble);
    if (main !== undefined && this.#troubles.has(main)) this.#away.add(main);
  }

  /** The run only stages and proves; the main warehouse is landed in like every other. */
  get sideBySide(): boolean {
    return this.#main !== undefined && patched(SIDE_BY_SIDE);
  }

  /** From now on each warehouse that can be written to lands whatever is staged. Returns at once. */
  begin(connection: string, limits: Limits): void {
    this.#sinceMs ||= Date.now();
    // That it arrives is the answer.
    setHandler(followedSignal, () => undefined);
    const main = this.#main === undefined || this.#away.has(this.#main) ? [] : [this.#main];
    for (const sink of [...main, ...this.#deliver]) {
      if (this.#following.has(sink)) continue;
      const delivery = take(connection, sink, 'follow', limits);
      // Its error is told when it is settled, or by nobody: a run that is cancelled meanwhile must be able to end.
      delivery.then((child) => child?.result()).catch(() => undefined);
      this.#following.set(sink, delivery);
    }
  }

  /** Beside a backfill, which lands in the main warehouse itself: the others follow window by window. */
  beginBesideMain(connection: string, limits: Limits): void {
    if (this.#deliver.size > 0 && patched(SIDE_BY_SIDE)) this.begin(connection, limits);
  }

  /** A window more is staged. One that does not hear it looks when the run is settled. */
  wake(): void {
    for (const delivery of this.#following.values())
      delivery.then((child) => child?.signal(stagedSignal)).catch(() => undefined);
  }

  /**
   * The run ends without being settled: nobody waits for more. Of one that is cancelled its deliveries are too, those as well that were
   * just starting, which the server has not told.
   */
  async release(): Promise<void> {
    const isCancelled = CancellationScope.current().consideredCancelled;
    await CancellationScope.nonCancellable(async () => {
      const told = [...this.#following.values()].map(async (delivery) => {
        const child = await delivery;
        if (!isCancelled) await child?.signal(completeSignal, workflowInfo().runId);
        else if (child !== null)
          await getExternalWorkflowHandle(child.workflowId, child.firstExecutionRunId).cancel();
      });
      await Promise.allSettled(told);
    });
  }

  /**
   * All at once; each is awaited until it lacks nothing, does not land, or the run's time is over. What is left is landed by a workflow
   * that no run waits for. A run whose windows are all proven is `behind` then, never failed. `afterMain` follows the main
   * warehouse: what a whole read no longer found is known when that has landed it.
   */
  async settle(
    run: RunSummary,
    limits: Limits,
    afterMain: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { connection } = run;
    const behind = [...this.#troubles.values()].filter(({ sink }) => !this.#deliver.has(sink));
    for (const sink of this.#away)
      if (!this.#deliver.has(sink)) await start(connection, sink, 'until-landed', limits);
    const main = this.#settleMain(run, limits).then(async (trouble) => {
      await afterMain();
      return trouble;
    });
    const ends = [...this.#deliver].map(async (sink) => (await this.#end(connection, sink, limits)).trouble);
    for (const trouble of await Promise.all([main, ...ends])) if (trouble !== null) behind.push(trouble);
    if (behind.length > 0) run.behind = behind.sort((a, b) => (a.sink < b.sink ? -1 : 1));
  }

  /** Its lines take the place of those that told of the stage alone. */
  async #settleMain(run: RunSummary, limits: Limits): Promise<SinkTrouble | null> {
    const main = this.#main;
    if (main === undefined || !this.sideBySide) return null;
    const known = this.#troubles.get(main);
    if (!this.#following.has(main)) {
      if (known !== undefined) run.objects = run.objects.map((line) => waiting(line, known));
      return null;
    }
    const { landed, trouble } = await this.#end(run.connection, main, limits);
    run.objects = joined(run.objects, landed);
    // I7: it lacks nothing, by its own look.
    if (trouble === null) run.objects = run.objects.map(landedBefore);
    if (trouble === null || landed.some(({ state }) => state === 'failed')) return null;
    run.objects = run.objects.map((line) => waiting(line, trouble));
    return trouble;
  }

  async #end(connection: string, sink: string, limits: Limits): Promise<End> {
    const leftMs = () => {
      const spentMs = this.#sinceMs === 0 ? 0 : Date.now() - this.#sinceMs;
      return limits.deadlineMs === null ? null : Math.max(0, limits.deadlineMs - spentMs);
    };
    const following = this.#following.get(sink);
    following?.then((child) => child?.signal(completeSignal, workflowInfo().runId)).catch(() => undefined);
    const delivery = following ?? take(connection, sink, 'once', limits);
    let end = await deliveryEnd(connection, sink, delivery, leftMs());
    if (end.isTaken === true) {
      const { landed } = end;
      end = await deliveryEnd(connection, sink, take(connection, sink, 'once', limits), leftMs());
      end.landed.unshift(...landed);
    }
    const refused = sink === this.#main && end.landed.some(({ state }) => state === 'failed');
    // What the main one refuses fails the run, and the next run tries it again.
    if (end.hasEnded && end.trouble !== null && !refused)
      await start(connection, sink, 'until-landed', limits);
    return end;
  }
}

/** Lands now what is staged, whoever waits for that warehouse already. */
export async function deliverNow(connection: string, sink: string, limits: Limits): Promise<End> {
  return deliveryEnd(connection, sink, take(connection, sink, 'once', limits), limits.deadlineMs);
}

async function deliveryEnd(
  connection: string,
  sink: string,
  delivery: Promise<Delivery | null>,
  deadlineMs: number | null,
): Promise<End> {
  const late = (code: string, what: string): End => ({
    landed: [],
    hasEnded: false,
    trouble: { sink, code, message: `${sink}: ${idOf(connection, sink)} ${what}` },
  });
  try {
    const child = await delivery;
    if (child === null) return late('WINDOW_IN_PROGRESS', 'lands what it lacks');
    const result = child.result();
    const timer =
      deadlineMs === null ? [] : [sleep(deadlineMs, { summary: `how long this run waits for ${sink}` })];
    const run = await Promise.race([result, ...timer]);
    if (run === undefined) {
      result.catch(() => undefined);
      return late('TIMEOUT', 'still lands windows');
    }
    const [trouble = null] = run.behind ?? [];
    const isTaken = trouble === null && run.code === TAKEN_OVER;
    return { landed: run.objects, hasEnded: true, isTaken, trouble };
  } catch (error) {
    const { code, message, state } = troubleOf(error);
    if (state === 'cancelled') throw error;
    return { landed: [], hasEnded: false, trouble: { sink, code, message } };
  }
}

/** Landed or refused; the steps before the load took their time when it was staged. */
function joined(lines: ObjectSummary[], landed: ObjectSummary[]): ObjectSummary[] {
  const ends = new Map(landed.map((line) => [line.window, line]));
  const told = lines.map((line) => {
    const end = line.state === 'staged' ? ends.get(line.window) : undefined;
    if (end === undefined) return line;
    ends.delete(line.window);
    const note =
      line.code === 'NOTE' && end.code === undefined ? { code: line.code, message: line.message } : {};
    return {
      ...end,
      ...note,
      seconds: Math.round((line.seconds + end.seconds) * 100) / 100,
      stepMs: { ...end.stepMs, ...line.stepMs },
    };
  });
  return [...told, ...ends.values()];
}

/** By a delivery that this run has taken over. */
function landedBefore(line: ObjectSummary): ObjectSummary {
  if (line.state !== 'staged') return line;
  const message = 'landed by an earlier delivery, whose table has the rows that it changed';
  return { ...line, state: 'landed', code: 'NOTE', message };
}

function waiting(line: ObjectSummary, { code, message }: SinkTrouble): ObjectSummary {
  return line.state === 'staged' && line.code === undefined ? { ...line, code, message } : line;
}

/**
 * Null: one that another run left lands now. One that only waits for its warehouse ends when it is asked to, so that this run's looks at
 * once.
 */
async function take(connection: string, sink: string, mode: Mode, limits: Limits): Promise<Delivery | null> {
  let pauseMs = TAKE_OVER_MS;
  for (let tries = 0; ; tries += 1) {
    const child = await start(connection, sink, mode, limits);
    if (child !== null || tries >= TAKE_OVERS_MAX || !patched(SIDE_BY_SIDE)) return child;
    const running = getExternalWorkflowHandle(idOf(connection, sink));
    // It may have ended by itself.
    await running.signal(completeSignal).catch(() => undefined);
    await sleep(pauseMs, { summary: `${sink} is taken over` });
    pauseMs *= 2;
  }
}

/** Null: one of this warehouse runs already. */
async function start(
  connection: string,
  sink: string,
  mode: Mode,
  { allowShrink, tuning }: Limits,
): Promise<Delivery | null> {
  try {
    return await startChild(deliverCopy, {
      workflowId: idOf(connection, sink),
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${connection} · staged windows to ${sink}`,
      staticDetails:
        `Lands what is staged and proven of \`${connection}\` in **${sink}**, the windows of each object in order. ` +
        'No run and no other warehouse waits for it; while this one is away it looks again, at least every 15 minutes.',
      typedSearchAttributes: [
        { key: CONNECTION, value: connection },
        { key: PHASE, value: 'deliver' },
      ],
      args: [
        {
          ...{ connection, sink },
          ...(mode === 'once' ? { once: true } : {}),
          ...(mode === 'follow' ? { follow: true } : {}),
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
