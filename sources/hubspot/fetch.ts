import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { RawPage } from '../source.ts';
import { fromIdsOf, pairOf, readAssociations } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { readByIds } from './object-api.ts';
import { propertiesOf, rowsPage, toRow } from './records.ts';

/** Current versions by id, archived ones included; what leads to another record brings that one, once. */
export async function* fetchByIds(
  client: HubspotClient,
  schema: ObjectSchema,
  ids: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<RawPage> {
  const pair = pairOf(schema.object);
  const { pageRows } = client.config.thresholds;
  const unique = pair === undefined ? [...new Set(ids)].filter((id) => /^\d+$/.test(id)) : [...new Set(ids)];
  const told = new Set<string>();
  for (let at = 0; at < unique.length; at += pageRows) {
    const some = unique.slice(at, at + pageRows);
    const cursor = { in: 'fetch', done: at + some.length };
    if (pair === undefined) {
      const found = await current(client, schema, some, signal);
      const fresh = found.filter((record) => !told.has(record.id));
      for (const { id } of fresh) told.add(id);
      yield rowsPage(
        fresh.map((record) => toRow(schema, record)),
        cursor,
      );
    } else {
      const rows = await readAssociations(client, pair, fromIdsOf(some), signal);
      const asked = new Set(some);
      yield rowsPage(
        rows.filter((row) => asked.has(row.id)),
        cursor,
      );
    }
  }
}

async function current(
  client: HubspotClient,
  schema: ObjectSchema,
  ids: readonly string[],
  signal: AbortSignal,
): ReturnType<typeof readByIds> {
  const properties = propertiesOf(schema);
  const live = await readByIds(client, schema.object, ids, { properties, signal });
  const found = new Set(live.map((record) => record.id));
  const rest = ids.filter((id) => !found.has(id));
  const gone = await readByIds(client, schema.object, rest, { properties, archived: true, signal });
  return [...live, ...gone.filter((record) => !found.has(record.id))];
}
