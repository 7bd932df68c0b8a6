/** The memory of a process and all below it, from /proc; undefined where there is none. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 200;

export interface Peak {
  /** The largest sum at one moment: each page that processes share counts once (PSS). */
  megabytes: number;
  /** What it was made of, largest first, such as `worker 700`. */
  parts: string[];
}

/** Samples until `stop`; a peak between two samples is missed. */
export function watchMemory(root: number): { stop(): Promise<Peak | undefined> } {
  if (!existsSync('/proc/self/smaps_rollup')) return { stop: () => Promise.resolve(undefined) };
  const timer = new AbortController();
  let peak: Peak = { megabytes: 0, parts: [] };
  const watching = (async () => {
    while (!timer.signal.aborted) {
      const now = sum(root);
      if (now.megabytes > peak.megabytes) peak = now;
      await sleep(EVERY_MS, undefined, { signal: timer.signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      timer.abort();
      await watching;
      return peak;
    },
  };
}

function sum(root: number): Peak {
  const parts = familyOf(root).map((pid) => ({ name: nameOf(pid), megabytes: proportional(pid) }));
  return {
    megabytes: Math.round(parts.reduce((total, part) => total + part.megabytes, 0)),
    parts: parts
      .toSorted((a, b) => b.megabytes - a.megabytes)
      .map(({ name, megabytes }) => `${name} ${Math.round(megabytes)}`),
  };
}

/** The process itself and its children's children. */
function familyOf(root: number): number[] {
  const children = Map.groupBy(
    readdirSync('/proc').filter((name) => /^\d+$/.test(name)),
    // The name of a program may hold blanks and brackets: the parent is the second field behind the last bracket.
    (pid) => Number(read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[1]),
  );
  const family = [root];
  for (const pid of family) family.push(...(children.get(pid) ?? []).map(Number));
  return family;
}

const proportional = (pid: number) =>
  Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;

/** The program and the script that it runs. */
const nameOf = (pid: number) =>
  read(`/proc/${pid}/cmdline`)
    .split('\0')
    .filter((word) => !word.startsWith('-'))
    .slice(0, 2)
    .map((word) => word.split('/').slice(-2).join('/'))
    .join(' ');

/** A process that has ended meanwhile has nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
