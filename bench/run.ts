/** npm run bench: measures, prints one table and says what misses its target. bench/README.md tells how to read it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { backfill } from './backfill.ts';
import { claims } from './claims.ts';
import { claimsInPostgres } from './claims-postgres.ts';
import { isMet, summarize, table, type Figure } from './figures.ts';
import { firstLoad } from './first-load.ts';
import { incremental } from './incremental.ts';
import { machine } from './machine.ts';
import { memory } from './memory.ts';
import type { BenchOptions } from './options.ts';
import { profileReads } from './profile-reads.ts';
import { peers } from './peers/compare.ts';
import { closeStands, DEFAULT_RESOURCES } from './stand.ts';
import { realTime } from './real-time.ts';
import { temporalCost } from './temporal-cost.ts';
import { warehouseBigquery } from './warehouse-bigquery.ts';
import { warehousePostgres } from './warehouse-postgres.ts';
import { warehouseRedshift } from './warehouse-redshift.ts';
import { warehouseSnowflake } from './warehouse-snowflake.ts';

const MEASUREMENTS: Record<string, (options: BenchOptions) => Promise<Figure[]>> = {
  'first-load': firstLoad,
  incremental,
  'temporal-cost': temporalCost,
  backfill,
  memory,
  peers,
  claims,
  'claims-postgres': claimsInPostgres,
  'warehouse-postgres': warehousePostgres,
  'warehouse-bigquery': warehouseBigquery,
  'warehouse-snowflake': warehouseSnowflake,
  'warehouse-redshift': warehouseRedshift,
  'profile-reads': profileReads,
  'real-time': realTime,
};

/** The table shows so much of an error; all of it was printed when it happened. */
const ERROR_CHARACTERS_MAX = 200;

const USAGE = `npm run bench -- [options]
  --only <names>     of ${Object.keys(MEASUREMENTS).join(', ')}; comma between them
  --quick            200,000 rows, 3 runs, no peers, memory up to 1M rows
  --rows <n>         Contacts of the first load, records of claims; default 1,000,000
  --runs <n>         repetitions of each timing; default 5
  --peers            with --quick: compare with other tools too
  --calm-s <n>       wait so long at most for a calm machine before a timing; default 30
  --memory-mb <n>    the worker's DuckDB memory, and the limit's; default 1024
  --threads <n>      the worker's DuckDB threads, and the limit's; default 2
  --json             print JSON instead of the table
  --save             also write bench/results/<date>.json`;

/** What has been measured so far: an interrupted bench still tells it. */
const figures: Figure[] = [];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rows: { type: 'string' },
      runs: { type: 'string' },
      peers: { type: 'boolean', default: false },
      'calm-s': { type: 'string', default: '30' },
      'memory-mb': { type: 'string', default: String(DEFAULT_RESOURCES.memoryMb) },
      threads: { type: 'string', default: String(DEFAULT_RESOURCES.threads) },
      json: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const { quick } = values;
  const options: BenchOptions = {
    rows: whole('rows', values.rows ?? (quick ? '200000' : '1000000')),
    runs: whole('runs', values.runs ?? (quick ? '3' : '5')),
    quick,
    calmMs: whole('calm-s', values['calm-s']) * 1000,
    resources: {
      memoryMb: whole('memory-mb', values['memory-mb']),
      threads: whole('threads', values.threads),
    },
    progress: (line) => process.stderr.write(`  ${line}\n`),
  };
  const names = chosen(values.only, quick && !values.peers);
  for (const name of names) {
    process.stderr.write(`${name} …\n`);
    figures.push(...(await attempt(name, options)));
  }
  const report = reportOf(options);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${table(figures)}\n`);
  if (values.save) save(report);
  return figures.some((figure) => isMet(figure) === false) ? 1 : 0;
}

function whole(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0)
    throw new Error(`--${name} must be a whole number, not "${text}"`);
  return number;
}

function chosen(only: string | undefined, withoutPeers: boolean): string[] {
  const all = Object.keys(MEASUREMENTS);
  if (only === undefined) return withoutPeers ? all.filter((name) => name !== 'peers') : all;
  const names = only.split(',');
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(',')}: choose from ${all.join(', ')}`);
  return names;
}

/** One measurement that fails does not take the others' figures with it. */
async function attempt(name: string, options: BenchOptions): Promise<Figure[]> {
  try {
    const measure = MEASUREMENTS[name];
    return measure === undefined ? [] : await measure(options);
  } catch (error) {
    const message = reason(error);
    process.stderr.write(`  ${name} failed: ${message}\n`);
    return [
      {
        name,
        unit: 's',
        values: [],
        target: {},
        error: message.replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARACTERS_MAX),
      },
    ];
  }
}

/** Temporal's own errors say little; their causes say what went wrong. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${reason(error.cause)}` : error.message;
}

interface Report {
  at: string;
  machine: ReturnType<typeof machine>;
  loadAverage: number[];
  options: Omit<BenchOptions, 'progress'>;
  figures: (Figure & { median: number | null; met: boolean | null })[];
}

function reportOf(options: BenchOptions): Report {
  const { rows, runs, quick, calmMs, resources } = options;
  return {
    at: new Date().toISOString(),
    machine: machine(),
    loadAverage: loadavg(),
    options: { rows, runs, quick, calmMs, resources },
    figures: figures.map((figure) => ({
      ...figure,
      median: figure.values.length === 0 ? null : summarize(figure.values).median,
      met: isMet(figure) ?? null,
    })),
  };
}

function save(report: Report): void {
  const folder = fileURLToPath(new URL('results', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.at.slice(0, 10)}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  process.stderr.write(`written: ${path}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    if (figures.length > 0) process.stdout.write(`${table(figures)}\n`);
    void closeStands().finally(() => process.exit(130));
  });
}

// A defect must not leave servers behind.
process.once('uncaughtException', (failure) => {
  process.stderr.write(`${failure.stack ?? failure.message}\n`);
  void closeStands().finally(() => process.exit(2));
});

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
