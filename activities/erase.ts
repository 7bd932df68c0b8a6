// What an erasure does, step by step; each may be repeated, and every one but the last finds the subject again by its profile.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import type { ErasurePreview } from '../schemas/erasure.ts';
import type { EraseRequest } from '../schemas/inputs.ts';
import type { Window } from '../schemas/window.ts';
import type { Cause, Subject } from '../stores/claims/claims.ts';
import { copiesOf, onEachCopy } from './copies.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import {
  closureOf,
  countSubject,
  goldenRows,
  purgeRequestOf,
  stagedWindows,
  type Closure,
} from './erase-subject.ts';
import { failpoint } from './failpoints.ts';
import { stillStaged } from './still-staged.ts';
import { CLAIMS_SINK } from '../rules/sinks.ts';
import { objectNames } from './suppress.ts';

/** Profiles by their public ids: after the erasure they name nobody any more. */
export type ErasedProfiles = Pick<Subject, 'entity' | 'profiles' | 'formerly'>[];

export interface Suppressed {
  /** Windows planned until then may still bring the subject; later ones leave it out. */
  until: string;
  subjects: ErasedProfiles;
}

/** What has to land or end before the subject's files can go. */
export interface Pending {
  /** Windows that a live run still moves. */
  moving: number;
  /** Connections with staged windows that the warehouse, or the claims store, has yet to take. */
  deliver: string[];
  reconcile: string[];
}

export async function previewErase(
  dependencies: Dependencies,
  { profile }: Pick<EraseRequest, 'profile'>,
): Promise<ErasurePreview> {
  const profiles = profilesOf(dependencies);
  return countSubject(dependencies, profiles, await subjectOf(profiles, profile), nowOf(dependencies));
}

/** First of all the subject is kept out: what is read from here on no longer lands. */
export async function suppressSubject(
  dependencies: Dependencies,
  { profile, reason }: EraseRequest,
  approver: string,
): Promise<Suppressed> {
  const profiles = profilesOf(dependencies);
  const cause = causeOf(dependencies, approver, reason);
  const together = await subjectOf(profiles, profile);
  for (const [ours, theirs] of together.splits) await profiles.claims.unlink(ours, theirs, cause);
  const { subjects, raw } = together.splits.length === 0 ? together : await subjectOf(profiles, profile);
  const refs = raw.flatMap(({ connection, object, records }) =>
    objectNames(profiles, connection, object).flatMap((name) =>
      records.map((record) => ({ source: connection, object: name, record })),
    ),
  );
  await profiles.claims.suppress(refs, subjects, cause);
  failpoint('erase:suppressed');
  return {
    until: nowOf(dependencies),
    subjects: subjects.map((one) => ({ entity: one.entity, profiles: one.profiles, formerly: one.formerly })),
  };
}

/** What was read before has to land first: a file that is removed would be a hole. A dead run's window is read again instead. */
export async function pendingWindows(
  dependencies: Dependencies,
  { profile }: EraseRequest,
  until: string,
): Promise<Pending> {
  const { ledger, sink } = dependencies;
  const { raw } = await subjectOf(profilesOf(dependencies), profile);
  const pending: Pending = { moving: 0, deliver: [], reconcile: [] };
  for (const connection of new Set(raw.map((one) => one.connection))) {
    const objects = new Set(raw.filter((one) => one.connection === connection).map(({ object }) => object));
    const concerned = (windows: Window[]) =>
      windows.filter(({ object, createdAt }) => objects.has(object) && createdAt <= until);
    const open = concerned(await ledger.openWindows(connection));
    const dead = open.length === 0 ? [] : await dependencies.closedOwners(open.map(({ owner }) => owner));
    for (const window of open) {
      const isDead = dead.some(({ workflowId, runId }) => {
        return workflowId === window.owner.workflowId && runId === window.owner.runId;
      });
      if (isDead) await readAgain(dependencies, window);
      else pending.moving += 1;
    }
    if (concerned(await ledger.undelivered(sink, connection)).length > 0) pending.deliver.push(connection);
    for (const copy of copiesOf(dependencies)) {
      const waiting = await ledger.undelivered(copy.sink, connection);
      pending.moving += (await stillStaged(dependencies, concerned(waiting))).length;
    }
    if (concerned(await ledger.undelivered(CLAIMS_SINK, connection)).length > 0)
      pending.reconcile.push(connection);
  }
  return pending;
}

/** Nothing that was read of it counts: the next run resumes the window and reads it without the subject. */
async function readAgain({ ledger, stage }: Dependencies, { id, attempt, slices }: Window): Promise<void> {
  for (const { slice } of slices) await ledger.restartSlice(id, attempt, slice);
  await stage.remove(id);
}

/** Staged files of the subject's objects, whole windows at a time, and what the ledger kept of their reading. */
export async function unstageSubject(
  dependencies: Dependencies,
  { profile }: EraseRequest,
  until: string,
): Promise<void> {
  const { ledger, stage } = dependencies;
  const { raw } = await subjectOf(profilesOf(dependencies), profile);
  for (const window of await stagedWindows(dependencies, raw, until)) {
    await stage.remove(window);
    Context.current().heartbeat({ window });
  }
  for (const { connection, object, records } of raw) {
    await ledger.forgetReads(connection, object, { dryRun: false });
    // What was pushed of them may wait, or be parked, with values in it.
    await dependencies.fast?.inbox.forget(connection, object, records);
  }
  failpoint('erase:unstaged');
}

export async function purgeSubject(dependencies: Dependencies, { profile }: EraseRequest): Promise<void> {
  const { warehouse, lanes } = dependencies;
  const request = await purgeRequestOf(dependencies, await subjectOf(profilesOf(dependencies), profile));
  // I5: gone everywhere or not at all; a copy that is away makes this step try again.
  await onEachCopy(dependencies, (copy) =>
    copy.lanes('warehouse', () => copy.warehouse.purge(request, { dryRun: false })),
  );
  await lanes('warehouse', () => warehouse.purge(request, { dryRun: false }));
  failpoint('erase:purged');
}

/** The point of no return: without their keys the events of these records are noise. Named profile last. */
export async function shredSubject(
  dependencies: Dependencies,
  { reason }: EraseRequest,
  subjects: ErasedProfiles,
  approver: string,
): Promise<void> {
  const { claims } = profilesOf(dependencies);
  const cause = causeOf(dependencies, approver, reason);
  for (const { profiles } of subjects) {
    const [profile] = profiles;
    if (profile === undefined) continue;
    const left = (await claims.subject(profile))?.records.length ?? 0;
    if (left > 0) await claims.erase(profile, cause);
    failpoint('erase:shredded');
  }
}

/** What a run published meanwhile goes too; then the files are written anew, and the chain is checked. Says what remains. */
export async function scrubSubject(dependencies: Dependencies, subjects: ErasedProfiles): Promise<string[]> {
  const { claims } = profilesOf(dependencies);
  const own = goldenRows(subjects.map((one) => ({ ...one, formerly: [] })));
  const scrub = ({ warehouse, lanes }: Dependencies) =>
    lanes('warehouse', async () => {
      await warehouse.purge({ records: [], texts: [], own }, { dryRun: false });
      return warehouse.scrub();
    });
  const copies = await onEachCopy(dependencies, async (copy) =>
    (await scrub(copy)).map((line) => `${copy.sink}: ${line}`),
  );
  const remains = [...(await scrub(dependencies)), ...copies.flat()];
  const { ok, brokenAt } = await claims.verify();
  // I4: shredding keys breaks no link; a chain that does not hold was broken by something else.
  if (!ok) {
    throw new HeadwaterError('INTERNAL', `the event log does not fit its chain at batch ${brokenAt ?? 0}`);
  }
  failpoint('erase:scrubbed');
  return remains;
}

function profilesOf({ profiles }: Dependencies): Profiles {
  if (profiles !== undefined) return profiles;
  throw new HeadwaterError('INPUT_INVALID', 'the configuration has no profiles', {
    remedy: 'Add `profiles: {}` to headwater.config.ts and restart the worker.',
  });
}

async function subjectOf(profiles: Profiles, profile: string): Promise<Closure> {
  const closure = await closureOf(profiles, profile);
  if (closure !== null) return closure;
  throw new HeadwaterError('INPUT_INVALID', 'there is no profile with this id', {
    remedy: '`npx headwater profiles` lists some.',
  });
}

const nowOf = ({ now }: Dependencies): string => fromMs(now());

function causeOf(dependencies: Dependencies, actor: string, reason: string): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  return { via: 'operator', run, actor, reason, at: nowOf(dependencies) };
}
