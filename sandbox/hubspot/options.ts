/** Options of the sandbox and the tables that they lead to. */
import { headerOf as salesforceHeaderOf } from '../salesforce/options.ts';
import { TYPES } from './catalog.ts';
import type { Behaviour } from './hub.ts';
import { ID_STEP, Table } from './table.ts';
import { Twins } from './twins.ts';

export interface HubSpotSandboxOptions extends Partial<Behaviour> {
  readonly port?: number;
  /** All base records together, split over the types; 20,000 by default. */
  readonly records?: number;
  /** Base records per type, before `records`. */
  readonly objects?: Readonly<Record<string, number>>;
  /** The same seed gives the customers of the Salesforce sandbox with that seed. */
  readonly seed?: number;
  /** The size of the Salesforce sandbox whose customers these are; as this one's by default. */
  readonly salesforce?: {
    readonly records?: number;
    readonly objects?: Readonly<Record<string, number>>;
  };
  readonly living?: { readonly changesPerMinute: number } | false;
  /** Where every change is pushed to, signed with `secret`, the client secret when left out; nowhere by default. */
  readonly webhooks?: { readonly url: string; readonly secret?: string };
  readonly now?: () => number;
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** The private app's token; generated when it is left out. */
  readonly privateToken?: string;
  /** Life of an access token; 30 min by default. */
  readonly tokenLifeMs?: number;
  /** So many records that are neighbours in time share one modified date; 1 by default. */
  readonly stampTies?: number;
  /** Base modified dates cover this span; 2 years by default. */
  readonly stampSpanMs?: number;
  /** Base modified dates end this long before the start; one day by default. */
  readonly stampAgeMs?: number;
  /** Changes and the clock survive a restart with the same file. */
  readonly statePath?: string;
}

const DAY_MS = 86_400_000;
const RECORDS_DEFAULT = 20_000;

/** What makes the base records what they are; the state file starts with it. */
export interface Header {
  readonly sandbox: 'hubspot/1';
  readonly seed: number;
  readonly startedAt: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly twins: { readonly Contact: number; readonly Lead: number; readonly Account: number };
  readonly stampSpanMs: number;
  readonly stampTies: number;
}

export function headerOf(options: HubSpotSandboxOptions, startedAt: number): Header {
  const total = options.records ?? RECORDS_DEFAULT;
  const seed = options.seed ?? 1;
  const rows: Record<string, number> = {};
  for (const { spec, share } of TYPES)
    rows[spec.name] = options.objects?.[spec.name] ?? Math.round(total * share);
  for (const name of Object.keys(options.objects ?? {}))
    if (rows[name] === undefined) throw new Error(`the sandbox has no object type ${name}`);
  const { objects } = options.salesforce ?? {};
  const org = salesforceHeaderOf(
    { records: options.salesforce?.records ?? total, seed, ...(objects === undefined ? {} : { objects }) },
    startedAt,
  );
  return {
    sandbox: 'hubspot/1',
    seed,
    startedAt: Math.floor(startedAt - (options.stampAgeMs ?? DAY_MS)),
    rows,
    twins: {
      Contact: org.rows['Contact'] ?? 0,
      Lead: org.rows['Lead'] ?? 0,
      Account: org.rows['Account'] ?? 0,
    },
    stampSpanMs: options.stampSpanMs ?? 730 * DAY_MS,
    stampTies: options.stampTies ?? 1,
  };
}

export function tablesOf(header: Header, twins: Twins): Table[] {
  const bases = new Map(TYPES.map(({ spec }) => [spec.name, spec.idBase]));
  const countOf = (name: string): number => header.rows[name] ?? 0;
  return TYPES.map(
    ({ spec }) =>
      new Table(spec, {
        rows: countOf(spec.name),
        stampsUntil: header.startedAt,
        stampSpanMs: header.stampSpanMs,
        stampTies: header.stampTies,
        contextFor: (stamps) => ({
          seed: header.seed,
          accountSeed: header.seed,
          object: spec.name,
          rows: countOf(spec.name),
          created: stamps.created,
          idOf: (name, index) => String((bases.get(name) ?? 0) + ID_STEP * index),
          countOf,
          twins,
        }),
      }),
  );
}

export function behaviourOf(options: HubSpotSandboxOptions): Behaviour {
  return {
    searchLagMs: options.searchLagMs ?? 0,
    tenSecondCallsMax: options.tenSecondCallsMax ?? 190,
    searchesPerSecondMax: options.searchesPerSecondMax ?? 5,
    dailyCallsMax: options.dailyCallsMax ?? 650_000,
    retryAfterS: options.retryAfterS ?? null,
    associationPageRowsMax: options.associationPageRowsMax ?? 500,
    gzip: options.gzip ?? false,
    validations: options.validations ?? [],
    triggers: options.triggers ?? [],
  };
}
