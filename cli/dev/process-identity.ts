import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { platform } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that cannot be mistaken for another: a pid alone is reused by the system. */
export interface ProcessIdentity {
  pid: number;
  /** An opaque mark of when it started, comparable on the same machine only. */
  startedMark: string;
}

const POLL_MS = 25;

/** The mark of a running process; undefined if there is none (a zombie has ended, so it counts as none). */
export function startedMark(pid: number): string | undefined {
  return platform === 'linux' ? markFromProc(pid) : markFromPs(pid);
}

export function identify(pid: number): ProcessIdentity | undefined {
  const mark = startedMark(pid);
  return mark === undefined ? undefined : { pid, startedMark: mark };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return startedMark(identity.pid) === identity.startedMark;
}

/** SIGTERM, and after the grace SIGKILL; never signals a process that merely has the same pid. */
export async function terminate(
  identity: ProcessIdentity,
  graceMs: number,
): Promise<'gone' | 'ended' | 'killed'> {
  if (!isAlive(identity)) return 'gone';
  signal(identity, 'SIGTERM');
  if (await endsWithin(identity, graceMs)) return 'ended';
  signal(identity, 'SIGKILL');
  await endsWithin(identity, graceMs);
  return 'killed';
}

async function endsWithin(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (isAlive(identity)) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    // It ended between the look and the signal, which is what was asked for.
    if (isAlive(identity)) throw error;
  }
}

function markFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command in parentheses, may itself hold spaces and parentheses: count after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, ticks] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || ticks === undefined) return undefined;
    // Ticks count from boot, so the boot's own id belongs to the mark.
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${ticks}`;
  } catch {
    return undefined;
  }
}

function markFromPs(pid: number): string | undefined {
  try {
    const output = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    }).trim();
    const [state = 'Z', ...started] = output.split(/\s+/);
    return state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}
