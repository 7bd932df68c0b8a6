import { LosslessNumber, parse, stringify } from 'lossless-json';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { WriteReceipt, WriteRequest } from '../source.ts';
import { writeOnce, type Held, type Refusal } from '../written.ts';
import { errorCodeOf, statusOf } from './api-error.ts';
import { CLIENT_NAME, type SalesforceClient } from './client.ts';
import { stampOf } from './query.ts';

const ID = /^[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?$/;
const SECOND_MS = 1_000;
/** They mean that the org or the caller has a problem, and not this record; everything else that is final is a refusal. */
const NO_REFUSAL = new Set(['AUTH_FAILED', 'QUOTA_EXHAUSTED']);

/**
 * PATCH of one record with `If-Unmodified-Since` (REST API guide, "Conditional Request Headers"). The header has whole seconds, so
 * a change within the second of the stamp that was read is not seen by the org; reading first and comparing narrows that to the
 * time between the two calls.
 */
export async function writeRecord(
  client: SalesforceClient,
  request: WriteRequest,
  signal: AbortSignal,
): Promise<WriteReceipt> {
  const { schema, record, values } = request;
  const names = new Set(schema.fields.map(({ name }) => name));
  const unknown = Object.keys(values).find((name) => !names.has(name));
  if (unknown !== undefined) return { outcome: 'refused', code: 'INVALID_FIELD', field: unknown };
  if (!ID.test(record)) return { outcome: 'refused', code: 'MALFORMED_ID', field: null };
  const path = client.path(`sobjects/${schema.object}/${record}`);
  return await writeOnce(request, {
    goneCode: 'ENTITY_IS_DELETED',
    read: async () => await read(client, schema, path, Object.keys(values), signal),
    patch: async (held) => await patch(client, request, path, held, signal),
  });
}

async function read(
  client: SalesforceClient,
  schema: ObjectSchema,
  path: string,
  fields: readonly string[],
  signal: AbortSignal,
): Promise<Held | null> {
  if (schema.stamp === null) {
    throw new HeadwaterError('SOURCE_REJECTED', `${schema.object} has no time of its last change`);
  }
  const asked = [...new Set([...fields, schema.stamp])].join(',');
  try {
    const response = await client.send({ method: 'GET', path: `${path}?fields=${asked}`, signal });
    const answer: unknown = parse(await response.text());
    const record = typeof answer === 'object' && answer !== null ? { ...answer } : {};
    const stamp = stampOf(schema, record) ?? '';
    return { stamp, values: Object.fromEntries(fields.map((name) => [name, valueOf(record, name)])) };
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

function valueOf(record: Record<string, unknown>, name: string): unknown {
  const value = record[name];
  return value instanceof LosslessNumber ? value.value : (value ?? null);
}

async function patch(
  client: SalesforceClient,
  { schema, values }: WriteRequest,
  path: string,
  { stamp }: Held,
  signal: AbortSignal,
): Promise<'done' | 'moved' | Refusal> {
  const second = Math.floor(Date.parse(stamp) / SECOND_MS) * SECOND_MS;
  const headers = {
    'if-unmodified-since': new Date(second).toUTCString(),
    'sforce-call-options': `client=${CLIENT_NAME}`,
  };
  const body = stringify(onTheWire(schema, values)) ?? '{}';
  try {
    const response = await client.send({ method: 'PATCH', path, headers, body, signal });
    await response.discard();
    return 'done';
  } catch (error) {
    if (statusOf(error) === 412) return 'moved';
    return refusalOf(error);
  }
}

/** Numbers with all of their digits, as numbers. */
function onTheWire(schema: ObjectSchema, values: WriteRequest['values']): Record<string, unknown> {
  const kinds = new Map(schema.fields.map(({ name, type }) => [name, type.kind]));
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const kind = kinds.get(name);
      const isNumber = kind === 'decimal' || kind === 'integer' || kind === 'double';
      const isText = typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value);
      return [name, isNumber && isText ? new LosslessNumber(value) : value];
    }),
  );
}

function refusalOf(error: unknown): Refusal {
  const code = errorCodeOf(error);
  const final = error instanceof HeadwaterError && !error.retryable && !NO_REFUSAL.has(error.code);
  if (!final || code === undefined) throw error;
  const field = error.details['field'];
  return { outcome: 'refused', code, field: typeof field === 'string' ? field : null };
}
