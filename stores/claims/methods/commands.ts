import { setImmediate as turn } from 'node:timers/promises';
import { compileRules } from '../../../rules/golden/resolve.ts';
import { conflictRulesSchema } from '../../../schemas/conflicts.ts';
import type { Cause, Claims } from '../claims.ts';
import * as commands from '../engine/commands.ts';
import { ask, type Program } from '../engine/program.ts';
import { relinkProfiles } from '../engine/link-change.ts';
import { recordsInScope, rollBack } from '../engine/rollback.ts';
import { beginRules, continueRules } from '../engine/rule-change.ts';
import type { Done } from '../engine/commands.ts';
import { suppress } from '../engine/subject.ts';
import { newWorld, type Context } from '../engine/world.ts';
import { requireLimit, requireSound, type Store } from '../store.ts';

/** Records or profiles that one transaction opens and decides: 20 ms. */
const PART = 100;
const CONFIRM_PART = 500;
/** Profiles whose links one transaction decides: each opens all that it hangs together with. */
const LINK_PART = 20;
/** Rows of the outbox that one transaction looks at, at some 2 µs each. */
const PRUNE_PART = 2_000;
const DURABLE = { durable: true };

type Names =
  | 'confirm'
  | 'applyRules'
  | 'applyLinks'
  | 'rollback'
  | 'release'
  | 'override'
  | 'link'
  | 'unlink'
  | 'resolveReview'
  | 'moveCursor'
  | 'prune'
  | 'suppress'
  | 'erase'
  | 'closeWindow'
  | 'close';

export function commandMethods(store: Store): Pick<Claims, Names> {
  return { ...operatorMethods(store), ...longMethods(store), ...sinkMethods(store) };
}

function operatorMethods({
  backend,
  context,
}: Store): Pick<Claims, 'release' | 'override' | 'link' | 'unlink' | 'resolveReview' | 'suppress' | 'erase'> {
  return {
    release: async (profile, field, cause) =>
      await backend.change(() => commands.release(context, profile, field, cause), DURABLE),
    override: async (profile, field, value, cause) =>
      await backend.change(() => commands.override(context, profile, field, value, cause), DURABLE),
    link: async (a, b, cause) =>
      await backend.change(() => commands.state(context, 'link', [a, b], cause), DURABLE),
    unlink: async (a, b, cause) =>
      await backend.change(() => commands.state(context, 'apart', [a, b], cause), DURABLE),
    resolveReview: async (id, decision, cause) =>
      await backend.change(() => commands.resolveReview(context, id, decision, cause), DURABLE),
    suppress: async (records, subjects, cause) =>
      await backend.change(() => suppress(context, records, subjects, cause), DURABLE),
    erase: async (profile, cause, keepOut) => {
      const erased = await backend.change(() => commands.erase(context, profile, cause, keepOut), DURABLE);
      await backend.scrub();
      return erased;
    },
  };
}

function longMethods({
  backend,
  context,
  custom,
}: Store): Pick<Claims, 'applyRules' | 'applyLinks' | 'rollback' | 'confirm'> {
  return {
    applyRules: async (given, cause) => {
      const rules = conflictRulesSchema.parse(given);
      compileRules(rules, custom);
      let progress = await backend.change(() => beginRules(context, rules, cause), DURABLE);
      let changed = progress?.changed ?? 0;
      while (progress !== null) {
        const page = await backend.change(() => continueRules(context, rules.profile, cause, PART), DURABLE);
        const isLast = page === null || page.after === progress.after;
        changed = page?.changed ?? changed;
        progress = isLast ? null : page;
        await turn();
      }
      return { changed };
    },
    applyLinks: async (cause, entity) => {
      let moved = 0;
      for (let after = 0; ;) {
        const above = after;
        const pids = await backend.look(() =>
          ask((reads) => reads.profilesAfter(above, entity ?? null, LINK_PART)),
        );
        const last = pids.at(-1);
        if (last === undefined) return { moved };
        moved += (await backend.change(() => relinkProfiles(context, pids, cause), DURABLE)).length;
        after = last;
        await turn();
      }
    },
    rollback: async (scope, cause) => {
      let retracted = 0;
      const profiles = new Set<number>();
      for (let after = 0; ;) {
        const above = after;
        const rids = await backend.look(() => recordsInScope(context, scope, above, PART));
        const last = rids.at(-1);
        if (last === undefined) break;
        const done = await backend.change(() => rollBack(context, scope, rids, cause), DURABLE);
        retracted += done.retracted;
        for (const pid of done.profiles) profiles.add(pid);
        after = last;
        await turn();
      }
      return { retracted, profiles: profiles.size };
    },
    confirm: async (source, object, records, confirmedAt) => {
      const cause: Cause = { via: 'poll', run: null, actor: null, reason: null, at: confirmedAt };
      const sound = backend.takenBack();
      for (let from = 0; from < records.length; from += CONFIRM_PART) {
        const part = records.slice(from, from + CONFIRM_PART);
        const durable = from + CONFIRM_PART >= records.length;
        const program = () => {
          requireSound(backend, sound);
          return confirm(context, source, object, part, cause);
        };
        await backend.change(program, { durable });
        await turn();
      }
    },
  };
}

/** I1: only ever later, so repetition and order change nothing. */
function* confirm(
  context: Context,
  source: string,
  object: string,
  records: readonly string[],
  cause: Cause,
): Program<Done<void>> {
  const { draft } = yield* newWorld(context, cause, null, []);
  const confirmed = Date.parse(cause.at);
  for (const row of yield* ask((reads) => reads.recordsByRef(source, object, records))) {
    if (row === null || row.headId === null || row.confirmed >= confirmed) continue;
    row.confirmed = confirmed;
    draft.records.add(row);
  }
  return { writes: draft.finish(), result: undefined };
}

function sinkMethods({
  backend,
  ahead,
}: Store): Pick<Claims, 'moveCursor' | 'prune' | 'closeWindow' | 'close'> {
  let pruned = 0;
  return {
    moveCursor: async (consumer, position) => await backend.moveCursor(consumer, position),
    prune: async (rowsMax) => {
      let removed = 0;
      for (let seen = 0; seen < requireLimit(rowsMax); seen += PRUNE_PART) {
        const part = await backend.pruneOutbox(pruned, Math.min(PRUNE_PART, rowsMax - seen));
        removed += part.removed;
        // At the end it begins anew: rows that were the newest of their profile then are perhaps replaced by now.
        pruned = part.last ?? 0;
        if (part.last === null) break;
        await turn();
      }
      return removed;
    },
    closeWindow: async (window, batches) => await backend.closeWindow(window, batches),
    close: async () => {
      await ahead.close();
      await backend.close();
    },
  };
}
