import { z } from 'zod';
import { claimValueSchema } from '../observation.ts';

/** Answers of the profile API, as they are on the wire; docs/profile-api.md and the OpenAPI document come from these. */
const instant = z.iso.datetime().describe('UTC, ISO 8601.');
const profileId = z.string().describe('Public id: p_ and 32 hexadecimal digits.');

export const apiFieldSchema = z.strictObject({
  value: claimValueSchema.describe('Null: the sources hold nothing there.'),
  source: z
    .string()
    .nullable()
    .describe('Connection that the value is from; null for combined values and overrides.'),
  record: z.string().optional().describe('The record that it is from: source:object:record.'),
  claim: z.string().nullable().describe('Id of the claim that won; /explain/{field} shows the others.'),
  explicit: z.boolean().describe('False: computed by a model, see confidence.'),
  confidence: z.number().min(0).max(1).optional(),
  observed_at: instant.describe('When the source last stood by this value.'),
  age_s: z.number().int().min(0).describe('Seconds since observed_at.'),
  stale: z.boolean().describe('Older than its field allows.'),
  contested: z.boolean().describe('Other sources say something else.'),
  pending: z
    .literal(true)
    .optional()
    .describe('Asked for by a change that its systems have not confirmed yet.'),
  unconfirmed: z.literal(true).optional().describe('Said by an event, not yet read from the source.'),
});

const stateSchema = z
  .enum(['fresh', 'warn', 'stale', 'unknown'])
  .describe('Of the copy, by the last proven sync: a quiet source is fresh, a broken one is not.');

export const apiFreshnessSchema = z.strictObject({
  state: stateSchema,
  sources: z.record(
    z.string(),
    z.strictObject({
      state: stateSchema,
      last_success: instant.nullable().describe('End of the last run in which all went well.'),
      watermark: instant.nullable().describe('Everything up to here is proven to be in.'),
      lag_s: z.number().int().min(0).nullable(),
      warn_after_s: z.number().int().min(0).nullable(),
      error_after_s: z.number().int().min(0).nullable(),
    }),
  ),
  refresh_pending: z
    .array(z.string())
    .optional()
    .describe('Records, as source:object:record, that have changed and could not be read yet.'),
});

export const apiProfileSchema = z.strictObject({
  profile_id: profileId,
  entity: z.string(),
  version: z.number().int().describe('Rises with every change; If-Match of a change takes it.'),
  as_of: instant.describe('The moment that the answer is about.'),
  deleted: z.literal(true).optional().describe('Gone in its sources.'),
  stale: z.literal(true).optional().describe('Older than it was asked for.'),
  stale_reason: z.string().optional(),
  fields: z.record(z.string(), apiFieldSchema),
  freshness: apiFreshnessSchema,
  aliases: z.array(profileId).describe('Ids that were merged into this one; they answer 308.'),
  redactions: z.array(z.string()).describe('Fields that this key does not see.'),
  omitted: z
    .array(z.strictObject({ field: z.string(), reason: z.string() }))
    .optional()
    .describe('Live fields that are too old to be served.'),
  links: z
    .array(
      z.strictObject({
        source: z.string(),
        object: z.string(),
        record: z.string(),
        deleted: z.boolean(),
      }),
    )
    .describe('The records that it is made of.'),
});
export type ApiProfile = z.infer<typeof apiProfileSchema>;

export const apiLookupSchema = z.strictObject({
  matches: z.array(apiProfileSchema).describe('Several when sources disagree about who it is.'),
  more: z.boolean().describe('There are more than are listed.'),
});

export const apiBatchSchema = z.strictObject({
  profiles: z.array(apiProfileSchema).describe('In the order asked, without those below.'),
  problems: z.array(
    z.strictObject({
      profile_id: z.string(),
      status: z.union([z.literal(308), z.literal(403), z.literal(404), z.literal(410)]),
      location: z.string().optional().describe('308: where it went.'),
    }),
  ),
});

export const apiRelatedSchema = z.strictObject({
  profile_id: profileId,
  related: z
    .record(z.string(), z.array(apiProfileSchema))
    .describe('By kind, the newest first, as far as the limit goes.'),
});

export const apiExplainSchema = z.strictObject({
  profile_id: profileId,
  field: z.string(),
  decided_by: z.string().nullable().describe('The part of the rule that decided.'),
  value: claimValueSchema,
  considered: z.array(
    z.strictObject({
      record: z.string(),
      claim: z.string(),
      value: claimValueSchema,
      explicit: z.boolean(),
      confidence: z.number(),
      changed_at: instant,
      outcome: z.enum(['won', 'lost', 'filtered', 'blank', 'retracted', 'deleted']),
      why: z.string(),
    }),
  ),
});

export const apiHistorySchema = z.strictObject({
  profile_id: profileId,
  redactions: z.array(z.string()),
  events: z.array(
    z.strictObject({
      seq: z.number().int(),
      kind: z.string(),
      at: instant.describe('When we learnt it.'),
      stamp: instant.nullable().describe("The source's own time."),
      record: z.string().nullable(),
      fields: z.record(z.string(), claimValueSchema).nullable().describe('Null once erased.'),
      via: z.string(),
      actor: z.string().nullable(),
      cause: z.string().nullable(),
    }),
  ),
});

export const apiHealthSchema = z.strictObject({
  health: z.enum(['ok', 'degraded', 'down']),
  profiles: z.enum(['up', 'down', 'off']),
  cache: z.enum(['up', 'away']),
  current: z.boolean().describe('Changes reach the cache.'),
});

export const apiProblemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().optional(),
  })
  .describe('RFC 9457.');
