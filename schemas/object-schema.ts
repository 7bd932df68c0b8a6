import { z } from 'zod';

/** The types every warehouse can hold; a source maps its own types to these and keeps the original in `sourceType`. */
export const fieldTypeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('string') }),
  z.object({ kind: z.literal('boolean') }),
  z.object({ kind: z.literal('integer') }),
  /** Exact: `precision` digits in all (1–38), `scale` of them after the point. */
  z.object({ kind: z.literal('decimal'), precision: z.number().int(), scale: z.number().int() }),
  z.object({ kind: z.literal('double') }),
  z.object({ kind: z.literal('date') }),
  z.object({ kind: z.literal('time') }),
  /** With time zone, microseconds. */
  z.object({ kind: z.literal('timestamp') }),
  /** Kept as JSON text in the stage. */
  z.object({ kind: z.literal('json') }),
]);
export type FieldType = z.infer<typeof fieldTypeSchema>;

export const fieldSchema = z.object({
  /** As the source writes it: `MailingCity`. */
  name: z.string(),
  /** As the warehouse writes it: `mailing_city`; unique in its object, never starts with `_`. */
  column: z.string(),
  type: fieldTypeSchema,
  sourceType: z.string(),
  nullable: z.boolean(),
  /** Computed by the source on read: its changes do not move the record's stamp. */
  calculated: z.boolean(),
  custom: z.boolean(),
});
export type Field = z.infer<typeof fieldSchema>;

/** What a source says an object looks like. `fields` are in the source's order and include key, stamp and deleted flag. */
export const objectSchemaSchema = z.object({
  object: z.string(),
  /** The warehouse table's name: `contact`. */
  table: z.string(),
  /** Name of the field that identifies a record. */
  key: z.string(),
  /** Name of the field that moves with every change; null: the object can only be read whole (snapshot). */
  stamp: z.string().nullable(),
  /** Name of the boolean field that marks a soft delete; null where the source has none. */
  deleted: z.string().nullable(),
  fields: z.array(fieldSchema),
  /** Hash over everything above; equal hashes mean equal schemas. */
  hash: z.string(),
});
export type ObjectSchema = z.infer<typeof objectSchemaSchema>;
