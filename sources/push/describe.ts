import { createHash } from 'node:crypto';
import { snakeCase, warehouseNames } from '../../rules/naming.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { PushedObject } from './config.ts';
import { wordOf } from './types.ts';

/** As the configuration declares it. */
export function describeObject(object: string, table: string, declared: PushedObject): ObjectSchema {
  const names = Object.keys(declared.fields);
  const columns = warehouseNames(names);
  const body = {
    object,
    table,
    key: declared.key,
    stamp: declared.stamp,
    deleted: declared.deleted ?? null,
    fields: Object.entries(declared.fields).map(([name, type]) => ({
      name,
      column: columns.get(name) ?? snakeCase(name),
      type,
      sourceType: wordOf(type),
      nullable: name !== declared.key,
      calculated: false,
      custom: false,
    })),
  };
  return { ...body, hash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
}
