import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { loadConfig, type LoadedConfig } from '../config/load-config.ts';
import type { RunSummary } from '../schemas/run.ts';
import { claim, type RunClaim } from './dev/run-file.ts';
import { moduleFile } from './module-file.ts';
import { createOutput, type Output } from './output.ts';
import { applySchedules } from './schedules.ts';
import { realTime } from './start/live.ts';
import { startServices, type Services } from './start/services.ts';
import { showNext, showReady, showRun } from './start/screen.ts';
import { startRun } from './start-run.ts';
import { asRun, failureOf, watchWorkflow } from './watch.ts';
import { EXIT, exitCodeOf, OUTCOME_EXIT, worstExit } from './exit-codes.ts';

/** The demo's own configuration lies beside the code; with it the sandbox is started too. */
const DEMO_CONFIG = moduleFile('headwater.config');
/** Until the second sync of the demo, which shows what has changed meanwhile. */
const SECOND_SYNC_AFTER_MS = 30_000;
/** How often finished runs of the schedules are looked for, to print a line about them. */
const LOOK_EVERY_MS = 5_000;
const RUNS_SHOWN_MAX = 20;

export interface StartOptions {
  once: boolean;
  json: boolean;
  config?: string;
  records?: number;
}

interface Session {
  loaded: LoadedConfig;
  services: Services;
  client: Client;
  output: Output;
  interrupted: AbortSignal;
}

/** Brings everything up, syncs every connection, shows what landed; stays until Ctrl-C unless `once`. Returns the exit code. */
export async function start(options: StartOptions): Promise<number> {
  const startedMs = Date.now();
  const output = createOutput({ stdout: process.stdout, stderr: process.stderr, environment: process.env });
  const tell = (message: string) => output.note(`  ${message}`);
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.on('SIGHUP', interrupt);
  process.on('uncaughtException', dropLateCall);
  const path = options.config ?? process.env['HEADWATER_CONFIG'];
  const loaded = await loadConfig(path === undefined ? {} : { path });
  const run: RunClaim = await claim(loaded.home, tell);
  let services: Services | undefined;
  let connection: Connection | undefined;
  try {
    const demo = resolve(loaded.path) === DEMO_CONFIG;
    services = await startServices({ loaded, run, demo, records: options.records, tell });
    connection = await Connection.connect({ address: services.temporal.address });
    const client = new Client({ connection, namespace: services.temporal.namespace });
    await applySchedules(client, loaded.config, {});
    const session: Session = { loaded, services, client, output, interrupted: interruption.signal };
    const { runs, code } = await syncAll(session, options.json);
    const live = code === EXIT.ok ? await realTime(services, loaded).catch(() => null) : null;
    if (options.json)
      output.json({
        ok: code === EXIT.ok,
        seconds: secondsSince(startedMs),
        ui: services.temporal.uiUrl ?? null,
        ...(services.servers ?? {}),
        runs,
        ...(live && { liveMs: live.ms }),
      });
    else
      await showReady(output, {
        runs,
        temporal: services.temporal,
        servers: services.servers,
        live,
        seconds: secondsSince(startedMs),
        loaded,
        once: options.once,
        config: options.config,
      });
    if (!options.once) await stay(session, options.json);
    return code;
  } catch (error) {
    if (interruption.signal.aborted) return 0;
    throw error;
  } finally {
    await connection?.close();
    await services?.stop(options.json ? () => {} : tell);
    run.release();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    process.off('SIGHUP', interrupt);
    process.off('uncaughtException', dropLateCall);
  }
}

/** A call that was waiting for its next try when the connection was closed fails in a timer, where nobody can catch it. */
function dropLateCall(error: Error): void {
  if (error.message.includes('Channel has been shut down')) return;
  process.stderr.write(`${error.stack ?? error.message}\n`);
  process.exit(1);
}

function secondsSince(startedMs: number): number {
  return Math.round((Date.now() - startedMs) / 100) / 10;
}

async function syncAll(session: Session, quiet: boolean): Promise<{ runs: RunSummary[]; code: number }> {
  const { loaded, client, output, interrupted } = session;
  const runs: RunSummary[] = [];
  const codes: number[] = [];
  const connections = Object.keys(loaded.config.connections);
  if (!quiet) output.note(`  Syncing ${connections.join(', ')} …`);
  // All go on at once; they are looked at one after the other.
  const handles = await Promise.all(
    connections.map((connection) =>
      startRun(client, loaded.config.temporal.taskQueue, { connection, objects: [], allowShrink: false }),
    ),
  );
  for (const [at, handle] of handles.entries()) {
    const connection = connections[at] ?? '';
    let latest: RunSummary | undefined;
    const ended = await watchWorkflow(handle, {
      signal: interrupted,
      output,
      onProgress: (progress) => {
        latest = asRun(progress) ?? latest;
        if (!quiet && latest)
          output.progress(latest.objects.map((line) => `  ${line.object}: ${line.rows} rows`));
      },
    });
    interrupted.throwIfAborted();
    const run =
      ended.kind === 'result'
        ? asRun(ended.result)
        : ended.kind === 'failed'
          ? asRun(ended.details[0])
          : undefined;
    if (run) {
      runs.push(run);
      codes.push(OUTCOME_EXIT[run.outcome]);
    } else if (ended.kind === 'failed') {
      output.error(failureOf(ended));
      const { code, message } = ended;
      runs.push({ ...failedRun(connection, handle.workflowId, latest), code, message });
      codes.push(exitCodeOf(code));
    }
  }
  return { runs, code: worstExit(codes) };
}

function failedRun(connection: string, workflowId: string, latest: RunSummary | undefined): RunSummary {
  const at = new Date().toISOString();
  const empty = {
    connection,
    workflowId,
    runId: '',
    trigger: 'manual' as const,
    startedAt: at,
    idle: 0,
    objects: [],
  };
  return { ...empty, ...latest, outcome: 'failed', endedAt: at };
}

/** The living demo: a second sync after half a minute, then a line for every run that the schedules finish. */
async function stay(session: Session, quiet: boolean): Promise<void> {
  const { output, services, interrupted } = session;
  const lost = services.lost.then((why) => {
    if (!interrupted.aborted) throw why;
  });
  const living = live(session, quiet);
  await Promise.race([lost, living]);
  if (!quiet) output.note('');
}

async function live(session: Session, quiet: boolean): Promise<void> {
  const { output, interrupted, client, loaded } = session;
  if (!quiet)
    output.note(`  In ${SECOND_SYNC_AFTER_MS / 1000} seconds a second sync shows what has changed since …`);
  await pause(SECOND_SYNC_AFTER_MS, interrupted);
  if (interrupted.aborted) return;
  const { runs } = await syncAll(session, quiet).catch(() => ({ runs: [] }));
  if (!quiet) for (const run of runs) showRun(output, run);
  if (!quiet) showNext(output, loaded);
  const seen = new Set<string>();
  const sinceIso = new Date().toISOString();
  while (!interrupted.aborted) {
    await pause(LOOK_EVERY_MS, interrupted);
    if (interrupted.aborted) return;
    const query = `WorkflowType = 'syncConnection' AND CloseTime > '${sinceIso}'`;
    let shown = 0;
    for await (const execution of client.workflow.list({ query })) {
      shown += 1;
      if (shown > RUNS_SHOWN_MAX) break;
      if (seen.has(execution.runId)) continue;
      seen.add(execution.runId);
      if (!quiet)
        output.note(
          `  ${new Date().toISOString().slice(11, 19)} ${execution.workflowId}: ${execution.status.name.toLowerCase()}`,
        );
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
