import { existsSync, statSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sinkOf } from '../../config/connection-config.ts';
import { ledgerWords } from '../../config/ledger.ts';
import { stagePlace, stageWords } from '../../config/stage.ts';
import type { Config } from '../../config/schema.ts';
import type { LoadedConfig } from '../../config/load-config.ts';
import { formatDuration } from '../../config/quantities.ts';
import { countOf, formatCount } from '../../rules/report.ts';
import { factsBefore } from '../../rules/retention.ts';
import type { CheckResult } from '../../sources/source.ts';
import { withClaims } from '../claims.ts';
import { looking, printChecks, type Check } from '../checks.ts';
import type { Call, Command } from '../command.ts';
import { askWorker } from '../control-socket.ts';
import { copyLines, copyNames, readCopies } from '../copies.ts';
import { readLivingRun } from '../dev/run-file.ts';
import { ledgerIfAny, mayHaveClaims, mayHaveLedger } from '../open.ts';
import { overdue } from '../overdue.ts';
import { readPackage } from '../package-file.ts';
import type { Pruned } from '../../stores/ledger/ledger.ts';
import { withTemporal } from '../temporal-client.ts';

const NODE_MAJOR_MIN = 24;
/** Old windows that are counted. */
const OLD_ROWS_MAX = 100_000;

export const doctor: Command = {
  name: 'doctor',
  summary: 'Whether this installation is well: Node, disk, ledger, stage, Temporal, worker',
  usage: '',
  example: 'doctor',
  about: 'Changes nothing. `check` looks at the connections.',
  options: {},
  arguments: { min: 0, max: 0 },
  async run(call) {
    const checks: Check[] = [...(await looking('headwater', 'node', node))];
    const loaded = await call.load();
    checks.push(
      { of: 'headwater', check: 'configuration', ok: true, detail: loaded.path },
      ...(await looking('home', 'folder', () => home(loaded))),
      ...(await looking('home', 'disk', () => disk(loaded))),
      ...(await looking('ledger', 'opens', () => ledger(loaded))),
      ...(await looking('profiles', 'event log', () => eventLog(loaded))),
      ...(await looking('profiles', 'retention', () => overdueRecords(loaded))),
      ...(await looking('temporal', 'reachable', () => temporal(call, loaded))),
      ...(await looking('worker', 'warehouse', () => worker(loaded))),
      ...(await looking('warehouses', 'level', () => furtherWarehouses(loaded))),
    );
    return printChecks(call, checks);
  },
};

function node(): Promise<CheckResult[]> {
  const { version } = readPackage();
  const ok = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN;
  return Promise.resolve([
    {
      check: 'node',
      ok,
      detail: `${process.versions.node}, headwater ${version}`,
      remedy: `Run it as \`npx headwater\`, which uses Node ${NODE_MAJOR_MIN}.`,
    },
  ]);
}

function home({ home: folder }: LoadedConfig): Promise<CheckResult[]> {
  if (!existsSync(folder)) {
    return Promise.resolve([{ check: 'folder', ok: true, detail: `${folder} is made by the first start` }]);
  }
  const mode = statSync(folder).mode & 0o077;
  const running = readLivingRun(folder);
  return Promise.resolve([
    {
      check: 'folder',
      ok: mode === 0,
      detail: mode === 0 ? folder : `${folder} can be read by others`,
      remedy: `chmod 700 ${folder}`,
    },
    {
      check: 'started',
      ok: true,
      detail: running
        ? `running as pid ${running.launcher.pid} since ${running.startedAt}`
        : 'no `headwater start` runs here',
    },
  ]);
}

async function disk({ config, home: folder }: LoadedConfig): Promise<CheckResult[]> {
  const place = existing(config.stage.path) ?? existing(folder) ?? '/';
  const { bavail, bsize } = await statfs(place);
  const freeMb = Math.floor((bavail * bsize) / 1e6);
  return [
    {
      check: 'disk',
      ok: bavail * bsize > config.stage.freeBytesMin,
      detail: `${formatCount(freeMb)} MB free for the stage`,
      remedy: 'Free space, or move stage.path to a larger disk.',
    },
  ];
}

async function ledger({ config }: LoadedConfig): Promise<CheckResult[]> {
  const opened = await ledgerIfAny(config);
  if (opened === undefined) return [{ check: 'opens', ok: true, detail: 'is made by the first start' }];
  try {
    const place =
      config.ledger.kind === 'sqlite'
        ? `${config.ledger.path}, ${formatCount(Math.ceil((await stat(config.ledger.path)).size / 1e6))} MB`
        : ledgerWords(config);
    const known = await opened.meta('stage');
    const before = factsBefore(new Date().toISOString(), config.retention, config.stage.keepMs);
    const old = await opened.prunable({ sink: sinkOf(config), before, rowsMax: OLD_ROWS_MAX });
    return [
      { check: 'opens', ok: true, detail: place },
      ...(await looking('ledger', 'stage', async () => [sameStage(config, known, await knownStage(config))])),
      { check: 'retention', ok: true, detail: retentionWords(config.retention, old) },
    ];
  } finally {
    await opened.close();
  }
}

function sameStage(config: Config, known: string | null, found: string | null): CheckResult {
  const ok = known === null || known === found;
  const detail = ok
    ? 'is the one that the ledger knows'
    : `the ledger knows the stage ${known}, ${stageWords(config)} is another`;
  return { check: 'stage', ok, detail, remedy: 'Set `stage` to the place of this installation.' };
}

async function knownStage(config: Config): Promise<string | null> {
  const { knownStageId } = await import('../../stores/stage/open.ts');
  return await knownStageId(stagePlace(config));
}

/** What sweeps are about to erase; nothing to say where no entity has a retention. */
/** I4: recomputes the hash of every batch of the log; some two seconds for a million events. */
async function eventLog(loaded: LoadedConfig): Promise<CheckResult[]> {
  if (loaded.config.profiles === undefined || !mayHaveClaims(loaded.config)) return [];
  return withClaims({ load: () => Promise.resolve(loaded) }, async (claims) => {
    const { ok, events, batches, brokenAt } = await claims.verify();
    return [
      {
        check: 'event log',
        ok,
        detail: ok
          ? `${countOf(events, 'event')}, the chain of ${countOf(batches, 'batch', 'batches')} holds`
          : `the chain breaks at batch ${brokenAt ?? batches}`,
        remedy:
          'The log was changed or cut outside Headwater. Restore claims.db and claims.head from one backup.',
      },
    ];
  });
}

async function overdueRecords(loaded: LoadedConfig): Promise<CheckResult[]> {
  if (!mayHaveLedger(loaded.config)) return [];
  return (await overdue(loaded)).map(({ entity, object, keepMs, records }) => ({
    check: 'retention',
    ok: true,
    detail: `${entity} of ${object} is kept ${formatDuration(keepMs)}; ${records === 0 ? 'nothing is older' : `${countOf(records, 'older record')} may go next`}`,
  }));
}

/** What the sweep after the next runs takes away; coverage and data stay. */
function retentionWords(retentionMs: number, { windows, runs }: Pruned): string {
  const old =
    windows + runs === 0
      ? 'nothing is older'
      : `${countOf(windows, 'older window')} and ${countOf(runs, 'run')} go next`;
  return `windows, receipts and runs are kept ${formatDuration(retentionMs)}; ${old}`;
}

function temporal(call: Call, loaded: LoadedConfig): Promise<CheckResult[]> {
  return withTemporal(loaded, call.environment, async ({ client, target, taskQueue }) => {
    const answer = await client.workflowService.describeTaskQueue({
      namespace: target.namespace,
      taskQueue: { name: taskQueue },
    });
    const pollers = answer.pollers.length;
    return [
      ...machines(loaded.config, answer.pollers),
      {
        check: 'reachable',
        ok: true,
        detail: `${target.address}, namespace ${target.namespace}, from ${target.from}`,
      },
      {
        check: 'task queue',
        ok: pollers > 0,
        detail: pollers > 0 ? `a worker polls ${taskQueue}` : `no worker polls ${taskQueue}`,
        remedy: 'Start one with `npx headwater start`.',
      },
    ];
  });
}

/** A worker's identity is `<pid>@<machine>` unless somebody sets another. */
function machines({ stage }: Config, pollers: { identity?: string | null }[]): CheckResult[] {
  const names = new Set(pollers.map(({ identity }) => identity?.split('@')[1] ?? ''));
  names.delete('');
  if (stage.kind !== 'disk' || names.size < 2) return [];
  return [
    {
      check: 'machines',
      ok: false,
      detail: `workers of ${names.size} machines poll, and the stage is a folder`,
      remedy: 'Put the stage into a bucket, or on a disk that all machines have: docs/stage.md.',
    },
  ];
}

async function worker({ home: folder }: LoadedConfig): Promise<CheckResult[]> {
  const answer = await askWorker(folder, '/sql', { sql: 'select 1', rowsMax: 1 });
  return [
    {
      check: 'warehouse',
      ok: true,
      detail:
        answer === undefined ? 'no worker owns the warehouse now' : 'the worker answers from the warehouse',
    },
  ];
}

/** One that is behind catches up by itself while what it lacks is staged; so it is told, and is no fault. */
async function furtherWarehouses({ config }: LoadedConfig): Promise<CheckResult[]> {
  if (copyNames(config).length === 0) return [];
  const opened = await ledgerIfAny(config);
  if (opened === undefined) return [];
  try {
    const states = await readCopies(config, Object.values(config.connections), opened);
    return copyLines(states).map((detail) => ({ check: 'level', ok: true, detail }));
  } finally {
    await opened.close();
  }
}

/** The nearest folder above a path that exists. */
function existing(path: string): string | undefined {
  let folder = path;
  while (!existsSync(folder)) {
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
  return folder;
}
