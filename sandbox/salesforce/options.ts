/** Options of the sandbox and the tables that they lead to. */
import type { KeyLike } from 'node:crypto';
import { STANDARD_OBJECTS } from './catalog.ts';
import type { JournalHeader } from './journal.ts';
import { ODD_OBJECTS } from './odd-objects.ts';
import type { Behaviour } from './org.ts';
import type { PubSubOptions } from './pubsub/pubsub.ts';
import { Table } from './table.ts';

export interface SandboxOptions extends Partial<Behaviour> {
  readonly port?: number;
  /** All base rows together, split over the ordinary objects; 20,000 by default. */
  readonly records?: number;
  /** Base rows per object, before `records`. */
  readonly objects?: Readonly<Record<string, number>>;
  readonly seed?: number;
  readonly living?: { readonly changesPerMinute: number } | false;
  /** Where an outbound message of every change goes, its secret in the address; nowhere by default. */
  readonly outbound?: { readonly url: string };
  /** Present, even empty: change events of every change over the Pub/Sub API; not there by default. */
  readonly pubsub?: PubSubOptions;
  readonly now?: () => number;
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** JWT assertions must carry this key's RS256 signature; without it only their form is checked. */
  readonly jwtPublicKey?: KeyLike;
  /** Life of an access token; 2 h by default. */
  readonly tokenLifeMs?: number;
  /** So many neighbouring base rows share one stamp; 1 by default. */
  readonly stampTies?: number;
  /** Base stamps cover this span, which ends one day before the start; 2 years by default. */
  readonly stampSpanMs?: number;
  /** Base stamps end this long before the start; one day by default. */
  readonly stampAgeMs?: number;
  /** Changes, schema and clock survive a restart with the same file. Bulk jobs, cursors and counters do not. */
  readonly statePath?: string;
}

const DAY_MS = 86_400_000;
const RECORDS_DEFAULT = 20_000;
const SEED_DEFAULT = 1;

export function headerOf(options: SandboxOptions, startedAt: number): JournalHeader {
  const total = options.records ?? RECORDS_DEFAULT;
  const rows: Record<string, number> = {};
  for (const { spec, share } of STANDARD_OBJECTS) {
    rows[spec.name] =
      options.objects?.[spec.name] ?? Math.max(spec.name === 'User' ? 1 : 0, Math.round(total * share));
  }
  for (const { spec, rows: few } of ODD_OBJECTS) rows[spec.name] = options.objects?.[spec.name] ?? few;
  for (const name of Object.keys(options.objects ?? {})) {
    if (rows[name] === undefined) throw new Error(`the sandbox has no object ${name}`);
  }
  return {
    sandbox: 1,
    seed: options.seed ?? SEED_DEFAULT,
    startedAt: Math.floor((startedAt - (options.stampAgeMs ?? DAY_MS)) / 1000) * 1000,
    rows,
    stampSpanMs: options.stampSpanMs ?? 730 * DAY_MS,
    stampTies: options.stampTies ?? 1,
  };
}

export function tablesOf(header: JournalHeader): Table[] {
  const specs = [...STANDARD_OBJECTS, ...ODD_OBJECTS].map(({ spec }) => spec);
  const prefixes = new Map(specs.map((spec) => [spec.name, spec.prefix]));
  return specs.map(
    (spec) =>
      new Table(spec, {
        seed: header.seed,
        rows: header.rows[spec.name] ?? 0,
        stampsUntil: header.startedAt,
        stampSpanMs: header.stampSpanMs,
        stampTies: header.stampTies,
        prefixOf: (name) => prefixes.get(name),
        countOf: (name) => header.rows[name] ?? 0,
      }),
  );
}

export function behaviourOf(options: SandboxOptions): Behaviour {
  return {
    visibilityLagMs: options.visibilityLagMs ?? 0,
    minuteResolution: options.minuteResolution ?? false,
    bulkJobMs: options.bulkJobMs ?? 50,
    bulkPageRowsMax: options.bulkPageRowsMax ?? 250_000,
    gzip: options.gzip ?? false,
    apiRequestsMax: options.apiRequestsMax ?? 100_000,
    bulkQueryJobsMax: options.bulkQueryJobsMax ?? 10_000,
    validations: options.validations ?? [],
    triggers: options.triggers ?? [],
  };
}
