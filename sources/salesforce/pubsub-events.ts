import avro, { type Type } from 'avsc';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import { eventId } from '../signature.ts';
import type { PushedConnection } from '../source.ts';
import { CLIENT_NAME } from './client.ts';

type AvroSchema = Parameters<typeof Type.forSchema>[0];

/** Of `ChangeEventHeader`, what is used. Source: Change Data Capture Developer Guide, "Change Event Header Fields". */
const headerSchema = z.object({
  entityName: z.string().min(1).max(200),
  recordIds: z.array(z.string()),
  changeType: z.string(),
  changeOrigin: z.string().default(''),
  transactionKey: z.string().default(''),
  sequenceNumber: z.number().default(0),
  /** ms since 1970. */
  commitTimestamp: z.number(),
});
export type ChangeHeader = z.infer<typeof headerSchema>;
const HEADER = 'ChangeEventHeader';
const USED: ReadonlySet<string> = new Set(Object.keys(headerSchema.shape));

const fieldSchema = z.looseObject({ name: z.string(), type: z.unknown() });
const recordSchema = z.looseObject({
  type: z.literal('record'),
  name: z.string(),
  fields: z.array(fieldSchema),
});

/** Every record of the org has one of 18 characters; an overflow has the empty one, a converted field `001*`. */
const RECORD_ID = /^(?!0{15})[A-Za-z0-9]{18}$/;

/**
 * Reads the header of events of one schema, and skips the rest: values are neither needed, since a change is a hint, nor ever
 * in memory as such (I5). Throws SOURCE_PROTOCOL for a schema, and its reader for an event, that cannot be read.
 */
export function headerReader(schemaJson: string): (payload: Uint8Array) => ChangeHeader {
  const { writer, resolver, reader } = resolved(schemaJson);
  return (payload) => {
    try {
      const whole: unknown = reader.fromBuffer(Buffer.from(payload), resolver);
      return z.object({ [HEADER]: headerSchema }).parse(whole)[HEADER];
    } catch {
      // I5: the library's own words may quote a value.
      throw new HeadwaterError('SOURCE_PROTOCOL', `an event of ${writer} cannot be read`);
    }
  };
}

function resolved(schemaJson: string) {
  try {
    const schema: AvroSchema = JSON.parse(schemaJson);
    const record = recordSchema.parse(schema);
    const header = record.fields.find(({ name }) => name === HEADER);
    const inner = recordSchema.parse(header?.type);
    const used = { ...inner, fields: inner.fields.filter(({ name }) => USED.has(name)) };
    const projection: AvroSchema = JSON.parse(
      JSON.stringify({ ...record, fields: [{ ...header, type: used }] }),
    );
    const reader = avro.Type.forSchema(projection);
    return { writer: record.name, reader, resolver: reader.createResolver(avro.Type.forSchema(schema)) };
  } catch {
    throw new HeadwaterError('SOURCE_PROTOCOL', 'a schema is not that of a change event');
  }
}

/** What one event says: see TopicBatch. */
export interface Hints {
  events: InboxEvent[];
  unnamed: string[];
  leftOut: number;
  own: boolean;
}

/**
 * A change is a hint for its records, gap events too: Salesforce then knows what changed and not how. `id`: of the event, for the
 * rare one without a transaction. The same change on two topics, or told again, has the same ids: they are made of its transaction.
 */
export function hintsOf(header: ChangeHeader, id: string, { objects, exclude }: PushedConnection): Hints {
  const { entityName: object, recordIds, changeType, changeOrigin } = header;
  const own = changeOrigin.endsWith(`;client=${CLIENT_NAME}`);
  const synced = (objects === 'all' || objects.includes(object)) && !exclude.includes(object);
  if (!synced) return { events: [], unnamed: [], leftOut: 1, own };
  const kind = changeType === 'DELETE' || changeType === 'GAP_DELETE' ? 'deleted' : 'changed';
  const at = new Date(header.commitTimestamp).toISOString();
  const transaction = header.transactionKey === '' ? id : header.transactionKey;
  const isWhole = changeType !== 'GAP_OVERFLOW' && recordIds.length > 0;
  const named = isWhole ? [...new Set(recordIds)].filter((record) => RECORD_ID.test(record)) : [];
  const events = named.map((record) =>
    inboxEventSchema.parse({
      id: eventId(transaction, header.sequenceNumber, changeType, object, record),
      ...{ object, record, kind, values: null, at },
    }),
  );
  const isNamed = isWhole && recordIds.every((record) => RECORD_ID.test(record));
  return { events, unnamed: isNamed ? [] : [object], leftOut: 0, own };
}
