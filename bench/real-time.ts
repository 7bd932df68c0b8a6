/** Webhooks: how soon they are acknowledged, also beside a first load, and how soon the profile API tells what they brought. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { keyHash, newKey } from '../config/keys.ts';
import type { Figure } from './figures.ts';
import { Calm, peakMb } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { HOOK_SECRET, withStand, type BenchWorker } from './stand.ts';

const SENDER = fileURLToPath(new URL('hooks.ts', import.meta.url));
const ORGANIZATION = '00D000000000001';
const OBJECT = 'Lead';
const LEADS = 20_000;
const ACK_PER_SECOND = 500;
const ACK_MS_MAX = 25;
const VISIBLE_PER_SECOND = 200;
const VISIBLE_MS_MAX = 500;
const SECONDS = 20;
const QUICK_SECONDS = 8;
/** By then a first load has landed and its records become profiles. */
const LOADED_AFTER_MS = 2_000;
const LOAD_MS_MAX = 120_000;

const resultSchema = z.object({ ms: z.array(z.number()), failed: z.number() });
type Result = z.infer<typeof resultSchema>;

interface Sending {
  hookUrl: string;
  profilesUrl: string;
  sandboxUrl: string;
  key: string;
  ids: string[];
  seconds: number;
}

async function sent(mode: 'ack' | 'visible', perSecond: number, sending: Sending): Promise<Result> {
  const plan = { mode, perSecond, organizationId: ORGANIZATION, object: OBJECT, ...sending };
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      SENDER,
      JSON.stringify({ ...plan, ids: sending.ids.slice(0, IDS_MAX) }),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return resultSchema.parse(JSON.parse(output));
}

/** They go on the sender's command line. */
const IDS_MAX = 3_000;

function p99(ms: readonly number[]): number {
  const sorted = ms.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}

function figure(name: string, max: number, { ms, failed }: Result, more = ''): Figure {
  const sorted = ms.toSorted((left, right) => left - right);
  const median = (sorted[sorted.length >> 1] ?? Number.NaN).toFixed(1);
  const longest = (sorted.at(-1) ?? Number.NaN).toFixed(1);
  const lost = failed === 0 ? '' : `; ${failed} FAILED`;
  return {
    name,
    unit: 'ms',
    values: failed === 0 ? [p99(ms)] : [],
    target: { max },
    note: `of ${ms.length}; median ${median} ms, longest ${longest} ms${lost}${more}`,
  };
}

export async function realTime(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  const seconds = options.quick ? QUICK_SECONDS : SECONDS;
  const key = newKey();
  const connections = [
    {
      name: 'hooks',
      objects: [OBJECT],
      webhooks: {
        secrets: [{ $secret: { env: 'BENCH_HOOK_SECRET' } }],
        organizationId: ORGANIZATION,
        perSecond: 10_000,
        burst: 10_000,
      },
    },
    { name: 'bulk', objects: ['Contact'] },
  ];
  const more = {
    profiles: {},
    serve: {
      profiles: { port: 0 },
      webhooks: { port: 0 },
      keys: { bench: { hash: keyHash(key), scopes: ['read'], perSecond: 100_000, burst: 100_000 } },
    },
  };
  return await withStand({ Lead: LEADS, Contact: options.rows }, async (stand) => {
    const worker = await stand.startWorker(connections, options.resources, more);
    await worker.sync('hooks');
    const urls = await worker.serve();
    const ids = (
      await worker.sql(`SELECT id FROM hooks.lead WHERE NOT _deleted ORDER BY id LIMIT ${IDS_MAX}`)
    ).map(({ id }) => String(id));
    const sending: Sending = {
      hookUrl: `${urls.webhooks}/webhooks/hooks/${HOOK_SECRET}`,
      profilesUrl: urls.profiles,
      sandboxUrl: stand.sandbox.url,
      key,
      ids,
      seconds,
    };
    await calm.wait();
    const visible = await sent('visible', VISIBLE_PER_SECOND, sending);
    options.progress(`visible: p99 ${Math.round(p99(visible.ms))} ms of ${visible.ms.length}`);
    await calm.wait();
    const acks = await sent('ack', ACK_PER_SECOND, sending);
    options.progress(`acknowledged: p99 ${p99(acks.ms).toFixed(1)} ms of ${acks.ms.length}`);
    const besides = await besideLoad(worker, () => sent('ack', ACK_PER_SECOND, sending));
    options.progress(`acknowledged beside a first load: p99 ${p99(besides.result.ms).toFixed(1)} ms`);
    const rows = options.rows.toLocaleString('en');
    return [
      figure(`webhook to profile API, p99 at ${VISIBLE_PER_SECOND}/s`, VISIBLE_MS_MAX, visible),
      figure(`webhook acknowledged, p99 at ${ACK_PER_SECOND}/s`, ACK_MS_MAX, acks),
      figure(
        `webhook acknowledged while ${rows} records become profiles, p99 at ${ACK_PER_SECOND}/s`,
        ACK_MS_MAX,
        besides.result,
        besides.loading ? '' : '; THE LOAD ENDED FIRST',
      ),
      { name: 'peak memory of the servers', unit: 'MB', values: [peakMb(urls.pid)] },
    ];
  });
}

/** `loading`: the records were still being reconciled when the last webhook was acknowledged. */
async function besideLoad(
  worker: BenchWorker,
  measure: () => Promise<Result>,
): Promise<{ result: Result; loading: boolean }> {
  const state = { loading: true };
  const load = worker.sync('bulk').finally(() => (state.loading = false));
  const until = performance.now() + LOAD_MS_MAX;
  // The last step before reconcile: all rows are in the warehouse.
  while (state.loading && performance.now() < until) {
    const [row] = await worker
      .sql("SELECT count(*) AS n FROM _headwater.intervals WHERE connection = 'bulk'")
      .catch(() => []);
    if (Number(row?.['n'] ?? 0) > 0) break;
    await sleep(200);
  }
  await sleep(LOADED_AFTER_MS);
  const result = await measure();
  const { loading } = state;
  await load;
  return { result, loading };
}
