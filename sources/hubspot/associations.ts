import { z } from 'zod';
import { createHash } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import { snakeCase } from '../../rules/naming.ts';
import type { FieldType, ObjectSchema } from '../../schemas/object-schema.ts';
import type { HubspotClient } from './client.ts';
import { listPages } from './object-api.ts';

/** Pages of one record's associations, 500 and more each. */
const ROUNDS_MAX = 10_000;

/** An object of our own: the associations between records of two types, `contacts~companies`. */
export interface Pair {
  from: string;
  to: string;
}

export function pairOf(object: string): Pair | undefined {
  const match = /^([\w-]+)~([\w-]+)$/.exec(object);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { from: match[1], to: match[2] };
}

const FIELDS: readonly { name: string; type: FieldType; sourceType: string; nullable: boolean }[] = [
  { name: 'id', type: { kind: 'string' }, sourceType: 'from:to:category:typeId', nullable: false },
  { name: 'fromId', type: { kind: 'string' }, sourceType: 'id', nullable: false },
  { name: 'toId', type: { kind: 'string' }, sourceType: 'id', nullable: false },
  { name: 'category', type: { kind: 'string' }, sourceType: 'enumeration', nullable: false },
  { name: 'typeId', type: { kind: 'integer' }, sourceType: 'number', nullable: false },
  { name: 'label', type: { kind: 'string' }, sourceType: 'string', nullable: true },
];

/** No stamp: an association carries no date of change, and making one does not touch the records that it joins. */
export function pairSchema(object: string): ObjectSchema {
  const body = {
    object,
    table: snakeCase(object),
    key: 'id',
    stamp: null,
    deleted: null,
    fields: FIELDS.map((field) => ({
      ...field,
      column: snakeCase(field.name),
      calculated: false,
      custom: false,
    })),
  };
  return { ...body, hash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
}

const answerSchema = z.object({
  status: z.string().optional(),
  results: z.array(
    z.object({
      from: z.object({ id: z.coerce.string() }),
      to: z.array(
        z.object({
          toObjectId: z.coerce.string(),
          associationTypes: z.array(
            z.object({
              category: z.string(),
              typeId: z.coerce.number().int(),
              label: z.string().nullish(),
            }),
          ),
        }),
      ),
      paging: z.object({ next: z.object({ after: z.coerce.string() }).nullish() }).nullish(),
    }),
  ),
  errors: z.array(z.object({ category: z.string().nullish(), subCategory: z.unknown() })).nullish(),
});

export interface AssociationRow {
  [field: string]: string | number | null;
  id: string;
  fromId: string;
  toId: string;
  category: string;
  typeId: number;
  label: string | null;
}

/** All associations of some records, each record's own pages included. */
export async function readAssociations(
  client: HubspotClient,
  pair: Pair,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<AssociationRow[]> {
  const rows = new Map<string, AssociationRow>();
  const idsMax = client.config.thresholds.associationIds;
  let inputs: { id: string; after?: string }[] = [...new Set(ids)].map((id) => ({ id }));
  for (let round = 0; inputs.length > 0; round++) {
    if (round > ROUNDS_MAX) throw protocol(pair, 'do not end');
    const results = await readBatch(client, pair, inputs.slice(0, idsMax), signal);
    inputs = inputs.slice(idsMax);
    for (const { from, to, paging } of results) {
      for (const { toObjectId, associationTypes } of to) {
        for (const type of associationTypes) {
          const row = rowOf(from.id, toObjectId, { ...type, label: type.label ?? null });
          rows.set(row.id, row);
        }
      }
      const after = paging?.next?.after;
      if (after !== undefined) inputs.push({ id: from.id, after });
    }
  }
  return [...rows.values()];
}

async function readBatch(
  client: HubspotClient,
  pair: Pair,
  inputs: readonly { id: string; after?: string }[],
  signal: AbortSignal | undefined,
): Promise<z.output<typeof answerSchema>['results']> {
  const path = client.path(
    'crm/associations',
    `${encodeURIComponent(pair.from)}/${encodeURIComponent(pair.to)}/batch/read`,
  );
  const answer = answerSchema.safeParse(
    await client.json({ method: 'POST', path, body: { inputs }, signal }),
  ).data;
  if (answer === undefined || (answer.status !== undefined && answer.status !== 'COMPLETE')) {
    throw protocol(pair, 'are not complete');
  }
  // A record without any association is reported as an error of that input; every other error is one.
  for (const { category, subCategory } of answer.errors ?? []) {
    const none = category === 'OBJECT_NOT_FOUND' || /NO_ASSOCIATIONS_FOUND/i.test(String(subCategory));
    if (!none)
      throw new HeadwaterError('SOURCE_UNAVAILABLE', `${pair.from}~${pair.to}: a batch read failed in part`);
  }
  return answer.results;
}

function rowOf(
  fromId: string,
  toId: string,
  type: { category: string; typeId: number; label: string | null },
): AssociationRow {
  const id = `${fromId}:${toId}:${type.category}:${type.typeId}`;
  return { id, fromId, toId, ...type };
}

/** The associations of all records of the first type, `pageIds` records at a time; `after` is where the next ones begin. */
export async function* sweep(
  client: HubspotClient,
  pair: Pair,
  start: string | null,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ rows: AssociationRow[]; after: string | null }> {
  const request = { properties: ['hs_object_id'], after: start };
  let ids: string[] = [];
  for await (const { records, next } of listPages(client, pair.from, request, signal)) {
    ids.push(...records.map((record) => record.id));
    if (ids.length < client.config.thresholds.associationIds && next !== null) continue;
    yield { rows: await readAssociations(client, pair, ids, signal), after: next };
    ids = [];
  }
}

/** The records that the keys begin with: their associations are what a look-up by key reads. */
export function fromIdsOf(keys: readonly string[]): string[] {
  return [...new Set(keys.map((key) => key.split(':', 1)[0] ?? ''))].filter((id) => /^\d+$/.test(id));
}

function protocol(pair: Pair, what: string): HeadwaterError {
  return new HeadwaterError('SOURCE_PROTOCOL', `the associations ${pair.from}~${pair.to} ${what}`);
}
