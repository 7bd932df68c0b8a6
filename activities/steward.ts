// What a data steward asks for: rollback, changed rules, reviews. Values never leave the claims store; workflows see counts and names (I5).
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import type { Decision, RollbackRequest, RulesRequest } from '../schemas/inputs.ts';
import type { Cause, Review, RollbackScope } from '../stores/claims/claims.ts';
import type { Dependencies, Profiles } from './dependencies.ts';

/** Lines that a preview counts; more are told as "at least". */
const PREVIEW_LINES_MAX = 10_000;
const REVIEWS_MAX = 200;

/** What would change, in numbers and names. */
export interface ChangePreview {
  profiles: number;
  values: number;
  /** True when there is more than was counted. */
  more: boolean;
  byField: Record<string, number>;
}

export async function previewRollback(
  dependencies: Dependencies,
  request: RollbackRequest,
): Promise<ChangePreview> {
  const lines = await profilesOf(dependencies).claims.previewRollback(scopeOf(request), {
    limit: PREVIEW_LINES_MAX,
  });
  return counted(lines);
}

export async function rollback(
  dependencies: Dependencies,
  request: RollbackRequest,
  approver: string,
): Promise<{ retracted: number; profiles: number }> {
  // I4: taking back adds events; nothing is removed.
  return profilesOf(dependencies).claims.rollback(
    scopeOf(request),
    causeOf(dependencies, approver, request.reason),
  );
}

export async function previewRules(dependencies: Dependencies, entity?: string): Promise<ChangePreview> {
  const { claims, rules } = profilesOf(dependencies);
  const found: { profile: string; field: string }[] = [];
  for (const one of rules.filter((rule) => entity === undefined || rule.profile === entity)) {
    for await (const changes of claims.previewRules(one, { limit: PREVIEW_LINES_MAX })) {
      found.push(...changes);
      Context.current().heartbeat({ found: found.length });
      if (found.length >= PREVIEW_LINES_MAX) break;
    }
  }
  return counted(found);
}

export async function applyRules(
  dependencies: Dependencies,
  { entity, reason }: RulesRequest,
  approver: string,
): Promise<{ changed: number }> {
  const { claims, rules } = profilesOf(dependencies);
  let changed = 0;
  for (const one of rules.filter((rule) => entity === undefined || rule.profile === entity)) {
    const applied = await claims.applyRules(one, causeOf(dependencies, approver, reason));
    changed += applied.changed;
    Context.current().heartbeat({ changed });
  }
  return { changed };
}

/** An open case as the Temporal UI may show it: who is meant, but no value. */
export interface OpenReview {
  id: string;
  kind: Review['kind'];
  entity: string;
  profile: string;
  field: string | null;
  /** Choices: `c_…` claims with their records, or link | apart. */
  choices: { claim: string; record: string }[];
}

export async function openReviews(dependencies: Dependencies): Promise<OpenReview[]> {
  const { claims } = profilesOf(dependencies);
  const reviews = await claims.reviews({ state: 'open', limit: REVIEWS_MAX });
  return reviews.map(({ id, kind, entity, profile, field, candidates }) => ({
    id,
    kind,
    entity,
    profile,
    field,
    choices: candidates.map(({ ref, claim }) => ({
      claim: claim ?? '',
      record: `${ref.source}:${ref.object}:${ref.record}`,
    })),
  }));
}

export async function resolveReview(dependencies: Dependencies, given: Decision): Promise<void> {
  const cause = causeOf(dependencies, given.actor, `review ${given.review}`);
  await profilesOf(dependencies).claims.resolveReview(given.review, given.decision, cause);
}

function profilesOf({ profiles }: Dependencies): Profiles {
  if (profiles !== undefined) return profiles;
  throw new HeadwaterError('INPUT_INVALID', 'the configuration has no profiles', {
    remedy: 'Add `profiles: {}` to headwater.config.ts and restart the worker.',
  });
}

function scopeOf({ profile, field, source, run, since, hold }: RollbackRequest): RollbackScope {
  return {
    hold,
    ...(profile === undefined ? {} : { profile }),
    ...(field === undefined ? {} : { field }),
    ...(source === undefined ? {} : { source }),
    ...(run === undefined ? {} : { run }),
    ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
  };
}

function causeOf({ now }: Dependencies, actor: string, reason: string): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  return { via: 'operator', run, actor, reason, at: new Date(now()).toISOString() };
}

function counted(lines: readonly { profile: string; field: string }[]): ChangePreview {
  const byField: Record<string, number> = {};
  for (const { field } of lines) byField[field] = (byField[field] ?? 0) + 1;
  return {
    profiles: new Set(lines.map(({ profile }) => profile)).size,
    values: lines.length,
    more: lines.length >= PREVIEW_LINES_MAX,
    byField,
  };
}
