/** The claims store: observations per second end to end, and how long a webhook's record waits during bulk work. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimValue, Observation } from '../schemas/observation.ts';
import type { Claims } from '../stores/claims/claims.ts';
import { openSqliteClaims } from '../stores/claims/sqlite.ts';
import type { Figure } from './figures.ts';
import type { BenchOptions } from './options.ts';

const RATE_MIN = 25_000;
const WAIT_MS_MAX = 20;
const BATCH_ROWS = 10_000;
const SINGLE_EVERY_MS = 50;
/** 70 % new, 20 % changed, 10 % unchanged. */
const MIX = { new: 0.7, changed: 0.2 };
const SOURCES = ['crm', 'marketing'] as const;
const FIRST_AT = Date.UTC(2026, 0, 1);

const CITIES = ['Graz', 'Porto', 'Lyon', 'Turku', 'Leeds', 'Ghent', 'Brno', 'Cork'];

/** A repeatable stream: record n of a source, in its version v. Every second pair of records shares its e-mail address. */
function contact(source: string, n: number, version: number): Observation {
  const email = n % 2 === 0 || source === 'crm' ? `person.${n}@example.org` : `other.${n}@example.net`;
  const stamp = new Date(FIRST_AT + n * 10 + version * 60_000).toISOString();
  const fields: Record<string, ClaimValue> = {
    address: null,
    city: CITIES[n % CITIES.length] ?? null,
    company: `Company ${n % 5_000}`,
    country: 'AT',
    createdAt: '2025-03-01T09:00:00.000Z',
    department: n % 3 === 0 ? 'Sales' : null,
    doNotCall: false,
    email,
    firstName: `First${n % 1_000}`,
    jobTitle: version === 0 ? 'Engineer' : `Engineer level ${version}`,
    language: 'de',
    lastName: `Last${n % 10_000}`,
    leadSource: 'web',
    mobile: `+43664${String(n).padStart(7, '0')}`,
    ownerId: `005${n % 50}`,
    phone: source === 'crm' ? `+431${String(n).padStart(7, '0')}` : null,
    postalCode: String(1_000 + (n % 9_000)),
    salutation: n % 2 === 0 ? 'Ms' : 'Mr',
    score: n % 100,
    website: null,
  };
  return {
    entity: 'contact',
    ref: { source, object: 'Contact', record: `003${String(n).padStart(12, '0')}` },
    stamp,
    version: '',
    deleted: false,
    fields,
    identifiers: [{ kind: 'email', value: email }],
    confirmedAt: stamp,
    rowHash: `${n}.${version}`,
  };
}

/** Batches of the mix, until so many observations were made. */
export function* load(total: number): Generator<Observation[]> {
  const next = new Map<string, number>(SOURCES.map((source) => [source, 0]));
  let random = 1;
  const pick = (below: number) => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
  for (let done = 0, turn = 0; done < total; turn += 1) {
    const source = SOURCES[turn % SOURCES.length] ?? 'crm';
    const batch: Observation[] = [];
    for (let row = 0; row < BATCH_ROWS && done < total; row += 1, done += 1) {
      const count = next.get(source) ?? 0;
      const kind = pick(1_000) / 1_000;
      if (count < 100 || kind < MIX.new) {
        batch.push(contact(source, count, 0));
        next.set(source, count + 1);
      } else if (kind < MIX.new + MIX.changed) {
        batch.push(contact(source, pick(count), 1 + pick(3)));
      } else {
        batch.push(contact(source, pick(count), 0));
      }
    }
    yield batch;
  }
}

/** One record at a time, as webhooks come, until told to stop; how long each waited, ms. */
async function singles(claims: Claims, isDone: () => boolean): Promise<number[]> {
  const waits: number[] = [];
  for (let n = 0; !isDone(); n += 1) {
    await sleep(SINGLE_EVERY_MS);
    const start = performance.now();
    const observation = contact('hooks', n, 0);
    const cause = { via: 'webhook' as const, run: null, actor: null, reason: null, at: observation.stamp };
    await claims.apply({ id: null, observations: [observation], cause });
    waits.push(performance.now() - start);
  }
  return waits;
}

interface Measured {
  rate: number;
  lastRate: number;
  waits: number[];
  bytes: number;
  rssMb: number;
}

/** A store of one kind, new and empty. */
export interface ClaimsUnderTest {
  name: string;
  /** Observations per second that it is made for. */
  rateMin: number;
  open(options: { masterKey: Buffer; rules: Map<string, never>; now: () => string }): Promise<{
    claims: Claims;
    bytes: () => Promise<number>;
    /** After the claims are closed. */
    remove: () => Promise<void>;
  }>;
}

const SQLITE: ClaimsUnderTest = {
  name: 'claims',
  rateMin: RATE_MIN,
  async open(options) {
    const folder = await mkdtemp(join(tmpdir(), 'headwater-claims-'));
    const path = join(folder, 'claims.db');
    return {
      claims: await openSqliteClaims({ path, ...options }),
      bytes: async () => (await stat(path)).size,
      remove: async () => await rm(folder, { recursive: true }),
    };
  },
};

async function measure(
  store: ClaimsUnderTest,
  total: number,
  withSingles: boolean,
  options: BenchOptions,
): Promise<Measured> {
  const now = () => new Date(FIRST_AT).toISOString();
  const { claims, bytes, remove } = await store.open({
    masterKey: randomBytes(32),
    rules: new Map<string, never>(),
    now,
  });
  try {
    let done = false;
    const waiting = withSingles ? singles(claims, () => done) : Promise.resolve([]);
    let applied = 0;
    let appliedMs = 0;
    let lastMs = 0;
    let rssMb = 0;
    let number = 0;
    for (const observations of load(total)) {
      const at = new Date(FIRST_AT + 200 * 24 * 3_600_000 + number).toISOString();
      const start = performance.now();
      await claims.apply({
        id: `batch-${number}`,
        observations,
        cause: { via: 'poll', run: `run-${number % 24}`, actor: null, reason: null, at },
      });
      const ms = performance.now() - start;
      appliedMs += ms;
      lastMs = ms;
      applied += observations.length;
      number += 1;
      rssMb = Math.max(rssMb, process.memoryUsage().rss / 1e6);
      if (number % 20 === 0) {
        options.progress(
          `${applied.toLocaleString('en')}: ${Math.round((applied / appliedMs) * 1000)}/s, now ${Math.round((observations.length / lastMs) * 1000)}/s`,
        );
      }
    }
    done = true;
    const waits = await waiting;
    return {
      rate: (applied / appliedMs) * 1000,
      lastRate: (BATCH_ROWS / lastMs) * 1000,
      waits,
      bytes: await bytes(),
      rssMb,
    };
  } finally {
    await claims.close();
    await remove();
  }
}

const MIXED = '70 % new, 20 % changed, 10 % unchanged; two sources share half of the identifiers';

export async function claims(options: BenchOptions): Promise<Figure[]> {
  return await measureClaims(SQLITE, options);
}

export async function measureClaims(store: ClaimsUnderTest, options: BenchOptions): Promise<Figure[]> {
  const total = options.rows;
  const { name } = store;
  const bulk = await measure(store, total, false, options);
  const mixed = await measure(store, Math.min(total, 300_000), true, options);
  const sorted = mixed.waits.toSorted((left, right) => left - right);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
  return [
    {
      name: `${name}: observations applied, ${total.toLocaleString('en')} records`,
      unit: 'rows/s',
      values: [bulk.rate],
      target: { min: store.rateMin },
      note: `${MIXED}; ${Math.round(bulk.bytes / total)} bytes each`,
    },
    { name: `${name}: peak memory`, unit: 'MB', values: [bulk.rssMb] },
    {
      name: `${name}: wait of a single record during bulk, p99`,
      unit: 'ms',
      values: Number.isNaN(p99) ? [] : [p99],
      target: { max: WAIT_MS_MAX },
      note: `of ${sorted.length}; median ${(sorted[sorted.length >> 1] ?? 0).toFixed(1)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(1)} ms`,
    },
  ];
}
