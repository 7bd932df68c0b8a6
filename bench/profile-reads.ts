/** Reads of the profile API from Redis, beside a bare HTTP server that answers with the same bytes from the same Redis. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createClient } from 'redis';
import { keyHash, newKey } from '../config/keys.ts';
import { contact } from '../schemas/entities/contact.ts';
import type { GoldenField } from '../schemas/profile.ts';
import { textOf } from '../servers/profiles/model.ts';
import { openRedisCache } from '../stores/cache/redis.ts';
import type { Cache } from '../stores/cache/cache.ts';
import { findRedis, startRedis } from '../test/support/redis.ts';
import type { Figure } from './figures.ts';
import { Calm } from './machine.ts';
import type { BenchOptions } from './options.ts';

/** Of what the bare server does with one second of processor time. */
const SHARE_MIN = 0.7;
/** At a million profiles against twenty thousand. */
const P99_GROWTH_MAX = 1.5;
const FEW = 20_000;
const CONNECTIONS = 32;
/** A load that leaves the server room, so that waiting for the processor is not what is measured. */
const CONNECTIONS_CALM = 4;
const SECONDS = 4;
const QUICK_SECONDS = 2;
const PUT_ROWS = 500;
const AT = new Date(Date.UTC(2026, 10, 21)).toISOString();

const idOf = (n: number) => `p_${n.toString(16).padStart(32, '0')}`;

/** A profile of twelve fields of two records, some 3 kB as it is answered. */
function entryText(n: number): string {
  const refs = ['crm', 'marketing'].map((source) => ({ source, object: 'Contact', record: `003${n}` }));
  const values: Record<string, string> = {
    email: `person.${n}@example.org`,
    phone: `+4366400${n}`,
    firstName: `First${n}`,
    lastName: `Last${n}`,
    jobTitle: 'Engineer',
    company: `Company ${n % 5_000}`,
    account: `crm:Account:001${n}`,
    street: 'Main street 1',
    city: 'Graz',
    postalCode: '8010',
    country: 'AT',
    lifecycleStage: 'customer',
  };
  const fields = Object.entries(values).map(([name, value], at): [string, GoldenField] => [
    name,
    {
      value,
      ref: refs[at % 2] ?? null,
      claim: `c_${n}_${at}_0123456789`,
      kind: 'explicit',
      confidence: 1,
      changedAt: AT,
      decidedBy: 'latest',
      contested: at % 3 === 0,
      tied: false,
    },
  ]);
  const profile = {
    profile: idOf(n),
    entity: 'contact',
    version: 1,
    seq: n,
    deleted: false,
    mergedInto: null,
    fields: Object.fromEntries(fields),
    records: refs.map((ref) => ({ ...ref, deleted: false })),
    updatedAt: AT,
  };
  return textOf({ profile, aliases: [], confirmedAt: [AT, AT], unconfirmed: [] }, contact, []);
}

async function fill(cache: Cache, from: number, until: number): Promise<void> {
  for (let first = from; first < until; first += PUT_ROWS) {
    const rows = Array.from({ length: Math.min(PUT_ROWS, until - first) }, (_, at) => first + at);
    const puts = rows.map((n) => ({
      entry: { kind: 'profile' as const, id: idOf(n), version: 1, readMs: 1, text: entryText(n) },
      ttlMs: 24 * 3_600_000,
    }));
    if ((await cache.put(puts)) !== puts.length) throw new Error('Redis did not take the profiles');
  }
}

interface Server {
  url: URL;
  /** Seconds of processor time so far. */
  cpu(): Promise<number>;
  close(): void;
}

async function start(words: string[], redis: string): Promise<Server> {
  const path = fileURLToPath(new URL('profile-server.ts', import.meta.url));
  const child: ChildProcess = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', path, ...words],
    { env: { ...process.env, BENCH_REDIS: redis }, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  if (child.stdout === null || child.stdin === null) throw new Error('the server has no pipes');
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => String((await lines.next()).value);
  const url = new URL(await next());
  return {
    url,
    async cpu() {
      stdin.write('cpu\n');
      return Number(await next());
    },
    close: () => stdin.end(),
  };
}

const misses = { count: 0 };

interface Measured {
  count: number;
  seconds: number;
  cpuSeconds: number;
  waits: Float64Array;
}

/** As fast as so many connections go, one request each at a time; ids at random. */
async function load(
  server: Server,
  key: string,
  profiles: number,
  connections: number,
  seconds: number,
): Promise<Measured> {
  const waits: number[] = [];
  const cpuBefore = await server.cpu();
  const started = performance.now();
  const until = started + seconds * 1_000;
  await Promise.all(
    Array.from({ length: connections }, async () => await ask(server.url, key, profiles, until, waits)),
  );
  const took = (performance.now() - started) / 1_000;
  const cpuSeconds = (await server.cpu()) - cpuBefore;
  return { count: waits.length, seconds: took, cpuSeconds, waits: Float64Array.from(waits).toSorted() };
}

/** One connection; the sender must cost less than what it measures, so it reads no more than lengths. */
async function ask(url: URL, key: string, profiles: number, until: number, waits: number[]): Promise<void> {
  const socket: Socket = connect(Number(url.port), url.hostname);
  socket.setNoDelay(true);
  await once(socket, 'connect');
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let missing = -1;
    const send = () => {
      const id = idOf(Math.floor(Math.random() * profiles));
      sent = performance.now();
      socket.write(`GET /v1/profiles/${id} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${key}\r\n\r\n`);
    };
    socket.on('error', reject);
    socket.on('data', (part: Buffer) => {
      if (missing < 0) {
        const end = part.indexOf('\r\n\r\n');
        const head = part.toString('latin1', 0, end);
        const length = /content-length: (\d+)/i.exec(head)?.[1];
        // A miss is read from the claims, which are empty here.
        if (head.startsWith('HTTP/1.1 404')) misses.count += 1;
        else if (!head.startsWith('HTTP/1.1 200')) missing = NaN;
        if (end < 0 || length === undefined || Number.isNaN(missing)) {
          reject(new Error(`an answer that was not expected: ${head.slice(0, 80)}`));
          socket.destroy();
          return;
        }
        missing = Number(length) - (part.length - end - 4);
      } else missing -= part.length;
      if (missing > 0) return;
      missing = -1;
      waits.push(performance.now() - sent);
      if (performance.now() < until) send();
      else {
        socket.destroy();
        resolve();
      }
    });
    send();
  });
}

const p99 = ({ waits }: Measured) => waits[Math.floor(waits.length * 0.99)] ?? Number.NaN;
const perCpu = ({ count, cpuSeconds }: Measured) => count / cpuSeconds;
const rate = ({ count, seconds }: Measured) => Math.round(count / seconds);

export async function profileReads(options: BenchOptions): Promise<Figure[]> {
  const binary = await findRedis();
  if (typeof binary === 'string') throw new Error(binary);
  const redis = await startRedis(binary);
  const key = newKey();
  const cache = openRedisCache({ url: redis.url, prefix: 'bench' });
  const servers: Server[] = [];
  try {
    while (!cache.isUp()) await cache.get(['p_none']);
    await fill(cache, 0, FEW);
    const api = await start(['api', 'bench', keyHash(key) ?? ''], redis.url);
    const bare = await start(['bare', 'bare:'], redis.url);
    servers.push(api, bare);
    await copyAnswers(api, key, redis.url);
    return await measure({ api, bare, key, cache }, options);
  } finally {
    for (const server of servers) server.close();
    await cache.close();
    await redis.stop();
  }
}

/** What the API answers is what the bare server finds in Redis. */
async function copyAnswers({ url }: Server, key: string, redis: string): Promise<void> {
  const client = createClient({ url: redis });
  await client.connect();
  for (let first = 0; first < FEW; first += 100) {
    const ids = Array.from({ length: 100 }, (_, at) => idOf(first + at));
    const texts = await Promise.all(
      ids.map(async (id) => {
        const answer = await fetch(`${url.origin}/v1/profiles/${id}`, {
          headers: { authorization: `Bearer ${key}` },
        });
        return await answer.text();
      }),
    );
    await client.mSet(Object.fromEntries(texts.map((text, at) => [`bare:${ids[at]}`, text])));
  }
  client.destroy();
}

async function measure(
  { api, bare, key, cache }: { api: Server; bare: Server; key: string; cache: Cache },
  options: BenchOptions,
): Promise<Figure[]> {
  const seconds = options.quick ? QUICK_SECONDS : SECONDS;
  for (const server of [api, bare]) await load(server, key, FEW, CONNECTIONS, 1);
  const calm = new Calm(options.calmMs);
  const shares: number[] = [];
  const rates: string[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    await calm.wait();
    const there = await load(bare, key, FEW, CONNECTIONS, seconds);
    const here = await load(api, key, FEW, CONNECTIONS, seconds);
    shares.push(perCpu(here) / perCpu(there));
    rates.push(`${rate(here)} against ${rate(there)}/s`);
    options.progress(
      `${rates.at(-1)}; per second of processor ${Math.round(perCpu(here))} against ${Math.round(perCpu(there))}`,
    );
  }
  const few = await load(api, key, FEW, CONNECTIONS_CALM, seconds);
  await fill(cache, FEW, options.rows);
  const many = await load(api, key, options.rows, CONNECTIONS_CALM, seconds);
  return [
    {
      name: 'profile reads: share of a bare server with Redis',
      unit: '×',
      values: shares,
      target: { min: SHARE_MIN },
      note: `per second of processor time of the server; by the clock ${rates.at(-1) ?? ''}; ${misses.count} misses; ${calm.label()}`,
    },
    { name: `profile reads: p99, ${FEW.toLocaleString('en')} profiles`, unit: 'ms', values: [p99(few)] },
    {
      name: `profile reads: p99, ${options.rows.toLocaleString('en')} profiles`,
      unit: 'ms',
      values: [p99(many)],
      note: `${rate(few)} and ${rate(many)}/s on ${CONNECTIONS_CALM} connections; ${p99(few).toFixed(2)} and ${p99(many).toFixed(2)} ms`,
    },
    {
      name: 'profile reads: growth of p99',
      unit: '×',
      values: [p99(many) / p99(few)],
      target: { max: P99_GROWTH_MAX },
    },
  ];
}
