/** The machine under the bench: how busy others keep it, and what a process has used at most. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const SAMPLE_MS = 500;
/** Others may use so much of all cores for a moment to count as calm. */
const CALM_SHARE_MAX = 0.15;

export interface Machine {
  cores: number;
  memoryGb: number;
  cpu: string;
  node: string;
}

export function machine(): Machine {
  const cores = cpus();
  return {
    cores: cores.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    cpu: cores[0]?.model.trim() ?? 'unknown',
    node: process.version,
  };
}

function jiffies(): { busy: number; all: number } {
  const fields =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const all = fields.slice(0, 8).reduce((sum, value) => sum + value, 0);
  const [, , , idle = 0, waiting = 0] = fields;
  return { busy: all - idle - waiting, all };
}

/** The share of all cores in use while the bench itself rests. */
async function busyShare(): Promise<number> {
  const before = jiffies();
  await sleep(SAMPLE_MS);
  const after = jiffies();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** Tells how often a timing began on a busy machine, so that such figures are labelled. */
export class Calm {
  readonly #waitMsMax: number;
  #looked = 0;
  #busy = 0;

  constructor(waitMsMax: number) {
    this.#waitMsMax = waitMsMax;
  }

  /** Waits for others to rest, not for ever. */
  async wait(): Promise<void> {
    this.#looked += 1;
    const deadline = performance.now() + this.#waitMsMax;
    for (;;) {
      if ((await busyShare()) <= CALM_SHARE_MAX) return;
      if (performance.now() >= deadline) break;
    }
    this.#busy += 1;
  }

  /** Empty when every timing began in calm. */
  label(): string {
    if (this.#busy === 0) return '';
    return `under load: ${this.#busy} of ${this.#looked} timings began while others used the machine (load average ${loadavg()[0]?.toFixed(1)})`;
  }
}

/** The most memory that the process has held at once, MB; since its start or the last `forgetPeak`. */
export function peakMb(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
