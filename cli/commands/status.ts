import { formatDuration } from '../../config/quantities.ts';
import type { Config, ConnectionConfig } from '../../config/schema.ts';
import { sinkOf } from '../../config/connection-config.ts';
import { auditKey } from '../../rules/drift.ts';
import { freshnessLimits, freshnessOf, isStale, STALE_INTERVALS } from '../../rules/freshness.ts';
import { countOf, formatCount, formatInstant, named } from '../../rules/report.ts';
import { refreshKey } from '../../rules/refresh.ts';
import { resyncDue, resyncText } from '../../rules/resync.ts';
import { objectAuditSchema, type ObjectAudit } from '../../schemas/audit.ts';
import type { Instant } from '../../schemas/instant.ts';
import { refreshStateSchema } from '../../schemas/refresh.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import type { Call, Command } from '../command.ts';
import { chosenConnections } from '../chosen.ts';
import { copyLines, isBehind, readCopies, type CopyState } from '../copies.ts';
import { askWorker } from '../control-socket.ts';
import { EXIT } from '../exit-codes.ts';
import { knownObjects } from '../objects.ts';
import { openLedger } from '../open.ts';
import type { Output } from '../output.ts';
import { pushedLines } from '../pushed.ts';
import { checkpointOf, RUNS_READ_MAX, troubleOf, type Trouble } from '../troubles.ts';
import { ago, failureLine, outcomeWords } from '../words.ts';

export interface ObjectStatus {
  connection: string;
  object: string;
  /** Ends of the gap-free coverage; null before the first load. */
  staged: Instant | null;
  landed: Instant | null;
  lagMs: number | null;
  stale: boolean;
  /** Older than `freshness.warnAfter`, and not stale yet. */
  late: boolean;
  /** What the last audit found; null before the first one. */
  audit: ObjectAudit | null;
  /** The policy of whole re-readings: the last one, and whether the next is due; null without a policy. */
  resync: { wholeAt: Instant | null; everyMs: number; due: boolean } | null;
  paused: boolean;
  openWindows: number;
  /** What became of its last try, while nothing has landed since. */
  trouble: Trouble | null;
}

export interface Status {
  at: Instant;
  objects: ObjectStatus[];
  /** Further warehouses, by object; absent where there is one. */
  copies?: CopyState[];
  runs: {
    connection: string;
    /** The last that has ended. */
    last: RunSummary | null;
    /** The newest run's workflow, while it has not ended. */
    running: string | null;
    everyMs: number;
    quota: { used: number; limit: number } | null;
  }[];
}

export const status: Command = {
  name: 'status',
  summary: 'How fresh each object is, and how the last runs ended',
  usage: '[connection]',
  example: 'status salesforce',
  about: `Ends with ${EXIT.stale} when an object in the warehouse is older than its \`freshness.errorAfter\`, by default\n${STALE_INTERVALS} intervals of its schedule.`,
  options: {},
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config, home } = await call.load();
    const ledger = await openLedger(config);
    try {
      const found = await readStatus(
        config,
        chosenConnections(config, call.arguments[0]),
        ledger,
        Date.now(),
      );
      const worker = await isWorking(home);
      const pushed = await pushedLines({ config, home }, ledger, call.arguments[0]);
      const webhooks = pushed.map(({ facts }) => facts);
      if (call.json) call.output.json({ ...found, webhooks, worker });
      else {
        printStatus(call, found, sinkOf(config));
        for (const line of pushed) call.output.line(line.text);
        if (!worker)
          call.output.line(`✗ No worker runs in ${home}: nothing moves until \`npx headwater start\`.`);
      }
      return found.objects.some(({ stale }) => stale) ? EXIT.stale : EXIT.ok;
    } finally {
      await ledger.close();
    }
  },
};

/** A worker listens in its home, beside the ledger that is shown here; one that refuses the question is there too. */
async function isWorking(home: string): Promise<boolean> {
  try {
    return (await askWorker(home, '/sql', { sql: 'select 1', rowsMax: 1 })) !== undefined;
  } catch {
    return true;
  }
}

async function readAudit(ledger: Ledger, connection: string, object: string): Promise<ObjectAudit | null> {
  const text = await ledger.meta(auditKey(connection, object));
  return text === null ? null : (objectAuditSchema.safeParse(JSON.parse(text)).data ?? null);
}

async function readResync(
  ledger: Ledger,
  { name, resync }: ConnectionConfig,
  object: string,
  nowMs: number,
): Promise<ObjectStatus['resync']> {
  const own = resync.objects[object];
  const everyMs = own === undefined ? resync.every : own;
  if (everyMs === null) return null;
  const text = await ledger.meta(refreshKey(name, object));
  const state = text === null ? undefined : refreshStateSchema.safeParse(JSON.parse(text)).data;
  const wholeAt = state?.wholeAt ?? null;
  const now = new Date(nowMs).toISOString();
  return { wholeAt, everyMs, due: resyncDue({ wholeAt, tried: null, everyMs, now, run: '' }) };
}

export async function readStatus(
  config: Config,
  connections: ConnectionConfig[],
  ledger: Ledger,
  nowMs: number,
): Promise<Status> {
  const objects: ObjectStatus[] = [];
  const runs: Status['runs'] = [];
  for (const connection of connections) {
    const { name } = connection;
    const open = await ledger.openWindows(name);
    const recent = await ledger.runs({ connection: name, limit: RUNS_READ_MAX });
    const ended = recent.filter((run) => run.endedAt !== null);
    for (const object of await knownObjects(connection, ledger)) {
      const staged = checkpointOf(await ledger.coverage(name, object));
      const landed = checkpointOf(await ledger.sinkCoverage(sinkOf(config), name, object));
      const paused = (await ledger.meta(`pause/${name}/${object}`)) === 'paused';
      const limits = freshnessLimits(connection.freshness, object, connection.schedule.everyMs);
      const fresh = freshnessOf(landed, new Date(nowMs).toISOString(), limits, paused);
      const openWindows = open.filter((window) => window.object === object).length;
      const trouble = paused ? null : troubleOf(object, landed, ended);
      objects.push({
        ...{ connection: name, object, staged, landed, paused, openWindows, trouble },
        ...{ lagMs: fresh.lagMs, stale: isStale(fresh), late: fresh.state === 'late' },
        audit: await readAudit(ledger, name, object),
        resync: await readResync(ledger, connection, object, nowMs),
      });
    }
    const quota = await ledger.quota(name);
    runs.push({
      connection: name,
      last: ended[0] ?? null,
      running: recent[0]?.endedAt === null ? recent[0].workflowId : null,
      everyMs: connection.schedule.everyMs,
      quota: quota === null ? null : { used: quota.used, limit: quota.limit },
    });
  }
  const copies = await readCopies(config, connections, ledger);
  return { at: new Date(nowMs).toISOString(), objects, ...(copies.length === 0 ? {} : { copies }), runs };
}

function printStatus({ output }: Call, { objects, copies = [], runs, at }: Status, main: string): void {
  output.table(
    [
      { title: 'connection' },
      { title: 'object' },
      { title: `in ${copies.length === 0 ? 'the warehouse' : main} up to (UTC)` },
      { title: 'lag', align: 'right' },
      { title: 'state' },
      { title: 'last audit' },
    ],
    objects.map((one) => [
      one.connection,
      one.object,
      one.landed === null ? '–' : formatInstant(one.landed),
      one.lagMs === null ? '–' : ago(one.lagMs),
      stateWords(one),
      auditWords(one, at),
    ]),
  );
  output.line();
  for (const line of copyLines(copies)) output.line(line);
  for (const { connection, object, resync } of objects)
    if (resync?.due === true) output.line(`${connection} ${object}: ${resyncText(resync.wholeAt)}`);
  const isStillBehind = (connection: string, sink: string) =>
    sink === main
      ? objects.some((one) => one.connection === connection && (one.staged ?? '') > (one.landed ?? ''))
      : copies.some((one) => one.connection === connection && one.warehouse === sink && isBehind(one));
  for (const run of runs) {
    output.line(runLine(output, run, at));
    const { connection, last } = run;
    const troubles = objects.flatMap((one) =>
      one.connection === connection && one.trouble !== null ? [{ ...one.trouble, object: one.object }] : [],
    );
    if (last?.code !== undefined && last.message !== undefined)
      output.line(`✗ ${last.code} ${connection}: ${last.message}`);
    for (const { sink, code, message } of last?.behind ?? [])
      if (isStillBehind(connection, sink)) output.line(`… ${code} ${named(sink, message)}`);
    for (const trouble of troubles) output.line(failureLine(connection, trouble));
    if (troubles.some(({ state }) => state === 'failed'))
      output.line(`The next run tries again by itself; at once: \`npx headwater retry ${connection}\`.`);
  }
}

function runLine(output: Output, run: Status['runs'][number], at: Instant): string {
  const { connection, last, running, everyMs, quota } = run;
  const ended =
    last === null
      ? 'no run has ended yet'
      : `last run ${outcomeWords(output, last.outcome, last.behind)}, ${ago(Date.parse(at) - Date.parse(last.startedAt))} ago`;
  const now = running === null ? '' : `, ${running} has not ended`;
  const calls =
    quota === null ? '' : `, ${formatCount(quota.used)} of ${formatCount(quota.limit)} calls used today`;
  return `${connection}: every ${formatDuration(everyMs)}, ${ended}${now}${calls}`;
}

/** When, what it left, and when every record was last compared. */
function auditWords({ audit }: ObjectStatus, at: Instant): string {
  if (audit === null) return '–';
  const when = `${ago(Date.parse(at) - Date.parse(audit.at))} ago`;
  const { code, left, repaired, rotation } = audit;
  if (code !== undefined && code !== 'NOTE') return `✗ ${code}, ${when}`;
  const what =
    left > 0 ? `✗ ${countOf(left, 'record')} differ` : repaired > 0 ? `✓ ${repaired} repaired` : '✓';
  const pass =
    rotation === null
      ? ''
      : rotation.lastFullPass === null
        ? ', no full pass yet'
        : `, full pass ${ago(Date.parse(at) - Date.parse(rotation.lastFullPass))} ago`;
  return `${what} ${when}${pass}`;
}

function stateWords(one: ObjectStatus): string {
  if (one.paused) return 'paused';
  if (one.trouble?.state === 'failed') return `✗ ${one.stale ? 'stale, ' : ''}${one.trouble.code}`;
  if (one.landed === null) return one.openWindows > 0 ? 'first load is running' : 'no first load yet';
  if (one.staged !== null && one.staged > one.landed) return 'warehouse behind the stage';
  return one.stale ? '✗ stale' : one.late ? '! late' : '✓ fresh';
}
