/** What every request handler needs of the running sandbox. */
import type { Faults } from '../faults.ts';
import type { HubData } from './data.ts';
import type { Limits } from './limits.ts';
import type { SearchCache } from './search-run.ts';
import type { Store } from './store.ts';
import type { Tokens } from './tokens.ts';

/** Behaviour that tests may change while the sandbox runs. */
export interface Behaviour {
  /** So long after a change search still shows the version before it. */
  searchLagMs: number;
  tenSecondCallsMax: number;
  searchesPerSecondMax: number;
  dailyCallsMax: number;
  /** Sent with 429; null leaves the header out. */
  retryAfterS: number | null;
  /** Associations of one record on a page of batch read. */
  associationPageRowsMax: number;
  gzip: boolean;
  /** Rules of the account for writes over the API: a value must match this pattern. */
  validations: readonly { object: string; field: string; matches: string; message: string }[];
  /** Workflows of the account that change a value when it is saved. */
  triggers: readonly { object: string; field: string; to: 'upper' | 'lower' }[];
}

export interface Hub {
  readonly portalId: number;
  readonly store: Store;
  readonly data: HubData;
  readonly tokens: Tokens;
  readonly limits: Limits;
  readonly faults: Faults;
  readonly searches: SearchCache;
  readonly stats: Map<string, number>;
  readonly behaviour: Behaviour;
  /** Told of a moved clock, to write it down. */
  readonly onClock: (offsetMs: number) => void;
}
