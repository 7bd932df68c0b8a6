import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HeadwaterError } from '../../rules/errors.ts';
import { z } from 'zod';
import { identify, isAlive, terminate } from './process-identity.ts';

const FILE = 'run.json';
const LOCK_FILE = 'run.lock';
const LOCK_WAIT_MS = 5_000;
const ORPHAN_GRACE_MS = 5_000;

const IDENTITY = { pid: z.int().positive(), startedMark: z.string() };

/** `<home>/run.json`: what one launcher started, so that the next one can show it or clear it. */
const runStateSchema = z.object({
  version: z.literal(1),
  launcher: z.object(IDENTITY),
  /** ISO 8601, for people; liveness is decided by the marks. */
  startedAt: z.string(),
  /** What it is (`temporal`, `worker`, `sandbox` …) and which process. */
  processes: z.array(z.object({ name: z.string(), ...IDENTITY })),
  ports: z.record(z.string(), z.number()),
  urls: z.record(z.string(), z.string()),
});
export type RunState = z.infer<typeof runStateSchema>;

export interface RunClaim {
  path: string;
  /** Adds a process by its pid; a process that has already ended is not recorded. */
  recordProcess(name: string, pid: number): void;
  recordEndpoints(endpoints: { ports?: Record<string, number>; urls?: Record<string, string> }): void;
  forgetProcess(pid: number): void;
  /** Deletes the file if it is still this launcher's. */
  release(): void;
}

/** A second launcher in the same home: a user's mistake, told in one line. */
export class AlreadyRunningError extends HeadwaterError {
  override readonly name = 'AlreadyRunningError';
  constructor({ launcher, urls }: RunState) {
    const ui = urls['ui'] ? `, UI ${urls['ui']}` : '';
    super('ALREADY_RUNNING', `Headwater is already running here (pid ${launcher.pid}${ui})`);
  }
}

/**
 * Takes the home for this process. Throws AlreadyRunningError while a living launcher owns it; ends what a dead
 * launcher left running, and says so through `log`.
 */
export async function claim(home: string, log: (message: string) => void = () => {}): Promise<RunClaim> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const launcher = identify(process.pid);
  if (!launcher) throw new Error('cannot read the start time of this process');
  const state: RunState = {
    version: 1,
    launcher,
    startedAt: new Date().toISOString(),
    processes: [],
    ports: {},
    urls: {},
  };
  // Orphans are kept in our own file until they are gone: if we die while ending them, the next launcher goes on.
  const orphans = exclusively(home, () => {
    const before = readRunState(home);
    if (before && isAlive(before.launcher)) throw new AlreadyRunningError(before);
    state.processes = (before?.processes ?? []).filter(isAlive);
    write(home, state);
    return [...state.processes];
  });
  await Promise.all(
    orphans.map(async (orphan) => {
      const how = await terminate(orphan, ORPHAN_GRACE_MS);
      const did = how === 'killed' ? 'Killed' : 'Stopped';
      log(`${did} ${orphan.name} (pid ${orphan.pid}), left over from a run that died.`);
      state.processes = state.processes.filter(({ pid }) => pid !== orphan.pid);
      write(home, state);
    }),
  );
  return claimOn(home, state);
}

/** The state on disk; undefined if there is none or it cannot be read as one (a torn or foreign file owns nothing). */
export function readRunState(home: string): RunState | undefined {
  try {
    return runStateSchema.safeParse(JSON.parse(readFileSync(join(home, FILE), 'utf8'))).data;
  } catch {
    return undefined;
  }
}

/** The state of a launcher that is alive now, for `headwater status` and the like. */
export function readLivingRun(home: string): RunState | undefined {
  const state = readRunState(home);
  return state && isAlive(state.launcher) ? state : undefined;
}

function claimOn(home: string, state: RunState): RunClaim {
  return {
    path: join(home, FILE),
    recordProcess(name, pid) {
      const identity = identify(pid);
      if (!identity) return;
      state.processes.push({ name, ...identity });
      write(home, state);
    },
    recordEndpoints({ ports = {}, urls = {} }) {
      Object.assign(state.ports, ports);
      Object.assign(state.urls, urls);
      write(home, state);
    },
    forgetProcess(pid) {
      state.processes = state.processes.filter((recorded) => recorded.pid !== pid);
      write(home, state);
    },
    release() {
      exclusively(home, () => {
        const owner = readRunState(home)?.launcher;
        if (owner?.pid === state.launcher.pid && owner.startedMark === state.launcher.startedMark) {
          rmSync(join(home, FILE), { force: true });
        }
      });
    },
  };
}

/**
 * Runs a short synchronous action while no other launcher is in here. SQLite's file lock is the system's own and
 * ends with its process, so unlike a lock file it can never be left behind.
 */
function exclusively<T>(home: string, action: () => T): T {
  const lock = new DatabaseSync(join(home, LOCK_FILE), { timeout: LOCK_WAIT_MS });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return action();
  } finally {
    lock.close();
  }
}

function write(home: string, state: RunState): void {
  const partial = join(home, `${FILE}.${process.pid}.partial`);
  writeFileSync(partial, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(partial, join(home, FILE));
}
