import { sinkOf } from '../config/connection-config.ts';
import { entitiesOf, mappingsOf } from '../config/profiles.ts';
import type { Config } from '../config/schema.ts';
import { warehouseNames } from '../rules/naming.ts';
import type { ConsideredClaim, GoldenProfile } from '../schemas/profile.ts';
import type { ProfileEvent } from '../schemas/event.ts';
import type { RecordRef } from '../schemas/observation.ts';
import { sourceDefinition } from '../sources/registry.ts';
import type { Claims } from '../stores/claims/claims.ts';
import { profilesConfig, profileNamed, withClaims } from './claims.ts';
import type { Call } from './command.ts';
import { openLedger } from './open.ts';
import { query } from './warehouse.ts';
import { rawTable } from '../warehouses/registry.ts';

/** Rows of one table; a customer has far fewer. */
const ROWS_MAX = 10_000;

const README = [
  'Everything that this installation of Headwater holds about one customer.',
  'profiles: what holds now, by entity, each value with the record it is from. consent is an entity like the others.',
  'claims: for each field what every source says, and why one of them holds.',
  'history: every version and decision, oldest first, with the time at which it was learned.',
  'raw: the rows of the source systems as they were read last.',
  'referring: records of other entities that name this customer, such as activities, orders and tickets.',
  'setAside: lines that did not fit their types, as they came.',
  'The source systems hold more: notes, files and e-mails that are not synced. Ask them as well.',
];

export interface SubjectDocument {
  readme: string[];
  profiles: GoldenProfile[];
  claims: Record<string, Record<string, ConsideredClaim[]>>;
  history: Record<string, ProfileEvent[]>;
  raw: Record<string, Record<string, unknown>[]>;
  referring: Record<string, Record<string, unknown>[]>;
  setAside: Record<string, unknown>[];
}

/** The answer to a customer who asks what is known; INPUT_INVALID when the name means nobody. Holds personal values. */
export function subjectDocument(call: Call, named: string): Promise<SubjectDocument> {
  return withClaims(call, async (claims, config) => {
    const profile = await profileNamed(claims, config, named);
    const profiles = await related(claims, config, profile);
    const document: SubjectDocument = {
      readme: README,
      profiles,
      claims: {},
      history: {},
      raw: {},
      referring: {},
      setAside: [],
    };
    for (const one of profiles) {
      const fields: Record<string, ConsideredClaim[]> = {};
      for (const field of Object.keys(one.fields))
        fields[field] = (await claims.explain(one.profile, field))?.considered ?? [];
      document.claims[one.profile] = fields;
      document.history[one.profile] = await claims.history(one.profile);
    }
    const refs = profiles.flatMap(({ records }) => records);
    await addRows(call, config, refs, document);
    return document;
  });
}

/** The profile, and what other entities were made of the same source records. */
async function related(claims: Claims, config: Config, id: string): Promise<GoldenProfile[]> {
  const found = new Map<string, GoldenProfile>();
  const start = await claims.profile(id);
  if (start === null) return [];
  found.set(start.profile, start);
  for (const { source, object, record } of start.records) {
    const name = rawObject(object);
    const kind = config.connections[source]?.kind;
    const ready = kind === undefined ? undefined : sourceDefinition(kind)?.mappings;
    const mappings = mappingsOf(profilesConfig(config), ready ?? {}, source, name);
    for (const { part } of mappings) {
      const as = part === '' ? name : `${name}/${part}`;
      const other = await claims.profileOf({ source, object: as, record });
      if (other === null || found.has(other)) continue;
      const profile = await claims.profile(other);
      if (profile !== null) found.set(profile.profile, profile);
    }
  }
  return [...found.values()];
}

const rawObject = (object: string) => object.split('/', 1)[0] ?? object;
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const texts = (values: readonly string[]) =>
  [...new Set(values)].map((value) => `'${value.replaceAll("'", "''")}'`).join(',');

async function addRows(
  call: Call,
  config: Config,
  refs: readonly RecordRef[],
  document: SubjectDocument,
): Promise<void> {
  const loaded = await call.load();
  const rows = async (sql: string) => {
    const { columns, rows: found } = await query(loaded, sql, ROWS_MAX);
    return found.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
  };
  const tables = (
    await rows("SELECT table_schema || '.' || table_name AS t FROM information_schema.tables")
  ).map(({ t }) => String(t).toLowerCase());
  const ledger = await openLedger(config);
  try {
    const byObject = Map.groupBy(refs, ({ source, object }) => `${source}.${rawObject(object)}`);
    for (const [name, group] of byObject) {
      const [{ source, object } = { source: '', object: '' }] = group;
      const schema = (await ledger.schema(source, rawObject(object)))?.schema;
      const ids = texts(group.map(({ record }) => record));
      document.setAside.push(
        ...(await rows(
          `SELECT * FROM _headwater.quarantine WHERE connection = ${texts([source])} AND object = ${texts([rawObject(object)])} AND record IN (${ids})`,
        )),
      );
      // What has landed has a table; the catalog has it under a name of the warehouse's own.
      const landed = await ledger.sinkCoverage(sinkOf(config), source, rawObject(object));
      if (schema === undefined || landed.length === 0) continue;
      const key = schema.fields.find((field) => field.name === schema.key)?.column ?? schema.key;
      document.raw[name] = await rows(
        `SELECT * FROM ${rawTable(config.warehouse, source, schema.table)} WHERE CAST(${quoted(key)} AS VARCHAR) IN (${ids})`,
      );
    }
  } finally {
    await ledger.close();
  }
  const named = texts(refs.map(({ source, object, record }) => `${source}:${rawObject(object)}:${record}`));
  if (named === '') return;
  for (const { name, fields, references = {} } of entitiesOf(profilesConfig(config)).values()) {
    // Behind a prefix, where the warehouse has one for all of its schemas.
    if (name === 'consent' || !tables.some((table) => table.endsWith(`golden.${name}`.toLowerCase())))
      continue;
    const columns = warehouseNames(Object.keys(fields));
    const pointing = Object.keys(references).flatMap((field) => columns.get(field) ?? []);
    if (pointing.length === 0) continue;
    const where = pointing.map((column) => `${quoted(column)} IN (${named})`).join(' OR ');
    const found = await rows(`SELECT * FROM golden.${quoted(name)} WHERE ${where}`);
    if (found.length > 0) document.referring[name] = found;
  }
}
