import type { FieldType } from './object-schema.ts';

/**
 * A table of Headwater's own in the schema `golden`. Each has a column `_epoch`, of the claims store that its rows are from: rows of a
 * store that was lost are replaced, and removed once everything of the new one is there.
 */
export interface OwnTable {
  name: string;
  columns: { name: string; type: FieldType }[];
  key: string[];
  /** Column that may only rise for a key within one `_epoch`; null: the first row of a key stays for ever. */
  version: string | null;
  /** A view beside it with `valid_to` and `current` per version (SCD2). */
  history?: { view: string; of: string; from: string; order: string };
}
