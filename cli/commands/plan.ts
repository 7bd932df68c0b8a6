import { sinkOf } from '../../config/connection-config.ts';
import { selectObjects } from '../../config/selection.ts';
import type { Config, ConnectionConfig } from '../../config/schema.ts';
import { HeadwaterError, withNames, type ErrorCode } from '../../rules/errors.ts';
import { formatCount, formatWindow, named } from '../../rules/report.ts';
import { addMs, earliest } from '../../rules/time.ts';
import { decideWindow } from '../../rules/windows.ts';
import { ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { Interval, Window } from '../../schemas/window.ts';
import { checkObjects, chosenConnections } from '../chosen.ts';
import { copyNames } from '../copies.ts';
import { MANY, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { errorLine } from '../output.ts';
import { loadLines, readLines } from '../loads.ts';
import { plannedRefresh } from '../planned-refresh.ts';
import { withSource, type OpenedSource } from '../source.ts';
import { checkpointOf } from '../troubles.ts';

/** No run has this owner, so windows of others are never taken for our own. */
const NOBODY = { workflowId: 'headwater plan', runId: '' };

interface PlannedObject {
  object: string;
  what: 'first load' | 'changes' | 'nothing changed' | 'up to date' | 'resume' | 'in progress' | 'paused';
  from: Instant | null;
  until: Instant | null;
  /** By the source's own count; null when it is unknown or nothing is read. */
  rows: number | null;
  undelivered: number;
  /** The same by further warehouse; absent where there is one. */
  copies?: Record<string, number>;
  /** What is read beside the window, because it changed without a stamp. */
  also?: string;
  /** Why this object cannot be read. */
  error?: HeadwaterError;
}

/** Codes that are about one object; any other ends the whole plan. */
const OF_THE_OBJECT: ReadonlySet<string> = new Set<ErrorCode>([
  'OBJECT_UNKNOWN',
  'PERMISSION_DENIED',
  'SOURCE_REJECTED',
]);

export const plan: Command = {
  name: 'plan',
  summary: 'What the next run would do, without doing it',
  usage: '[connection] [object…]',
  example: 'plan salesforce',
  about: `Asks the source the same questions as a run and counts the rows. Nothing is stored.\nEnds with ${EXIT.partial} when an object cannot be read.`,
  options: {},
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const { config } = loaded;
    const [name, ...objects] = call.arguments;
    const plans: { connection: string; objects: PlannedObject[] }[] = [];
    for (const connection of chosenConnections(config, name)) {
      checkObjects(connection, objects);
      const planned = await withSource(config, connection, call.signal, (opened) =>
        planConnection(config, connection, opened, objects, call.signal),
      );
      plans.push({ connection: connection.name, objects: planned });
    }
    if (call.json) call.output.json(plans.map(withCodes));
    else for (const one of plans) print(call, one.connection, one.objects);
    for (const { connection, objects: lines } of call.json ? [] : plans) {
      for (const { object, also } of lines)
        if (also !== undefined) call.output.line(`${connection} ${object}: ${also}`);
    }
    for (const one of call.json ? [] : chosenConnections(config, name)) {
      for (const line of loadLines(config, one)) call.output.line(`${one.name} in ${line}`);
      const planned = plans.find(({ connection }) => connection === one.name)?.objects ?? [];
      const names = planned.map(({ object }) => object);
      for (const line of await readLines(loaded, one, names)) call.output.line(`${one.name} in ${line}`);
    }
    const failing = plans.flatMap(({ connection, objects: lines }) =>
      lines.flatMap(({ object, error }) => (error === undefined ? [] : { connection, object, error })),
    );
    for (const { connection, object, error } of failing) {
      const remedy = withNames(error.remedy, { connection, object });
      call.output.note(errorLine(error.code, named(object, error.message), remedy));
    }
    return failing.length > 0 ? EXIT.partial : EXIT.ok;
  },
};

function countsOf(lacking: ReadonlyMap<string, Window[]>, object: string): Record<string, number> {
  return Object.fromEntries(
    [...lacking].map(([copy, windows]) => [
      copy,
      windows.filter((window) => window.object === object).length,
    ]),
  );
}

function waitingWords({ undelivered, copies = {} }: PlannedObject): string {
  const words = undelivered === 0 ? [] : [`${undelivered} staged`];
  for (const [copy, count] of Object.entries(copies)) if (count > 0) words.push(`${count} for ${copy}`);
  return words.join(', ') || '–';
}

function withCodes(plan: { connection: string; objects: PlannedObject[] }) {
  const objects = plan.objects.map(({ error, ...line }) => ({
    ...line,
    ...(error === undefined ? {} : { code: error.code, message: error.message }),
  }));
  return { ...plan, objects };
}

async function planConnection(
  config: Config,
  connection: ConnectionConfig,
  opened: OpenedSource,
  asked: readonly string[],
  signal: AbortSignal,
): Promise<PlannedObject[]> {
  const { source, ledger } = opened;
  const named =
    connection.objects === 'all'
      ? selectObjects(connection, await source.list()).objects
      : connection.objects;
  const objects = named.filter(
    (object) => !connection.exclude.includes(object) && (asked.length === 0 || asked.includes(object)),
  );
  const now = new Date().toISOString();
  const states = await Promise.all(
    objects.map(async (object) => ({
      object,
      coverage: (await ledger?.coverage(connection.name, object)) ?? [],
      paused: (await ledger?.meta(`pause/${connection.name}/${object}`)) === 'paused',
    })),
  );
  const open = (await ledger?.openWindows(connection.name)) ?? [];
  const undelivered = (await ledger?.undelivered(sinkOf(config), connection.name)) ?? [];
  const lacking = new Map<string, Window[]>();
  for (const copy of copyNames(config))
    lacking.set(copy, (await ledger?.undelivered(copy, connection.name)) ?? []);
  const probes = await source.probe(
    states.map(({ object, coverage }) => ({
      object,
      readFrom: addMs(checkpointOf(coverage) ?? ORIGIN, -connection.lookbackMs),
      until: now,
    })),
    signal,
  );
  const planned: PlannedObject[] = [];
  for (const [index, { object, coverage, paused }] of states.entries()) {
    const until = earliest(now, probes[index]?.visibleUntil ?? now);
    const own = open.filter((window) => window.object === object);
    const waiting = undelivered.filter((window) => window.object === object).length;
    const line = decide(object, { coverage, open: own }, until, probes[index]?.idle === true);
    const reads = line.from !== null && line.until !== null && line.what !== 'nothing changed' && !paused;
    const counted = reads
      ? await countRows(opened, object, { from: line.from ?? ORIGIN, until: line.until ?? until })
      : { rows: null };
    const covered = checkpointOf(coverage);
    const also =
      paused || covered === null ? undefined : await plannedRefresh(opened, connection, object, covered);
    planned.push({
      ...line,
      ...counted,
      ...(also === undefined ? {} : { also }),
      undelivered: waiting,
      ...(lacking.size === 0 ? {} : { copies: countsOf(lacking, object) }),
      ...(paused ? { what: 'paused' as const } : {}),
    });
  }
  return planned;
}

function decide(
  object: string,
  state: { coverage: Interval[]; open: Window[] },
  until: Instant,
  idle: boolean,
): Omit<PlannedObject, 'rows' | 'undelivered'> {
  const decision = decideWindow(state, { owner: NOBODY, until, closedOwners: [] });
  if (decision.kind === 'resume') {
    const { from, until: end } = decision.window;
    return { object, what: 'resume', from, until: end };
  }
  if (decision.kind === 'open') {
    const { from, until: end } = decision;
    const what = from === ORIGIN ? 'first load' : idle ? 'nothing changed' : 'changes';
    return { object, what, from: from, until: end };
  }
  return {
    object,
    what: decision.kind === 'in-progress' ? 'in progress' : 'up to date',
    from: null,
    until: null,
  };
}

/** An object that the source does not show would fail in the run too; the others are planned all the same. */
async function countRows(
  { source }: OpenedSource,
  object: string,
  interval: Interval,
): Promise<Pick<PlannedObject, 'rows' | 'error'>> {
  try {
    const count = await source.count(await source.describe(object), interval);
    return { rows: count === 'unknown' ? null : count };
  } catch (error) {
    if (!(error instanceof HeadwaterError) || !OF_THE_OBJECT.has(error.code)) throw error;
    return { rows: null, error };
  }
}

function print({ output }: Call, connection: string, objects: readonly PlannedObject[]): void {
  output.table(
    [
      { title: connection },
      { title: 'next run' },
      { title: 'window (UTC)' },
      { title: 'rows', align: 'right' },
      { title: 'to deliver', align: 'right' },
    ],
    objects.map((line) => [
      line.object,
      line.error === undefined ? line.what : `✗ ${line.error.code}`,
      formatWindow(line.from, line.until),
      line.rows === null ? '–' : formatCount(line.rows),
      waitingWords(line),
    ]),
  );
}
