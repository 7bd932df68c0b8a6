import { setImmediate as turn } from 'node:timers/promises';
import { conflictRulesSchema } from '../../../schemas/conflicts.ts';
import type { GoldenProfile } from '../../../schemas/profile.ts';
import type { GoldenChange, Claims, RollbackLine } from '../claims.ts';
import { relinkProfiles } from '../engine/link-change.ts';
import { previewRollBack, recordsInScope } from '../engine/rollback.ts';
import { ask, type Program } from '../engine/program.ts';
import * as queries from '../engine/queries.ts';
import { subjectOf } from '../engine/subject.ts';
import { previewPage } from '../engine/rule-change.ts';
import { instantOf } from '../engine/history.ts';
import { compileRules } from '../../../rules/golden/resolve.ts';
import { requireLimit, type Store } from '../store.ts';

/** Profiles that one transaction opens, at some 50 µs each. */
const PREVIEW_PROFILES = 100;
const PREVIEW_RECORDS = 100;
/** Each opens all that it hangs together with. */
const LINK_PART = 20;
/** Of what is only looked at. */
const NOBODY = { via: 'operator' as const, run: null, actor: null, reason: null };
/** Profiles of several sources that are looked at, newest first, before the list ends. */
const CONTESTED_SCAN_MAX = 10_000;

type Names =
  | 'rowHashes'
  | 'profile'
  | 'current'
  | 'profileOf'
  | 'find'
  | 'profiles'
  | 'contested'
  | 'explain'
  | 'history'
  | 'counts'
  | 'rules'
  | 'previewRules'
  | 'previewLinks'
  | 'previewRollback'
  | 'reviews'
  | 'outbox'
  | 'outboxEnd'
  | 'cursor'
  | 'events'
  | 'subject'
  | 'suppressing'
  | 'suppressed'
  | 'suppressedIdentifiers'
  | 'verify'
  | 'sinkState';

export function readMethods(store: Store): Pick<Claims, Names> {
  return {
    ...profileMethods(store),
    ...listMethods(store),
    ...erasedMethods(store),
    ...stewardMethods(store),
  };
}

function profileMethods({
  backend,
  context,
}: Store): Pick<
  Claims,
  'profile' | 'current' | 'profileOf' | 'find' | 'profiles' | 'contested' | 'explain' | 'history'
> {
  const { vault } = context;
  return {
    profile: async (id, { asOf } = {}) =>
      await backend.look(() =>
        queries.readProfile(context, id, asOf === undefined ? undefined : Date.parse(asOf)),
      ),
    current: async (ids) => {
      const found: GoldenProfile[] = [];
      for (let first = 0; first < ids.length; first += PREVIEW_PROFILES) {
        const some = ids.slice(first, first + PREVIEW_PROFILES);
        const pids = some.flatMap((id) => vault.privateId(id) ?? []);
        found.push(...(await backend.look(() => queries.readExactly(context, pids))));
        // What waits for this thread, a heartbeat or a webhook, comes in between.
        await turn();
      }
      return found;
    },
    profileOf: async ({ source, object, record }) => {
      const row = await backend.look(() => ask((reads) => reads.recordByRef(source, object, record)));
      return row === null ? null : vault.publicId(row.pid);
    },
    find: async (entity, { kind, value }) => {
      const hash = vault.identifierHash(entity, kind, value);
      const hits = await backend.look(() => ask((reads) => reads.hits([hash], PREVIEW_RECORDS)));
      return [...new Set(hits.map(({ pid }) => vault.publicId(pid)))];
    },
    profiles: async ({ entity, after, limit }) => {
      const above = after === undefined ? 0 : (vault.privateId(after) ?? 0);
      const pids = await backend.look(() =>
        ask((reads) => reads.profilesAfter(above, entity ?? null, requireLimit(limit))),
      );
      return await backend.look(() => queries.readProfiles(context, pids));
    },
    contested: async ({ entity, limit }) => {
      const found: GoldenProfile[] = [];
      const most = requireLimit(limit);
      for (let seen = 0; seen < CONTESTED_SCAN_MAX && found.length < most; seen += PREVIEW_PROFILES) {
        const skip = seen;
        const page = await backend.look(function* program() {
          const pids = yield* ask((reads) => reads.contested(entity ?? null, skip, PREVIEW_PROFILES));
          return {
            last: pids.length < PREVIEW_PROFILES,
            profiles: yield* queries.readProfiles(context, pids),
          };
        });
        found.push(...page.profiles.filter(isContested));
        if (page.last) break;
      }
      return found.slice(0, most);
    },
    explain: async (profile, field) => await backend.look(() => queries.explain(context, profile, field)),
    history: async (profile, options = {}) =>
      await backend.look(() => queries.history(context, profile, options)),
  };
}

function isContested({ fields, deleted }: GoldenProfile): boolean {
  return !deleted && Object.values(fields).some(({ contested }) => contested);
}

function listMethods({
  backend,
  context,
}: Store): Pick<
  Claims,
  'rowHashes' | 'counts' | 'outbox' | 'outboxEnd' | 'cursor' | 'events' | 'verify' | 'sinkState'
> {
  const { vault } = context;
  return {
    rowHashes: async (source, object, records) =>
      await backend.look(() => rowHashes(source, object, records)),
    counts: async () => {
      const counts = await backend.look(() => ask((reads) => reads.counts()));
      const kinds = [...counts].filter(([name]) => name.startsWith('profiles:'));
      return {
        profiles: Object.fromEntries(kinds.map(([name, count]) => [name.slice('profiles:'.length), count])),
        records: counts.get('records') ?? 0,
        events: counts.get('events') ?? 0,
        openReviews: counts.get('open reviews') ?? 0,
      };
    },
    outboxEnd: async () => (await backend.look(() => ask((reads) => reads.head()))).position,
    outbox: async (after, limit) => {
      const rows = await backend.look(() => ask((reads) => reads.outbox(after, requireLimit(limit))));
      return rows.map(({ pid, at, ...row }) => ({ ...row, profile: vault.publicId(pid), at: instantOf(at) }));
    },
    cursor: async (consumer) => await backend.look(() => ask((reads) => reads.cursor(consumer))),
    events: async (afterSeq, limit) =>
      await backend.look(function* program() {
        const rows = yield* ask((reads) => reads.eventsAfter(afterSeq, requireLimit(limit)));
        return yield* queries.openEvents(context, rows);
      }),
    verify: async () => await backend.verify(),
    sinkState: async () => await backend.sinkState(),
  };
}

function erasedMethods({
  backend,
  context,
}: Store): Pick<Claims, 'subject' | 'suppressing' | 'suppressed' | 'suppressedIdentifiers'> {
  const { vault } = context;
  const among = async (hashes: string[]) => {
    const erased = await backend.look(() => ask((reads) => reads.suppressed(hashes)));
    return hashes.map((hash) => erased.has(hash));
  };
  return {
    subject: async (profile) => {
      const at = instantOf(context.nowMs());
      const cause = { via: 'operator' as const, run: null, actor: null, reason: null, at };
      return await backend.look(() => subjectOf(context, profile, cause));
    },
    suppressing: async () => (await backend.look(() => ask((reads) => reads.head()))).suppressed > 0,
    suppressed: async (source, object, records) =>
      await among(records.map((record) => vault.subjectHash(source, object, record))),
    suppressedIdentifiers: async (entity, identifiers) =>
      await among(identifiers.map(({ kind, value }) => vault.identifierHash(entity, kind, value))),
  };
}

function* rowHashes(source: string, object: string, records: readonly string[]): Program<(string | null)[]> {
  const rows = yield* ask((reads) => reads.recordsByRef(source, object, records));
  return rows.map((row) => row?.rowHash ?? null);
}

function stewardMethods({
  backend,
  context,
  custom,
}: Store): Pick<Claims, 'rules' | 'previewRules' | 'previewLinks' | 'previewRollback' | 'reviews'> {
  return {
    rules: async (entity) => {
      const row = await backend.look(() => ask((reads) => reads.rules(entity)));
      return row === null ? null : { rules: row.rules, hash: row.hash, since: instantOf(row.at) };
    },
    previewRules: async function* previewRules(rules, { limit }) {
      const compiled = compileRules(conflictRulesSchema.parse(rules), custom);
      let page: GoldenChange[] = [];
      for (let after = 0; ;) {
        const above = after;
        const pids = await backend.look(() =>
          ask((reads) => reads.profilesAfter(above, rules.profile, PREVIEW_PROFILES)),
        );
        const last = pids.at(-1);
        if (last === undefined) break;
        page.push(...(await backend.look(() => previewPage(context, compiled, pids))));
        for (; page.length >= limit; page = page.slice(limit)) yield page.slice(0, requireLimit(limit));
        after = last;
      }
      if (page.length > 0) yield page;
    },
    previewLinks: async function* previewLinks(entity) {
      const cause = { ...NOBODY, at: instantOf(context.nowMs()) };
      for (let after = 0; ;) {
        const above = after;
        const pids = await backend.look(() =>
          ask((reads) => reads.profilesAfter(above, entity ?? null, LINK_PART)),
        );
        const last = pids.at(-1);
        if (last === undefined) return;
        // What it would write is dropped.
        yield (await backend.look(() => relinkProfiles(context, pids, cause))).result;
        after = last;
        await turn();
      }
    },
    previewRollback: async (scope, { limit }) => {
      const cause = {
        via: 'operator' as const,
        run: null,
        actor: null,
        reason: null,
        at: instantOf(context.nowMs()),
      };
      const lines: RollbackLine[] = [];
      const seen = new Set<number>();
      for (let after = 0; lines.length < requireLimit(limit);) {
        const above = after;
        const rids = await backend.look(() => recordsInScope(context, scope, above, PREVIEW_RECORDS));
        const last = rids.at(-1);
        if (last === undefined) break;
        const page = await backend.look(() => previewRollBack(context, scope, rids, cause, seen));
        lines.push(...page.lines);
        for (const pid of page.pids) seen.add(pid);
        after = last;
      }
      return lines.slice(0, limit);
    },
    reviews: async ({ state, limit }) =>
      await backend.look(function* program() {
        const rows = yield* ask((reads) => reads.reviewsIn(state ?? null, requireLimit(limit)));
        return yield* queries.openReviews(context, rows);
      }),
  };
}
