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

/** Ids per look at the claims store: each is one short transaction. */
const IDS_PER_LOOK = 2_000;

/** Records that one look may find so: after a new mapping these are all, and later audits bring the others. */
const UNKNOWN_MAX = 2_000;

/** Living rows of which the profiles know nothing, as far as they can: what was set aside is not among them. */
export async function unknownToProfiles(
  { profiles, ledger }: Dependencies,
  connection: string,
  object: string,
  records: readonly string[],
  aside: ReadonlySet<string>,
): Promise<string[]> {
  if (profiles === undefined) return [];
  const isMapped = profiles.mappings(connection, object).some(({ part }) => part === '');
  const waiting = await ledger.undelivered(CLAIMS_SINK, connection);
  if (!isMapped || waiting.some((one) => one.object === object)) return [];
  const unknown: string[] = [];
  for (let at = 0; at < records.length && unknown.length < UNKNOWN_MAX; at += IDS_PER_LOOK) {
    const some = records.slice(at, at + IDS_PER_LOOK).filter((record) => !aside.has(record));
    const known = await profiles.claims.rowHashes(connection, object, some);
    for (const [index, record] of some.entries()) {
      if (known[index] !== null) continue;
      // Of a record without a hash only single fields were read since: it is known all the same.
      if ((await profiles.claims.profileOf({ source: connection, object, record })) === null)
        unknown.push(record);
    }
  }
  return unknown;
}
