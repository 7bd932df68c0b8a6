import { z } from 'zod';

const criterion = z.union([
  z.strictObject({
    by: z.enum(['latest', 'earliest', 'nonBlank', 'longest', 'confidence', 'frequency', 'max', 'min']),
  }),
  /** A source that `order` does not list ranks last. */
  z.strictObject({ by: z.literal('source'), order: z.array(z.string().min(1)).min(1) }),
  /** explicit before inferred. */
  z.strictObject({ by: z.literal('kind') }),
]);
export type Criterion = z.output<typeof criterion>;

const filter = z.strictObject({
  sources: z.array(z.string().min(1)).min(1).optional(),
  kinds: z
    .array(z.enum(['explicit', 'inferred']))
    .min(1)
    .optional(),
  /** Claims that changed longer ago than this, ms, do not count; the answer then depends on `asOf`. */
  maxAgeMs: z.number().int().positive().optional(),
});
export type ClaimFilter = z.output<typeof filter>;

const shared = {
  /** Fallback groups: the first that leaves a claim wins. An empty filter takes every claim. */
  where: z.array(filter).min(1).optional(),
  /** skip: null and '' lose against any value. clears: a blank may win. */
  blank: z.enum(['skip', 'clears']).default('skip'),
  /** stable: the total order decides. review: a person is asked, and the total order holds until then. */
  onTie: z.enum(['stable', 'review']).default('stable'),
};

/** Exactly one of prefer (a lexicographic chain) and combine (a value made of all claims). */
export const fieldRuleSchema = z.union([
  z.strictObject({ ...shared, prefer: z.array(criterion).min(1) }),
  z.strictObject({
    ...shared,
    combine: z.enum(['union', 'sum', 'any', 'all', 'max', 'min']),
    limit: z.number().int().positive().max(10_000).optional(),
  }),
  z.strictObject({
    ...shared,
    combine: z.literal('custom'),
    /** `name@version` of a registered pure function. */
    fn: z.string().regex(/^[A-Za-z][\w-]*@\d+$/),
  }),
]);
export type FieldRule = z.output<typeof fieldRuleSchema>;

/** How one entity's golden profile is made; canonical form, durations in ms. Configuration writes '5m' (config/). */
export const conflictRulesSchema = z.strictObject({
  profile: z.string().min(1),
  /** A source time further ahead of the time we first saw the version counts as that time. */
  clock: z.strictObject({ maxSkewMs: z.number().int().nonnegative().default(300_000) }).prefault({}),
  defaults: fieldRuleSchema.prefault({ prefer: [{ by: 'latest' }] }),
  fields: z.record(z.string(), fieldRuleSchema).default({}),
  /** Fields that survive as one unit from one claim's record; ruled by the entry in `fields` under the group's name, else defaults. */
  groups: z.record(z.string(), z.array(z.string().min(1)).min(2)).default({}),
  deletes: z
    .strictObject({
      /** The profile is deleted when all of its records are, or any. */
      golden: z.enum(['all', 'any']).default('all'),
      undelete: z.enum(['newer-wins', 'never']).default('newer-wins'),
    })
    .prefault({}),
});
export type ConflictRules = z.output<typeof conflictRulesSchema>;
