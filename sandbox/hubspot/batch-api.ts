/** Batches of records: read, create, update, upsert, archive. What cannot be found makes the answer 207 and not an error. */
import { inputsOf, objectOf, optionalText, textOf, textsOf, type Json } from './body.ts';
import type { Exchange } from '../exchange.ts';
import { byIdOrProperty } from './lookup.ts';
import type { Hub } from './hub.ts';
import { HubError, invalid, notFound } from './hub-error.ts';
import { createOne, createdAnswer, updateOne } from './objects-api.ts';
import { recordWriter, wantedProperties } from './render.ts';
import { indexOfEntry, type Entry, type Table } from './table.ts';

export const BATCH_INPUTS_MAX = 100;
const BATCH_INPUTS_WITH_HISTORY_MAX = 50;

export async function sendBatch(
  exchange: Exchange,
  hub: Hub,
  results: readonly unknown[],
  errors: readonly unknown[] = [],
  status = 200,
): Promise<void> {
  const now = new Date(hub.store.clock.now()).toISOString();
  await exchange.sendJson(errors.length === 0 ? status : 207, {
    status: 'COMPLETE',
    results,
    ...(errors.length === 0 ? {} : { numErrors: errors.length, errors }),
    startedAt: now,
    completedAt: now,
  });
}

export async function answerBatch(exchange: Exchange, hub: Hub, table: Table, action: string): Promise<void> {
  const body = await exchange.json();
  if (action === 'read') await answerBatchRead(exchange, hub, table, body);
  else if (action === 'archive') {
    for (const input of inputsOf(body, BATCH_INPUTS_MAX)) {
      const entry = byIdOrProperty(table, textOf(input['id'], 'id'), undefined, false);
      if (entry !== undefined) hub.data.archive(table.name, indexOfEntry(entry));
    }
    await exchange.sendNothing(204);
  } else if (action === 'create') {
    const made = inputsOf(body, BATCH_INPUTS_MAX).map((input) => {
      const id = createOne(hub, table, input);
      return createdAnswer(table, input, table.entry(table.indexOf(id)!)!);
    });
    await sendBatch(exchange, hub, made, [], 201);
  } else if (action === 'update') await answerBatchUpdate(exchange, hub, table, body);
  else if (action === 'upsert') await answerBatchUpsert(exchange, hub, table, body);
  else throw notFound();
}

async function answerBatchRead(exchange: Exchange, hub: Hub, table: Table, body: Json): Promise<void> {
  const history = textsOf(body['propertiesWithHistory'], 'propertiesWithHistory');
  const max = history.length === 0 ? BATCH_INPUTS_MAX : BATCH_INPUTS_WITH_HISTORY_MAX;
  const idProperty = optionalText(body['idProperty'], 'idProperty');
  const archived = exchange.params.get('archived') === 'true';
  const found = new Map<number, Entry>();
  const missing: string[] = [];
  for (const input of inputsOf(body, max)) {
    const id = textOf(input['id'], 'id');
    const entry = byIdOrProperty(table, id, idProperty, archived);
    if (entry === undefined) missing.push(id);
    else found.set(indexOfEntry(entry), entry);
  }
  const names = [...textsOf(body['properties'], 'properties'), ...history];
  const withHistory = history.filter((name) => table.property(name) !== undefined);
  const write = recordWriter({ table, properties: wantedProperties(table, names), withHistory });
  // Results keep no order of their own that a client could rely on: here they follow the ids.
  const results = [...found.values()].toSorted((a, b) => indexOfEntry(a) - indexOfEntry(b)).map(write);
  const dropped = exchange.fault !== undefined && 'lastRowDropped' in exchange.fault;
  const sent = dropped ? results.slice(0, -1) : results;
  await sendBatch(exchange, hub, sent, missing.length === 0 ? [] : [missingError(table, missing)]);
}

const missingError = (table: Table, ids: readonly string[]): Json => ({
  status: 'error',
  category: 'OBJECT_NOT_FOUND',
  message: `Could not get some ${table.spec.singular.toUpperCase()} objects, they may be deleted or not exist. Check that ids are valid.`,
  context: { ids },
});

async function answerBatchUpdate(exchange: Exchange, hub: Hub, table: Table, body: Json): Promise<void> {
  const missing: string[] = [];
  const results = inputsOf(body, BATCH_INPUTS_MAX).flatMap((input) => {
    const id = textOf(input['id'], 'id');
    const entry = byIdOrProperty(table, id, optionalText(input['idProperty'], 'idProperty'), false);
    if (entry === undefined) {
      missing.push(id);
      return [];
    }
    return [createdAnswer(table, input, table.entry(updateOne(hub, table, entry, input))!)];
  });
  await sendBatch(exchange, hub, results, missing.length === 0 ? [] : [missingError(table, missing)]);
}

async function answerBatchUpsert(exchange: Exchange, hub: Hub, table: Table, body: Json): Promise<void> {
  const results = inputsOf(body, BATCH_INPUTS_MAX).map((input) => {
    const idProperty = optionalText(input['idProperty'], 'idProperty');
    if (idProperty === undefined) throw invalid('idProperty is needed to upsert.');
    const id = textOf(input['id'], 'id');
    const entry = byIdOrProperty(table, id, idProperty, false);
    if (entry !== undefined)
      return {
        ...createdAnswer(table, input, table.entry(updateOne(hub, table, entry, input))!),
        new: false,
      };
    const properties = { ...objectOf(input['properties'] ?? {}, 'properties'), [idProperty]: id };
    const made = createOne(hub, table, { properties });
    return { ...createdAnswer(table, input, table.entry(table.indexOf(made)!)!), new: true };
  });
  if (results.length === 0) throw new HubError(400, 'VALIDATION_ERROR', 'no inputs');
  await sendBatch(exchange, hub, results);
}
