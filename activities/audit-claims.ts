// Part of audit: which records the profiles do not hold as the source says them.
import { compileMapping } from '../mapping/compile.ts';
import type { Finding } from '../schemas/audit.ts';
import type { ReadRecords } from './audit-records.ts';
import type { Dependencies } from './dependencies.ts';
import { CLAIMS_SINK } from '../rules/sinks.ts';
import { rowHash } from './reconcile.ts';

/**
 * Compared by the hash that the last observation left. A record without one (only single fields of it were read since) and one
 * that fits no schema are judged by adding them: what is known already changes nothing. Nothing is said while windows wait.
 */
export async function unclaimed(
  dependencies: Dependencies,
  { window, request, batch }: ReadRecords,
  records: readonly string[],
): Promise<Finding[]> {
  const { profiles, ledger, shaper } = dependencies;
  if (profiles === undefined || records.length === 0) return [];
  const { connection, object } = window;
  const waiting = await ledger.undelivered(CLAIMS_SINK, connection);
  if (waiting.some((one) => one.object === object)) return [];
  const { schema, files } = request;
  const agreeing = new Set(records);
  const found = new Map<string, Finding>();
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  for (const one of profiles.mappings(connection, object)) {
    const mapping = compileMapping(one, connection, schema, profiles.phone);
    const columns = mapping.reads.flatMap((name) => schema.fields.find((field) => field.name === name) ?? []);
    if (batch.rows.length === 0) continue;
    for await (const rows of shaper.rows({ files: files.rows, key, columns, hashed: true })) {
      const wanted = rows.filter(({ record, deleted }) => agreeing.has(record) && !deleted);
      const known = await profiles.claims.rowHashes(
        connection,
        mapping.object,
        wanted.map(({ record }) => record),
      );
      for (const [at, row] of wanted.entries()) {
        if (known[at] === rowHash(row, mapping) || !mapping.map(row.values()).ok) continue;
        found.set(row.record, { record: row.record, kind: 'unclaimed', fields: [] });
      }
    }
  }
  return [...found.values()];
}
