import { ORIGIN } from '../../rules/time.ts';
import type { Batch, LoadReceipt, ShapeCounts } from '../../schemas/batch.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { StagedPage } from '../../schemas/page.ts';
import type { Receipt } from '../../schemas/receipt.ts';
import type { Owner, Slice, Window } from '../../schemas/window.ts';
import type { Ledger, PlanRequest } from '../../stores/ledger/ledger.ts';

/** Values for tests of any ledger, and of any process that writes to one. */
export const CONNECTION = 'crm';
export const SINK = 'warehouse';
export const hour = (count: number) => new Date(Date.UTC(2026, 10, 1, count)).toISOString();
export const owner = (name: string): Owner => ({
  workflowId: `sync/${CONNECTION}-${name}`,
  runId: `run-${name}`,
});

export function request(until: string, more: Partial<PlanRequest> = {}): PlanRequest {
  return {
    connection: CONNECTION,
    object: 'Contact',
    owner: owner('one'),
    until,
    lookbackMs: 300_000,
    closedOwners: [],
    now: until,
    ...more,
  };
}

export const slice = (index: number): Slice => ({
  slice: index,
  api: 'rest',
  request: { part: index },
  rowsEstimate: 100,
});

export const schema: ObjectSchema = {
  object: 'Contact',
  table: 'contact',
  key: 'Id',
  stamp: 'SystemModstamp',
  deleted: 'IsDeleted',
  fields: [
    {
      name: 'Id',
      column: 'id',
      type: { kind: 'string' },
      sourceType: 'id',
      nullable: false,
      calculated: false,
      custom: false,
    },
  ],
  hash: 'schema-1',
};

export const page = (sliceIndex: number, index: number, content = 'a'): StagedPage => ({
  slice: sliceIndex,
  page: index,
  key: `w/${sliceIndex}/page-${index}-${content}.csv`,
  format: 'csv',
  rowsSent: 10,
  bytes: 1_000,
  sha256: content.repeat(64).slice(0, 64),
  nulBytes: 0,
});

const counts: ShapeCounts = {
  sent: 10,
  received: 10,
  shaped: 10,
  quarantined: 0,
  superseded: 0,
  suppressed: 0,
  filtered: 0,
  reRead: 0,
  deleted: 0,
  tombstones: 0,
};

export const batch = (window: string, index: number, id = `b_${index}`): Batch => ({
  id,
  window,
  slice: index,
  rows: [`${window}/${index}/rows.parquet`],
  tombstones: null,
  quarantine: null,
  counts,
});

export const load = (id: string, more: Partial<LoadReceipt> = {}): LoadReceipt => ({
  batch: id,
  alreadyApplied: false,
  inserted: 10,
  updated: 0,
  unchanged: 0,
  stale: 0,
  ms: 5,
  ...more,
});

export function receipt(window: Pick<Window, 'id' | 'connection' | 'object' | 'from' | 'until'>): Receipt {
  return {
    window: window.id,
    connection: window.connection,
    object: window.object,
    from: window.from,
    until: window.until,
    transport: counts,
    source: { before: 10, after: 10, moved: 0, late: 0, unexplained: 0 },
    destination: { present: 10, missing: 0 },
    verdict: 'proven',
    at: window.until,
  };
}

/** Plans, and fails when no window comes of it. */
export async function planned(ledger: Ledger, ask: PlanRequest): Promise<Window> {
  const result = await ledger.planWindow(ask);
  if (result.kind !== 'window') throw new Error(`no window but ${result.kind}`);
  return result.window;
}

/** A window with its plan stored: `slices` slices and nothing read. */
export async function withPlan(ledger: Ledger, ask: PlanRequest, slices = 1): Promise<Window> {
  const window = await planned(ledger, ask);
  await ledger.storePlan(window.id, window.attempt, {
    schema,
    slices: Array.from({ length: slices }, (_, index) => slice(index)),
    countBefore: 10,
    readAt: ask.now,
  });
  return window;
}

/** The first load up to `until`, staged. */
export async function firstLoad(
  ledger: Ledger,
  until: string,
  more: Partial<PlanRequest> = {},
): Promise<Window> {
  const window = await planned(ledger, request(until, more));
  if (window.from !== ORIGIN) throw new Error('something was covered before');
  await ledger.commitSource(window.id, window.attempt, receipt(window));
  return window;
}
