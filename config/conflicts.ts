import { z } from 'zod';
import { ruleMistakes, type CustomRule } from '../rules/golden/compile.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { ClaimFilter, ConflictRules, Criterion, FieldRule } from '../schemas/conflicts.ts';
import { formatMistake, mistakesOf } from './mistakes.ts';
import { durationSchema } from './quantities.ts';

const MAX_SKEW_MS_DEFAULT = 300_000;
const CUSTOM_NAME = /^[A-Za-z][\w-]*@\d+$/;
const names = z.array(z.string().min(1)).min(1);

const criterionSchema = z
  .strictObject({
    by: z.enum([
      ...(['latest', 'earliest', 'source', 'kind', 'nonBlank', 'longest', 'confidence'] as const),
      ...(['frequency', 'max', 'min'] as const),
    ]),
    /** For `by: 'source'`: the first is the best; sources that are not listed come last. */
    order: names.optional(),
  })
  .transform(({ by, order }, context): Criterion => {
    if (by === 'source' && order) return { by, order };
    if (by !== 'source' && !order) return { by };
    const message = order
      ? `belongs to by: 'source'. Remove it, or write by: 'source'.`
      : `is missing. Write the sources, the best first, such as ['crm', 'shop'].`;
    context.addIssue({ code: 'custom', path: ['order'], message });
    return z.NEVER;
  });

const filterSchema = z
  .strictObject({
    sources: names.optional(),
    kinds: z
      .array(z.enum(['explicit', 'inferred']))
      .min(1)
      .optional(),
    /** Claims that changed longer ago do not count. */
    maxAge: durationSchema({ msMin: 1_000 }).optional(),
  })
  .transform(({ sources, kinds, maxAge }): ClaimFilter => ({
    ...(sources && { sources }),
    ...(kinds && { kinds }),
    ...(maxAge !== undefined && { maxAgeMs: maxAge }),
  }));

const ruleSchema = z
  .strictObject({
    where: z.array(filterSchema).min(1).optional(),
    prefer: z.array(criterionSchema).min(1).optional(),
    combine: z.enum(['union', 'sum', 'any', 'all', 'max', 'min', 'custom']).optional(),
    limit: z.number().int().positive().max(10_000).optional(),
    fn: z.string().regex(CUSTOM_NAME, "write a name with its version, such as 'riskScore@3'").optional(),
    blank: z.enum(['skip', 'clears']).optional(),
    onTie: z.enum(['stable', 'review']).optional(),
  })
  .superRefine(({ prefer, combine, limit, fn }, context) => {
    const mistake = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (prefer && combine) mistake('combine', 'a rule has either prefer or combine. Remove one of them.');
    if (combine === 'custom' && fn === undefined) {
      mistake('fn', `is missing. Write the function's name, such as 'riskScore@3'.`);
    }
    if (combine !== 'custom' && fn !== undefined) mistake('fn', `needs combine: 'custom'.`);
    if (combine !== 'union' && limit !== undefined) mistake('limit', `needs combine: 'union'.`);
  });
type WrittenRule = z.output<typeof ruleSchema>;

/** What a field does not say, the defaults say; `where` goes with the choice that it was written for. */
function complete(written: WrittenRule, defaults: WrittenRule): FieldRule {
  const chosen = written.prefer || written.combine ? written : { ...defaults, ...written };
  const { where, prefer, combine, limit, fn } = chosen;
  const shared = {
    ...(where && { where }),
    blank: written.blank ?? defaults.blank ?? 'skip',
    onTie: written.onTie ?? defaults.onTie ?? 'stable',
  };
  if (combine === 'custom') return { ...shared, combine, fn: fn ?? '' };
  if (combine) return { ...shared, combine, ...(limit !== undefined && { limit }) };
  return { ...shared, prefer: prefer ?? [{ by: 'latest' }] };
}

/** As a person writes the rules of one entity; afterwards in the form that is stored and hashed. */
export const conflictsSchema = z
  .strictObject({
    /** The entity, such as 'contact'. */
    profile: z.string().min(1),
    clock: z
      .strictObject({
        /** A source time further ahead of the time we first saw the version counts as that time. Default '5m'. */
        maxSkew: durationSchema().default(MAX_SKEW_MS_DEFAULT),
      })
      .prefault({}),
    defaults: ruleSchema.prefault({ prefer: [{ by: 'latest' }] }),
    fields: z.record(z.string().min(1), ruleSchema).default({}),
    groups: z.record(z.string().min(1), z.array(z.string().min(1)).min(2)).default({}),
    deletes: z
      .strictObject({
        golden: z.enum(['all', 'any']).default('all'),
        undelete: z.enum(['newer-wins', 'never']).default('newer-wins'),
      })
      .prefault({}),
  })
  .transform((written, context): ConflictRules => {
    const { profile, clock, defaults, fields, groups, deletes } = written;
    const rules: ConflictRules = {
      profile,
      clock: { maxSkewMs: clock.maxSkew },
      defaults: complete(defaults, {}),
      fields: Object.fromEntries(
        Object.entries(fields).map(([field, rule]) => [field, complete(rule, defaults)]),
      ),
      groups,
      deletes,
    };
    for (const { path, message } of ruleMistakes(rules, new Set(customRules().keys()))) {
      context.addIssue({ code: 'custom', path, message });
    }
    return rules;
  });

export type ConflictsInput = z.input<typeof conflictsSchema>;

/** The configuration's part `conflicts`: rules by entity. */
export const allConflictsSchema = z.record(z.string().min(1), conflictsSchema).superRefine((all, context) => {
  for (const [entity, { profile }] of Object.entries(all)) {
    if (profile === entity) continue;
    const message = `'${profile}' stands under '${entity}'. Write the same name in both places.`;
    context.addIssue({ code: 'custom', path: [entity, 'profile'], message });
  }
});

/** Gives conflict rules their type in the editor; loading the configuration checks them and names each mistake in one line. */
export function defineConflicts(rules: ConflictsInput): ConflictsInput {
  return rules;
}

/** The same check for rules that come from elsewhere, such as a file to preview. `file`: what the lines begin with. */
export function parseConflicts(
  input: unknown,
  file: string,
): { ok: true; rules: ConflictRules } | { ok: false; lines: string[] } {
  const parsed = conflictsSchema.safeParse(input);
  if (parsed.success) return { ok: true, rules: parsed.data };
  const mistakes = mistakesOf(parsed.error.issues, conflictsSchema, input);
  return { ok: false, lines: [...new Set(mistakes.map((mistake) => formatMistake(file, mistake)))] };
}

/** Not a variable of this module: a configuration may import another copy of the package than the program that loads it. */
declare global {
  var headwaterCustomRules: Map<string, CustomRule> | undefined;
}

/**
 * Registers a pure function for `combine: 'custom'` and returns its name. The version is a part of the name: values were made
 * by it, so other code needs another version.
 */
export function defineCustomRule(name: string, rule: CustomRule): string {
  if (!CUSTOM_NAME.test(name)) {
    throw new HeadwaterError('CONFIG_INVALID', `"${name}" has no version. Write for example 'riskScore@3'.`);
  }
  const known = registry().get(name);
  // A configuration that is loaded again makes the function again, of the same text.
  if (known && String(known) !== String(rule)) {
    const message = `"${name}" is defined twice. Give the other code another version.`;
    throw new HeadwaterError('CONFIG_INVALID', message);
  }
  registry().set(name, rule);
  return name;
}

/** Every function that was registered, for `compileRules`. */
export function customRules(): ReadonlyMap<string, CustomRule> {
  return registry();
}

function registry(): Map<string, CustomRule> {
  return (globalThis.headwaterCustomRules ??= new Map());
}
