import type { DescribeSObjectResult } from 'jsforce';
import { createHash } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import { snakeCase, warehouseNames } from '../../rules/naming.ts';
import type { Field, ObjectSchema } from '../../schemas/object-schema.ts';
import { statusOf } from './api-error.ts';
import type { Catalog } from './catalog.ts';
import type { SalesforceClient } from './client.ts';
import type { SalesforceConfig } from './config.ts';
import { fieldType, isLeftOut } from './types.ts';

type SourceField = DescribeSObjectResult['fields'][number];

/** The first that an object has moves with every change; later ones only with creation. */
const STAMP_FIELDS = ['SystemModstamp', 'LastModifiedDate', 'CreatedDate', 'LoginTime'] as const;
const KEY_FIELD = 'Id';
const DELETED_FIELD = 'IsDeleted';

/** Describes objects afresh on each call and remembers the last answer for `cached`. */
export class Describer {
  private readonly client: SalesforceClient;
  private readonly config: SalesforceConfig;
  private readonly catalog: Catalog;
  private readonly known = new Map<string, ObjectSchema>();

  constructor(client: SalesforceClient, config: SalesforceConfig, catalog: Catalog) {
    this.client = client;
    this.config = config;
    this.catalog = catalog;
  }

  async describe(object: string): Promise<ObjectSchema> {
    // Only a name that the org itself listed becomes part of a path.
    const { name } = await this.catalog.find(object);
    const metadata = await this.client.metadata();
    const described = await metadata.describe(name).catch((cause: unknown) => {
      throw statusOf(cause) === 404 ? unknownObject(name) : cause;
    });
    const table = (await this.catalog.tables()).get(name) ?? snakeCase(name);
    const schema = toObjectSchema(described, table, this.config.fields[described.name] ?? {});
    this.known.set(object, schema);
    return schema;
  }

  /** The last description, which may be a day old: for questions that need key and stamp only. */
  async cached(object: string): Promise<ObjectSchema> {
    return this.known.get(object) ?? this.describe(object);
  }

  drop(object: string): void {
    this.known.delete(object);
  }
}

/** Key, stamp and deleted flag stay even if the configuration leaves them out: nothing can be merged without them. */
export function toObjectSchema(
  described: Pick<DescribeSObjectResult, 'name' | 'fields'>,
  table: string,
  choice: { include?: readonly string[] | undefined; exclude?: readonly string[] | undefined },
): ObjectSchema {
  const names = new Set(described.fields.map((field) => field.name));
  if (!names.has(KEY_FIELD)) {
    throw new HeadwaterError(
      'SOURCE_REJECTED',
      `${described.name} has no ${KEY_FIELD} field and cannot be synced`,
    );
  }
  const stamp = STAMP_FIELDS.find((name) => names.has(name)) ?? null;
  const deleted = names.has(DELETED_FIELD) ? DELETED_FIELD : null;
  const kept = new Set<string | null>([KEY_FIELD, stamp, deleted]);
  const wanted = described.fields.filter((field) => {
    if (isLeftOut(field.type)) return false;
    if (kept.has(field.name)) return true;
    if (choice.include !== undefined && !choice.include.includes(field.name)) return false;
    return choice.exclude?.includes(field.name) !== true;
  });
  // Columns are named over all fields, so that leaving one out never renames another.
  const columns = warehouseNames([...names]);
  const body = {
    object: described.name,
    table,
    key: KEY_FIELD,
    stamp,
    deleted,
    fields: wanted.map((field) => toField(field, columns)),
  };
  return { ...body, hash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
}

function toField(field: SourceField, columns: ReadonlyMap<string, string>): Field {
  const column = columns.get(field.name);
  if (column === undefined) throw new HeadwaterError('INTERNAL', `${field.name} has no column`);
  return {
    name: field.name,
    column,
    type: fieldType(field),
    sourceType: field.type,
    nullable: field.nillable,
    calculated: field.calculated,
    custom: field.custom,
  };
}

function unknownObject(object: string): HeadwaterError {
  return new HeadwaterError(
    'OBJECT_UNKNOWN',
    `Salesforce has no object ${object}, or hides it from this user`,
  );
}
