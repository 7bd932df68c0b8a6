import { sources } from '../sources/registry.ts';
import { warehouses } from '../warehouses/registry.ts';
import type { Kinds } from './parse-config.ts';

/** The kinds of source and warehouse that this installation has. */
export function registeredKinds(): Kinds {
  return { sources: { ...sources }, warehouses: { ...warehouses } };
}
