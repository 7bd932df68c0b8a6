import { HeadwaterError } from '../../rules/errors.ts';
import { snakeCase, warehouseNames } from '../../rules/naming.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Quota } from '../../schemas/quota.ts';
import {
  defineSource,
  type CheckResult,
  type ExtractPlan,
  type ObjectListing,
  type Probe,
  type ProbeRequest,
  type RawPage,
  type RecordStamp,
  type Source,
} from '../source.ts';
import { objectsOf, pushConfigSchema, type PushConfig, type PushedObject } from './config.ts';
import { describeObject } from './describe.ts';
import { types } from './types.ts';
import { webhooks } from './webhooks.ts';

/** Any system that sends its records itself: there is nothing to read, so every question about the past is answered with 'unknown'. */
class PushSource implements Source {
  private readonly objects: ReadonlyMap<string, PushedObject>;
  private readonly tables: ReadonlyMap<string, string>;

  constructor(config: PushConfig) {
    this.objects = objectsOf(config);
    this.tables = warehouseNames(Object.keys(config.records));
  }

  async check(): Promise<CheckResult[]> {
    const names = [...this.objects.keys()].join(', ');
    return [{ check: 'objects', ok: this.objects.size > 0, detail: `declared: ${names || 'none'}` }];
  }

  async list(): Promise<ObjectListing[]> {
    return [...this.objects.keys()].map((object) => ({
      object,
      label: object,
      custom: true,
      syncable: true,
    }));
  }

  async describe(object: string): Promise<ObjectSchema> {
    const declared = this.objects.get(object);
    if (declared === undefined)
      throw new HeadwaterError('OBJECT_UNKNOWN', `${object} is not declared in records`);
    return describeObject(object, this.tables.get(object) ?? snakeCase(object), declared);
  }

  async probe(requests: ProbeRequest[]): Promise<Probe[]> {
    return requests.map(({ object, until }) => ({ object, visibleUntil: until, idle: true }));
  }

  async plan(): Promise<ExtractPlan> {
    return { slices: [], countBefore: 'unknown' };
  }

  extract(): AsyncIterable<RawPage> {
    throw unreadable();
  }

  async count(): Promise<'unknown'> {
    return 'unknown';
  }

  stamps(): AsyncIterable<RecordStamp[]> {
    throw unreadable();
  }

  /** I6: no answer at all, since an empty one would say that the records are gone. */
  fetch(): AsyncIterable<RawPage> {
    throw unreadable();
  }

  async abandon(): Promise<void> {
    // Nothing of ours runs there.
  }

  async quota(): Promise<Quota | undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

function unreadable(): HeadwaterError {
  return new HeadwaterError('SOURCE_REJECTED', 'this system sends its records itself and cannot be read', {
    remedy: 'Let it send the records again.',
  });
}

export const push = defineSource({
  kind: 'push',
  types,
  config: pushConfigSchema,
  capabilities: {
    deletions: false,
    jsonRecords: 'records',
    softDeletes: true,
    pushOnly: true,
    lookbackMs: 0,
    lagMs: 0,
  },
  webhooks,
  connect: (config) => new PushSource(config),
});
