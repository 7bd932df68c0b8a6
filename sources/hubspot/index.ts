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
import { ArchivedLists } from './archived.ts';
import { Catalog } from './catalog.ts';
import { checkConnection } from './check.ts';
import { HubspotClient } from './client.ts';
import { hubspotConfigSchema, type HubspotConfig } from './config.ts';
import { describeObject } from './describe.ts';
import { extractSlice } from './extract.ts';
import { fetchByIds } from './fetch.ts';
import { quotaOf } from './limits.ts';
import { mappings } from './mappings.ts';
import { count, planExtract } from './plan.ts';
import { probeAll } from './probe.ts';
import { recordStamps } from './stamps.ts';
import { types } from './types.ts';
import { writeRecord } from './write.ts';
import { webhooks } from './webhooks.ts';

export { hubspotConfigSchema, type HubspotConfig, type HubspotConfigInput } from './config.ts';

class HubspotSource implements Source {
  private readonly client: HubspotClient;
  private readonly catalog: Catalog;
  private readonly reader: { client: HubspotClient; archived: ArchivedLists };

  constructor(config: HubspotConfig, context: SourceContext) {
    this.client = new HubspotClient(config, context);
    this.catalog = new Catalog(this.client);
    this.reader = { client: this.client, archived: new ArchivedLists(this.client) };
  }

  check(): Promise<CheckResult[]> {
    return checkConnection(this.client, this.catalog, () => this.quota());
  }

  list(): Promise<ObjectListing[]> {
    return this.catalog.list();
  }

  describe(object: string): Promise<ObjectSchema> {
    return describeObject(this.client, object, this.client.config.fields[object]);
  }

  probe(requests: ProbeRequest[], signal: AbortSignal): Promise<Probe[]> {
    return probeAll(this.reader, requests, signal);
  }

  plan(request: ExtractRequest): Promise<ExtractPlan> {
    return planExtract(this.reader, request);
  }

  extract(request: ExtractRequest, slice: Slice, context: ExtractContext): AsyncIterable<RawPage> {
    return extractSlice(this.reader, request, slice, context);
  }

  count(schema: ObjectSchema, interval: Interval): Promise<number | 'unknown'> {
    return count(this.reader, schema, interval);
  }

  stamps(schema: ObjectSchema, interval: Interval, signal: AbortSignal): AsyncIterable<RecordStamp[]> {
    return recordStamps(this.reader, schema, interval, signal);
  }

  fetch(schema: ObjectSchema, ids: string[], signal: AbortSignal): AsyncIterable<RawPage> {
    return fetchByIds(this.client, schema, ids, signal);
  }

  write(request: WriteRequest, signal: AbortSignal): Promise<WriteReceipt> {
    return writeRecord(this.client, request, signal);
  }

  /** Nothing of ours runs in HubSpot. */
  async abandon(_cursor: Cursor): Promise<void> {
    // A cursor is all there is, and it costs nothing.
  }

  /** Not every token may ask; the headers of other answers are the next best. */
  async quota(): Promise<Quota | undefined> {
    const path = this.client.path('account-info', 'api-usage/daily/private-apps');
    try {
      return quotaOf(await this.client.json({ method: 'GET', path })) ?? this.client.dailyLimit();
    } catch (error) {
      const refused = error instanceof HeadwaterError && !error.retryable && error.code !== 'AUTH_FAILED';
      if (!refused || error.code === 'QUOTA_EXHAUSTED') throw error;
      return this.client.dailyLimit();
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

export const hubspot = defineSource({
  kind: 'hubspot',
  types,
  config: hubspotConfigSchema,
  capabilities: {
    deletions: true,
    jsonRecords: 'records',
    softDeletes: true,
    lookbackMs: 3_900_000,
    lagMs: 300_000,
  },
  mappings,
  webhooks,
  connect: (config, context) => new HubspotSource(config, context),
});
