import type { ClaimFilter, ConflictRules, FieldRule } from '../../schemas/conflicts.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { ClaimKind, ClaimValue } from '../../schemas/observation.ts';
import { HeadwaterError } from '../errors.ts';

/** What a custom rule sees of a claim. */
export interface CustomClaim {
  source: string;
  value: ClaimValue;
  kind: ClaimKind;
  confidence: number;
  changedAt: Instant;
}

/** Pure: the claims come newest first, blanks left out unless they may win, so that the order of arrival never shows. */
export type CustomRule = (claims: readonly CustomClaim[], asOf: Instant) => ClaimValue;

/** A rule ready to use. `name`: of the field or the group it was written for; '' for the defaults. */
export interface CompiledRule {
  name: string;
  rule: FieldRule;
  filters: readonly ClaimFilter[];
  /** The members, when it rules a group as one unit. */
  members: readonly string[] | null;
  custom: CustomRule | null;
  /** One claim alone wins without a look at it; what decided then. */
  plain: boolean;
  alone: string;
}

export interface CompiledRules {
  rules: ConflictRules;
  defaults: CompiledRule;
  /** By field; each member of a group has the rule of the group. */
  fields: ReadonlyMap<string, CompiledRule>;
}

const EVERY_CLAIM: readonly ClaimFilter[] = [{}];

/** Once per set of rules, not per profile. Throws CONFIG_INVALID for rules that contradict themselves. */
export function compileRules(
  rules: ConflictRules,
  custom: ReadonlyMap<string, CustomRule> = new Map(),
): CompiledRules {
  const [mistake] = ruleMistakes(rules, new Set(custom.keys()));
  if (mistake) {
    const path = [`conflicts.${rules.profile}`, ...mistake.path].join('.');
    throw new HeadwaterError('CONFIG_INVALID', `${path}: ${mistake.message}`);
  }
  const compile = (name: string, rule: FieldRule, members: readonly string[] | null): CompiledRule => ({
    name,
    rule,
    filters: rule.where ?? EVERY_CLAIM,
    members,
    custom: 'fn' in rule ? (custom.get(rule.fn) ?? null) : null,
    plain: 'prefer' in rule && rule.where === undefined,
    alone: members ? `group ${name}: only claim` : 'only claim',
  });
  const fields = new Map(
    Object.entries(rules.fields).map(([name, rule]) => [name, compile(name, rule, null)]),
  );
  for (const [name, members] of Object.entries(rules.groups)) {
    const compiled = compile(name, fields.get(name)?.rule ?? rules.defaults, members);
    fields.delete(name);
    for (const member of members) fields.set(member, compiled);
  }
  return { rules, defaults: compile('', rules.defaults, null), fields };
}

/** The rule of a field; of its group, when it belongs to one. */
export function ruleOf(compiled: CompiledRules, field: string): CompiledRule {
  return compiled.fields.get(field) ?? compiled.defaults;
}

/** A tie in this field is put before a person. */
export function asksReview(compiled: CompiledRules, field: string): boolean {
  return ruleOf(compiled, field).rule.onTie === 'review';
}

/** What the shape alone cannot tell, as a path inside the rules and a sentence with the fix. */
export function ruleMistakes(
  rules: ConflictRules,
  registered: ReadonlySet<string>,
): { path: string[]; message: string }[] {
  const mistakes: { path: string[]; message: string }[] = [];
  const groupOf = new Map<string, string>();
  for (const [group, members] of Object.entries(rules.groups)) {
    const path = ['groups', group];
    for (const member of members) {
      const other = groupOf.get(member);
      if (other !== undefined) {
        const where = other === group ? 'twice in this group' : `in the group ${other} too`;
        mistakes.push({ path, message: `${member} is ${where}. A field survives with one group.` });
      }
      groupOf.set(member, group);
    }
    const rule = Object.hasOwn(rules.fields, group) ? rules.fields[group] : undefined;
    if (!('prefer' in (rule ?? rules.defaults))) {
      const message = `a group survives whole, from one record. Write fields.${group} with prefer.`;
      mistakes.push({ path, message });
    }
  }
  for (const field of Object.keys(rules.fields)) {
    const group = groupOf.get(field);
    if (group === undefined || Object.hasOwn(rules.groups, field)) continue;
    const message = `is ruled by its group. Write the rule as fields.${group}, or take ${field} out of the group.`;
    mistakes.push({ path: ['fields', field], message });
  }
  const all: [string[], FieldRule][] = [[['defaults'], rules.defaults]];
  for (const [name, rule] of Object.entries(rules.fields)) all.push([['fields', name], rule]);
  for (const [path, rule] of all) {
    if (!('fn' in rule) || registered.has(rule.fn)) continue;
    const known = registered.size === 0 ? '' : ` Registered: ${[...registered].toSorted().join(', ')}.`;
    const message = `'${rule.fn}' is not registered. Write defineCustomRule('${rule.fn}', …) first.${known}`;
    mistakes.push({ path: [...path, 'fn'], message });
  }
  return mistakes;
}
