import type { FieldType } from './object-schema.ts';

/** A table of Headwater's own in the schema `golden`. */
export interface OwnTable {
  name: string;
  columns: { name: string; type: FieldType }[];
  key: string[];
  /** Column that may only rise for a key; null: the first row of a key stays for ever. */
  version: string | null;
  /** A view beside it with `valid_to` and `current` per version (SCD2). */
  history?: { view: string; of: string; from: string; order: string };
}
