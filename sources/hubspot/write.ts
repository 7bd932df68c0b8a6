import { HeadwaterError } from '../../rules/errors.ts';
import type { WriteReceipt, WriteRequest } from '../source.ts';
import { textOf, writeOnce, type Held, type Refusal } from '../written.ts';
import type { HubspotClient } from './client.ts';
import { readByIds } from './object-api.ts';
import { propertyOf, stampOf, stampProperty, toInstant, toRow } from './records.ts';

const NO_REFUSAL = new Set(['AUTH_FAILED', 'QUOTA_EXHAUSTED']);

/**
 * PATCH of one record. HubSpot takes no precondition: what changes between our reading and our writing, some hundred ms, is
 * overwritten in the fields that we write, and HubSpot's property history is the only witness. Other fields are never touched.
 */
export async function writeRecord(
  client: HubspotClient,
  request: WriteRequest,
  signal: AbortSignal,
): Promise<WriteReceipt> {
  const { schema, record, values } = request;
  const known = new Set(schema.fields.map(({ name }) => name));
  const unknown = Object.keys(values).find((name) => !known.has(name) || propertyOf(name) === undefined);
  if (unknown !== undefined) return { outcome: 'refused', code: 'PROPERTY_DOESNT_EXIST', field: unknown };
  if (!/^\d{1,20}$/.test(record)) return { outcome: 'refused', code: 'INVALID_OBJECT_ID', field: null };
  return await writeOnce(request, {
    goneCode: 'OBJECT_NOT_FOUND',
    read: async () => await read(client, request, signal),
    patch: async () => await patch(client, request, signal),
  });
}

async function read(
  client: HubspotClient,
  { schema, record, values }: WriteRequest,
  signal: AbortSignal,
): Promise<Held | null> {
  const fields = Object.keys(values);
  const properties = [...fields.flatMap((name) => propertyOf(name) ?? []), stampProperty(schema.object)];
  const [found] = await readByIds(client, schema.object, [record], { properties, signal });
  // A merged record answers with another id: what is said of the old one is no longer said of anybody.
  if (found === undefined || found.archived || found.id !== record) return null;
  const stamp = stampOf(found, schema.object);
  if (stamp === null) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `a record of ${schema.object} has no modified date`);
  }
  const row = toRow(schema, found);
  return { stamp: toInstant(stamp), values: Object.fromEntries(fields.map((name) => [name, row[name]])) };
}

async function patch(
  client: HubspotClient,
  { schema, record, values }: WriteRequest,
  signal: AbortSignal,
): Promise<'done' | Refusal> {
  // Everything is text, and nothing is ''.
  const properties = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [propertyOf(name) ?? name, textOf(value)]),
  );
  const path = client.objectPath(schema.object, `/${record}`);
  try {
    await client.json({ method: 'PATCH', path, body: { properties }, signal });
    return 'done';
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): Refusal {
  const final = error instanceof HeadwaterError && !error.retryable && !NO_REFUSAL.has(error.code);
  if (!final) throw error;
  const { errorCode, reason, field, status } = error.details;
  const code = [reason, errorCode].find((one) => typeof one === 'string');
  if (typeof code !== 'string') {
    if (typeof status !== 'number') throw error;
    return { outcome: 'refused', code: `HTTP_${status}`, field: null };
  }
  return { outcome: 'refused', code, field: typeof field === 'string' ? field : null };
}
