import type { Config } from '../../config/schema.ts';
import { freshnessLimits, freshnessOf, worstOf, type FreshnessState } from '../../rules/freshness.ts';
import { CLAIMS_SINK } from '../../rules/sinks.ts';
import { toMs } from '../../rules/time.ts';
import { ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { Interval } from '../../schemas/window.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import type { ModelRecord } from './model.ts';

const EVERY_MS = 1_000;
/** Runs that are looked at for the last success. */
const RUNS_MAX = 20;
/** Objects that are watched; a configuration has hundreds at most. */
const OBJECTS_MAX = 2_000;
/** Sets of objects whose state was put into words in this second. */
const SETS_MAX = 5_000;

export interface SourcesState {
  state: 'fresh' | 'warn' | 'stale' | 'unknown';
  /** JSON object by connection. */
  text: string;
}

interface Proven {
  watermark: Instant | null;
  watermarkMs: number | null;
}

const STATES: Record<FreshnessState, SourcesState['state']> = {
  fresh: 'fresh',
  late: 'warn',
  stale: 'stale',
  never: 'unknown',
  paused: 'unknown',
};

/**
 * How far each object is proven in the profiles, as the ledger says: looked at once a second, never on a request. While the
 * ledger is away the last answer stands, and the lag grows by itself.
 */
export class Freshness {
  readonly #config: Config;
  readonly #ledger: () => Promise<Ledger>;
  readonly #now: () => number;
  readonly #proven = new Map<string, Proven>();
  readonly #successes = new Map<string, Instant | null>();
  readonly #said = new Map<string, SourcesState>();
  #saidAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(config: Config, ledger: () => Promise<Ledger>, now: () => number) {
    this.#config = config;
    this.#ledger = ledger;
    this.#now = now;
  }

  start(): void {
    this.#timer = setInterval(() => void this.refresh().catch(() => undefined), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The end of the gap-free coverage, ms; null: nothing is proven, or nobody has asked for this object before. */
  watermark(source: string, object: string): number | null {
    return this.#proven.get(keyOf(source, object))?.watermarkMs ?? null;
  }

  /** How old the copy of this object may become before it is late, ms; null for what is no connection of ours. */
  warnMs(source: string, object: string): number | null {
    return this.#limits(source, object)?.warnMs ?? null;
  }

  /** Looks at objects for the first time; afterwards they are watched. */
  async know(records: readonly Pick<ModelRecord, 'source' | 'object'>[]): Promise<void> {
    let isNew = false;
    for (const { source, object } of records) {
      const key = keyOf(source, object);
      if (this.#proven.has(key) || this.#proven.size >= OBJECTS_MAX) continue;
      this.#proven.set(key, { watermark: null, watermarkMs: null });
      isNew = true;
    }
    if (isNew) await this.refresh().catch(() => undefined);
  }

  knows(records: readonly Pick<ModelRecord, 'source' | 'object'>[]): boolean {
    return records.every(({ source, object }) => this.#proven.has(keyOf(source, object)));
  }

  /** Everything watched, from the ledger; whoever asks meanwhile shares it. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  async #read(): Promise<void> {
    const ledger = await this.#ledger();
    const sources = new Set<string>();
    for (const key of this.#proven.keys()) {
      const [source = '', object = ''] = key.split('\0');
      sources.add(source);
      const watermark = checkpoint(await ledger.sinkCoverage(CLAIMS_SINK, source, object));
      this.#proven.set(key, { watermark, watermarkMs: watermark === null ? null : toMs(watermark) });
    }
    for (const source of sources) {
      const runs = await ledger.runs({ connection: source, limit: RUNS_MAX });
      const last = runs.find(({ outcome, endedAt }) => outcome === 'ok' && endedAt !== null);
      this.#successes.set(source, last?.endedAt ?? null);
    }
    this.#said.clear();
  }

  /** Of a profile: that of the worst object that it is made of. */
  sources(records: readonly ModelRecord[]): SourcesState {
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#saidAt) >= EVERY_MS || this.#said.size >= SETS_MAX) {
      this.#said.clear();
      this.#saidAt = nowMs;
    }
    let key = '';
    for (const { source, object } of records) key += `${source}\0${object}\0`;
    let said = this.#said.get(key);
    if (said === undefined) {
      said = this.#say(records, nowMs);
      this.#said.set(key, said);
    }
    return said;
  }

  #say(records: readonly ModelRecord[], nowMs: number): SourcesState {
    const now = new Date(nowMs).toISOString();
    const states: FreshnessState[] = [];
    const bySource = Map.groupBy(records, ({ source }) => source);
    const texts = [...bySource].map(([source, own]) => {
      const objects = new Set(own.map(({ object }) => object));
      const found = [...objects].map((object) => {
        const proven = this.#proven.get(keyOf(source, object));
        const limits = this.#limits(source, object);
        // What no connection brings, such as inferred values of the API, is never late.
        if (limits === undefined) return { watermark: null, limits, state: 'fresh' as const, lagMs: null };
        const { state, lagMs } = freshnessOf(proven?.watermark ?? null, now, limits, false);
        return { watermark: proven?.watermark ?? null, limits, state, lagMs };
      });
      states.push(...found.map(({ state }) => state));
      const worst = worstOf(found.map(({ state }) => state));
      const [shown = found[0]] = found
        .filter(({ state }) => state === worst)
        .toSorted((left, right) => (right.lagMs ?? 0) - (left.lagMs ?? 0));
      return `${JSON.stringify(source)}:${JSON.stringify({
        state: STATES[worst],
        last_success: this.#successes.get(source) ?? null,
        watermark: shown?.watermark ?? null,
        lag_s: seconds(shown?.lagMs ?? null),
        warn_after_s: seconds(shown?.limits?.warnMs ?? null),
        error_after_s: seconds(shown?.limits?.errorMs ?? null),
      })}`;
    });
    return {
      state: states.length === 0 ? 'unknown' : STATES[worstOf(states)],
      text: `{${texts.join(',')}}`,
    };
  }

  #limits(source: string, object: string) {
    const { connections } = this.#config;
    const connection = Object.hasOwn(connections, source) ? connections[source] : undefined;
    if (connection === undefined) return undefined;
    return freshnessLimits(connection.freshness, object, connection.schedule.everyMs);
  }
}

const keyOf = (source: string, object: string): string => `${source}\0${object}`;

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1_000));

function checkpoint([first]: readonly Interval[]): Instant | null {
  return first?.from === ORIGIN ? first.until : null;
}
