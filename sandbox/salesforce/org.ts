/** What every request handler needs of the running sandbox. */
import type { CsvCache } from './csv-cache.ts';
import type { Cursors } from './cursors.ts';
import type { SandboxData } from './data.ts';
import type { BulkJobs } from './bulk.ts';
import type { Faults } from '../faults.ts';
import type { Stats } from './stats.ts';
import type { Store } from './store.ts';
import type { Tokens } from './tokens.ts';

/** Behaviour that tests may change while the sandbox runs. */
export interface Behaviour {
  /** How far /updated and /deleted lag behind now. */
  visibilityLagMs: number;
  /** /updated and /deleted ignore seconds, as Salesforce documents. */
  minuteResolution: boolean;
  /** From creation to JobComplete. */
  bulkJobMs: number;
  /** Rows of a result page when the client names no maxRecords. */
  bulkPageRowsMax: number;
  /** Gzip answers when the client accepts it. */
  gzip: boolean;
  /** REST and Bulk calls a day; above it REQUEST_LIMIT_EXCEEDED. */
  apiRequestsMax: number;
  bulkQueryJobsMax: number;
  /** Validation rules for writes over the API: a value must match this pattern. */
  validations: readonly { object: string; field: string; matches: string; message: string }[];
  /** Triggers that change a value while it is saved. */
  triggers: readonly { object: string; field: string; to: 'upper' | 'lower' }[];
}

export interface Org {
  readonly store: Store;
  readonly data: SandboxData;
  readonly cursors: Cursors;
  readonly jobs: BulkJobs;
  readonly cache: CsvCache;
  readonly faults: Faults;
  readonly tokens: Tokens;
  readonly stats: Stats;
  readonly behaviour: Behaviour;
  readonly userId: string;
}
