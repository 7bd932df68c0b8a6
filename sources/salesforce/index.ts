import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Cursor } from '../../schemas/page.ts';
import type { Quota } from '../../schemas/quota.ts';
import type { Interval, Slice } from '../../schemas/window.ts';
import {
  defineSource,
  type CheckResult,
  type ExtractContext,
  type ExtractPlan,
  type ExtractRequest,
  type ObjectListing,
  type Probe,
  type ProbeRequest,
  type RawPage,
  type RecordStamp,
  type Source,
  type SourceContext,
  type WriteReceipt,
  type WriteRequest,
} from '../source.ts';
import { endJob } from './bulk.ts';
import { Catalog } from './catalog.ts';
import { checkConnection } from './check.ts';
import { SalesforceClient } from './client.ts';
import { salesforceConfigSchema, type SalesforceConfig } from './config.ts';
import { Describer } from './describe.ts';
import { extractSlice, jobOf } from './extract.ts';
import { quotaOf } from './limits.ts';
import { mappings } from './mappings.ts';
import { planExtract } from './plan.ts';
import { listChanges, probeAll } from './probe.ts';
import { countOrUnknown, jsonPage, recordStamps } from './query.ts';
import { types } from './types.ts';
import { topics, webhooks } from './webhooks.ts';
import { IDS_PER_QUERY_MAX, readByIds } from './wide.ts';
import { writeRecord } from './write.ts';

export { salesforceConfigSchema, type SalesforceConfig, type SalesforceConfigInput } from './config.ts';

class SalesforceSource implements Source {
  private readonly client: SalesforceClient;
  private readonly config: SalesforceConfig;
  private readonly catalog: Catalog;
  private readonly describer: Describer;

  constructor(config: SalesforceConfig, context: SourceContext) {
    this.config = config;
    this.client = new SalesforceClient(config, context);
    this.catalog = new Catalog(this.client);
    this.describer = new Describer(this.client, config, this.catalog);
  }

  check(): Promise<CheckResult[]> {
    return checkConnection(this.client, this.catalog, this.config);
  }

  list(): Promise<ObjectListing[]> {
    return this.catalog.list();
  }

  describe(object: string): Promise<ObjectSchema> {
    return this.describer.describe(object);
  }

  probe(requests: ProbeRequest[], signal: AbortSignal): Promise<Probe[]> {
    const { client, catalog, describer } = this;
    return probeAll({ client, catalog, describer, lagMs: this.config.lag }, requests, signal);
  }

  async plan(request: ExtractRequest): Promise<ExtractPlan> {
    const { client, catalog } = this;
    const { thresholds } = this.config;
    return this.watch(request.schema, planExtract({ client, catalog, thresholds }, request));
  }

  async *extract(request: ExtractRequest, slice: Slice, context: ExtractContext): AsyncGenerator<RawPage> {
    const { client } = this;
    const { thresholds } = this.config;
    try {
      yield* extractSlice({ client, thresholds }, request, slice, context);
    } catch (error) {
      throw this.forget(request.schema, error);
    }
  }

  count(schema: ObjectSchema, interval: Interval): Promise<number | 'unknown'> {
    return this.watch(schema, countOrUnknown(this.client, schema, interval));
  }

  stamps(schema: ObjectSchema, interval: Interval, signal: AbortSignal): AsyncIterable<RecordStamp[]> {
    const range = { readFrom: interval.from, until: interval.until, idFrom: null, idUntil: null };
    return recordStamps(this.client, schema, range, this.config.thresholds.restPageRows, signal);
  }

  changes(object: string, interval: Interval, signal: AbortSignal): Promise<string[] | undefined> {
    const { client, catalog } = this;
    return listChanges({ client, catalog }, object, interval, signal);
  }

  async *fetch(schema: ObjectSchema, ids: string[], signal: AbortSignal): AsyncGenerator<RawPage> {
    const unique = [...new Set(ids)];
    for (let at = 0; at < unique.length; at += IDS_PER_QUERY_MAX) {
      const chunk = unique.slice(at, at + IDS_PER_QUERY_MAX);
      try {
        for await (const { text, rows } of readByIds(this.client, schema, chunk, signal)) {
          yield jsonPage(text, rows, { api: 'fetch', after: at + chunk.length });
        }
      } catch (error) {
        throw this.forget(schema, error);
      }
    }
  }

  write(request: WriteRequest, signal: AbortSignal): Promise<WriteReceipt> {
    return this.watch(request.schema, writeRecord(this.client, request, signal));
  }

  async abandon(cursor: Cursor): Promise<void> {
    const jobId = jobOf(cursor);
    if (jobId !== null) await endJob(this.client, jobId, true);
  }

  async quota(): Promise<Quota | undefined> {
    return quotaOf(await (await this.client.metadata()).limits());
  }

  close(): Promise<void> {
    return this.client.close();
  }

  private async watch<T>(schema: ObjectSchema, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.forget(schema, error);
    }
  }

  /** A field that describe gave and a query refuses was hidden or removed since: describe again next time. */
  private forget(schema: ObjectSchema, error: unknown): unknown {
    if (error instanceof HeadwaterError && error.details['errorCode'] === 'INVALID_FIELD') {
      this.describer.drop(schema.object);
    }
    return error;
  }
}

export const salesforce = defineSource({
  kind: 'salesforce',
  types,
  config: salesforceConfigSchema,
  capabilities: {
    deletions: true,
    jsonRecords: 'records',
    softDeletes: true,
    silentFormulas: true,
    lookbackMs: 600_000,
    lagMs: 300_000,
  },
  mappings,
  webhooks,
  topics,
  connect: (config, context) => new SalesforceSource(config, context),
});
