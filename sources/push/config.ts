import { z } from 'zod';
import type { FieldType } from '../../schemas/object-schema.ts';
import { SIMPLE } from './types.ts';

const DIGITS_MAX = 38;

/** `string`, `decimal(18,2)`, …: becomes a type that every warehouse can hold. */
const fieldTypeSchema = z.string().transform((text, context): FieldType => {
  const simple = SIMPLE.find((kind) => kind === text);
  if (simple !== undefined) return { kind: simple };
  const [, precision = 0, scale = 0] = (/^decimal\((\d{1,2}),\s?(\d{1,2})\)$/.exec(text) ?? []).map(Number);
  if (precision >= 1 && precision <= DIGITS_MAX && scale <= precision) {
    return { kind: 'decimal', precision, scale };
  }
  context.addIssue({
    code: 'custom',
    message: `is no type. Write one of ${SIMPLE.join(', ')} or decimal(18,2).`,
  });
  return z.NEVER;
});

const nameSchema = z.string().regex(/^[A-Za-z][\w-]{0,99}$/, 'write a name such as order or orderLine');
/** `data.items`: where in a body something stands; '' is the body itself. */
const pathSchema = z.string().regex(/^(?:[\w-]+(?:\.[\w-]+){0,9})?$/, 'write a path such as data.items');

const objectSchema = z
  .strictObject({
    /** Fields by the sender's names; what a record has beside them is left out. */
    fields: z.record(nameSchema, fieldTypeSchema),
    /** Field that tells records apart. */
    key: nameSchema,
    /** Field with the time of the last change, which moves with each: an older version never replaces a newer one. */
    stamp: nameSchema,
    /** Field that is true where the record was deleted. */
    deleted: nameSchema.optional(),
    /** Of webhooks: where in the body the record, or the list of them, stands. */
    path: pathSchema.default(''),
    /** Of webhooks: bodies of this object have one of these texts there, such as { type: ['order.created'] }. */
    when: z.record(pathSchema, z.union([z.string(), z.array(z.string()).min(1)])).default({}),
  })
  .check((context) => {
    const { fields, key, stamp, deleted } = context.value;
    const wrong = (path: string, message: string) =>
      context.issues.push({ code: 'custom', message, path: [path], input: context.value });
    const kindOf = (name: string) => (Object.hasOwn(fields, name) ? fields[name]?.kind : undefined);
    if (!['string', 'integer'].includes(kindOf(key) ?? ''))
      wrong('key', 'names no field of type string or integer.');
    if (kindOf(stamp) !== 'timestamp') wrong('stamp', 'names no field of type timestamp.');
    if (deleted !== undefined && kindOf(deleted) !== 'boolean')
      wrong('deleted', 'names no field of type boolean.');
  });
export type PushedObject = z.output<typeof objectSchema>;

export const pushConfigSchema = z.strictObject({
  kind: z.literal('push'),
  objects: z.union([z.literal('all'), z.array(nameSchema).min(1)]),
  exclude: z.array(nameSchema).default([]),
  /** What the records of each object look like: nobody can be asked. */
  records: z.record(nameSchema, objectSchema),
});
export type PushConfig = z.output<typeof pushConfigSchema>;

/** The objects that the connection takes, by name. */
export function objectsOf({ objects, exclude, records }: PushConfig): Map<string, PushedObject> {
  const wanted = Object.entries(records).filter(
    ([name]) => (objects === 'all' || objects.includes(name)) && !exclude.includes(name),
  );
  return new Map(wanted);
}
