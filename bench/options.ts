import type { Resources } from './stand.ts';

/** What every measurement is told. */
export interface BenchOptions {
  /** Contacts of the first load. */
  rows: number;
  runs: number;
  /** A smaller bench for a first look: fewer sizes and repetitions. */
  quick: boolean;
  /** How long a timing waits at most for other programs to rest, ms. */
  calmMs: number;
  resources: Resources;
  progress(line: string): void;
}
