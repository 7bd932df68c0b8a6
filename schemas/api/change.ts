import { z } from 'zod';
import { changeKindSchema, changeStateSchema, changeTargetSchema } from '../change.ts';
import { claimValueSchema } from '../observation.ts';

const FIELDS_MAX = 50;
const NAME_CHARACTERS_MAX = 100;

/** What `PATCH /v1/profiles/{id}` takes. */
export const changeRequestSchema = z.strictObject({
  fields: z
    .record(z.string().min(1).max(NAME_CHARACTERS_MAX), claimValueSchema)
    .refine((fields) => Object.keys(fields).length > 0, 'names no field')
    .refine((fields) => Object.keys(fields).length <= FIELDS_MAX, `has more than ${FIELDS_MAX} fields`)
    .describe('New values by their names in the entity; null empties a field.'),
  reason: z
    .string()
    .min(1)
    .max(500)
    .describe('Why; kept in the history for ever, so never a personal value.'),
  kind: z.enum(['explicit', 'inferred']).default('explicit').describe('inferred: computed by a model.'),
  confidence: z.number().min(0).max(1).optional().describe('Of an inferred value.'),
  model: z
    .string()
    .min(1)
    .max(NAME_CHARACTERS_MAX)
    .optional()
    .describe('Which model, with its version: risk@3.'),
  override: z
    .literal(true)
    .optional()
    .describe('Above all rules until it is released, and no system hears of it. Needs the scope admin.'),
  if_match: z
    .record(z.string().min(1).max(NAME_CHARACTERS_MAX), z.string().max(NAME_CHARACTERS_MAX).nullable())
    .optional()
    .describe(
      'Claims that were seen, by field; null: none. In the place of If-Match, so that unrelated news is no conflict.',
    ),
});
export type ChangeRequest = z.output<typeof changeRequestSchema>;

const { state, code, field, adjusted, fields, source } = changeTargetSchema.shape;

/** Its answer, and that of `GET /v1/changes/{id}`. Values are read from the profile. */
export const apiChangeSchema = z.strictObject({
  change_id: z.string(),
  profile_id: z.string(),
  /** Of the profile, with the change in it; only where it was just asked for. */
  version: z.number().int().optional(),
  entity: z.string(),
  kind: changeKindSchema,
  state: changeStateSchema,
  fields: z.array(z.string()),
  actor: z.string().nullable(),
  reason: z.string().nullable(),
  at: z.iso.datetime(),
  settled_at: z.iso.datetime().nullable(),
  code: z.string().nullable().describe('Why it was refused: the code of the system, or one of ours.'),
  field: z.string().nullable(),
  targets: z.array(
    z.strictObject({
      source,
      record: z.string().describe('source:object:record'),
      fields,
      state,
      code,
      field,
      adjusted,
    }),
  ),
});
export type ApiChange = z.output<typeof apiChangeSchema>;
