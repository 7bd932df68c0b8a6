// Write-back: asks the systems of record to take a change, reads back what they made of it, and takes it back where one refuses.
import { Context } from '@temporalio/activity';
import { mappingOf, objectOf } from '../mapping/targets.ts';
import { unmap } from '../mapping/unmap.ts';
import { identical } from '../rules/golden/canonical.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs, latest } from '../rules/time.ts';
import type { ChangeState, ChangeTarget } from '../schemas/change.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import type { Source, WriteReceipt } from '../sources/source.ts';
import type { Cause, OpenChange, OpenTarget } from '../stores/claims/claims.ts';
import { withRecords } from './audit-records.ts';
import { knownSchema } from './audit-repair.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies, Profiles } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { beside } from './inbox-claim.ts';
import { NO_GOLDEN, reconcileBatches } from './reconcile.ts';

/** A record that others change faster than we can write to it waits for the next try of the step. */
const ROUNDS_MAX = 4;

export interface TargetInput {
  change: string;
  target: number;
}

/** What a workflow may know of a change: names and states, never a value or a record's name (I5). */
export interface OpenedChange {
  state: ChangeState | 'gone';
  at: Instant | null;
  targets: { label: string; fields: string[]; state: ChangeTarget['state']; code: string | null }[];
}

export type TargetOutcome =
  | { outcome: 'confirmed' | 'undone' | 'left' | 'gone' }
  | { outcome: 'refused'; code: string; field: string | null };

/** Everything that one try works with. */
interface Work {
  dependencies: Dependencies;
  profiles: Profiles;
  settings: ConnectionSettings;
  source: Source;
  schema: ObjectSchema;
  change: OpenChange;
  at: number;
  target: OpenTarget;
}

export async function openChange(
  dependencies: Dependencies,
  { change }: { change: string },
): Promise<OpenedChange> {
  const found = await profilesOf(dependencies).claims.change(change);
  if (found === null) return { state: 'gone', at: null, targets: [] };
  const { state, at, targets } = found;
  return {
    state,
    at,
    targets: targets.map((target) => ({
      label: `${target.source}.${target.object}`,
      fields: target.fields,
      state: target.state,
      code: target.code,
    })),
  };
}

/**
 * Idempotent: what the source holds already is not written again, and every stage is durable before the next begins. Nothing is
 * written over somebody else's change of the same field; one of another field is no conflict.
 */
export async function writeTarget(
  dependencies: Dependencies,
  sources: OpenSources,
  input: TargetInput,
): Promise<TargetOutcome> {
  let since: Instant = ORIGIN;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const work = await workOn(dependencies, sources, input);
    if (work === null) return { outcome: 'gone' };
    const { target } = work;
    if (target.state === 'confirmed') return { outcome: 'confirmed' };
    if (target.state === 'refused') return refusal(target.code ?? 'REFUSED', target.field);
    if (target.state === 'written') return await confirm(work);
    // What moved the record has been read since, and did not touch our fields.
    const done = await attempt(work, target.stamp === null ? null : latest(target.stamp, since));
    if (done.outcome !== 'moved') return done;
    since = done.stamp;
    await readBack(work);
  }
  throw new HeadwaterError('SOURCE_UNAVAILABLE', 'the record changes faster than it can be written');
}

async function attempt(
  work: Work,
  unlessChangedSince: Instant | null,
): Promise<TargetOutcome | { outcome: 'moved'; stamp: Instant }> {
  const { target, change, source } = work;
  const news = changedMeanwhile(work);
  // A try before this one may have arrived.
  const unsure = target.state === 'sending';
  if (news !== null && !unsure) return await refuse(work, 'CHANGED_AT_SOURCE', news);
  if (news !== null) {
    // Sent before, and the field is other than before: our value in the form that the source gave it. Nothing is sent twice.
    await note(work, { state: 'written', wrote: target.stamp });
    return await confirm(work);
  }
  const wanted = await toSend(work);
  if (wanted.length === 0) {
    await note(work, { state: 'written', wrote: target.stamp });
    return await confirm(work);
  }
  const values = sourceValues(work, wanted, change.values);
  if ('reason' in values) return await refuse(work, 'NOT_WRITABLE', values.field);
  if (source.write === undefined) return await refuse(work, 'READ_ONLY_SYSTEM', null);
  // Whoever finds this state after a crash does not know whether it arrived.
  await note(work, { state: 'sending' });
  const receipt = await send(work, values.values, unlessChangedSince);
  failpoint('write:sent');
  if (receipt.outcome === 'refused')
    return await refuse(work, receipt.code, fieldOf(work, wanted, receipt.field));
  if (receipt.outcome === 'moved') {
    if (!unsure) await note(work, { state: 'pending' });
    return receipt;
  }
  await note(work, { state: 'written', wrote: receipt.stamp, former: receipt.former ?? target.former });
  failpoint('write:noted');
  return await confirm(work);
}

/** By the ordinary road, so that what the system holds now is a version like any other (I1). */
async function confirm(work: Work): Promise<TargetOutcome> {
  await readBack(work);
  const { claims } = work.profiles;
  const now = await claims.openChange(work.change.id);
  const target = now?.targets[work.at];
  if (now === null || target === undefined) return { outcome: 'gone' };
  const adjusted = target.fields.filter((field) => !holds(target.now[field], now.values[field]));
  await note(work, { state: 'confirmed', adjusted });
  failpoint('write:read');
  return { outcome: 'confirmed' };
}

/** Another system refused: the former values again, unless somebody has changed them since. */
export async function undoTarget(
  dependencies: Dependencies,
  sources: OpenSources,
  input: TargetInput,
): Promise<TargetOutcome> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const work = await workOn(dependencies, sources, input);
    if (work === null) return { outcome: 'gone' };
    const { target, source } = work;
    if (target.state === 'undone' || target.state === 'left') return { outcome: target.state };
    if (target.state === 'pending' || target.state === 'refused') return { outcome: 'undone' };
    const before = target.former ?? beforeOf(work);
    if (before === null || source.write === undefined) return await leave(work, 'NO_FORMER_VALUE');
    const receipt = await send(work, before, target.wrote ?? target.stamp);
    if (receipt.outcome === 'refused') return await leave(work, receipt.code);
    await readBack(work);
    if (receipt.outcome === 'written') {
      await note(work, { state: 'undone' });
      return { outcome: 'undone' };
    }
    // Somebody changed the record; only if they left our value alone is it ours to undo.
    const now = (await workOn(dependencies, sources, input))?.target;
    const ours = now?.fields.every((field) => holds(now.now[field], target.now[field])) ?? false;
    if (!ours) return await leave(work, 'CHANGED_AT_SOURCE');
    await note(work, { wrote: receipt.stamp });
  }
  throw new HeadwaterError('SOURCE_UNAVAILABLE', 'the record changes faster than it can be written');
}

export async function settleChange(
  dependencies: Dependencies,
  input: { change: string; outcome: 'confirmed' | 'refused'; code: string | null; field: string | null },
): Promise<{ state: ChangeState | 'gone' }> {
  const { change, outcome, code, field } = input;
  const why = code === null ? null : { code, field };
  const reason = code === null ? outcome : `${outcome}: ${code}`;
  const { claims } = profilesOf(dependencies);
  const state = await claims.settleChange(change, outcome, why, await causeOf(dependencies, change, reason));
  return { state: state ?? 'gone' };
}

function profilesOf({ profiles }: Dependencies): Profiles {
  if (profiles !== undefined) return profiles;
  throw new HeadwaterError('INPUT_INVALID', 'the configuration has no profiles', {
    remedy: 'Add `profiles: {}` to headwater.config.ts and restart the worker.',
  });
}

async function workOn(
  dependencies: Dependencies,
  sources: OpenSources,
  { change: id, target: at }: TargetInput,
): Promise<Work | null> {
  const profiles = profilesOf(dependencies);
  const change = await profiles.claims.openChange(id);
  const target = change?.targets[at];
  if (change === null || target === undefined) return null;
  const settings = connectionSettings(dependencies, target.source);
  const source = await sources.source(target.source, 'webhook');
  const { object } = objectOf(target);
  const schema = (await knownSchema(dependencies, target.source, object)) ?? (await source.describe(object));
  return { dependencies, profiles, settings, source, schema, change, at, target };
}

/** The first field that the system holds otherwise than when the change was asked for, and not as it asks. */
function changedMeanwhile({ target, change }: Work): string | null {
  const { fields, now, then } = target;
  const changed = fields.find(
    (field) => !holds(now[field], then[field]) && !holds(now[field], change.values[field]),
  );
  return changed ?? null;
}

function holds(left: ClaimValue | undefined, right: ClaimValue | undefined): boolean {
  return identical(left ?? null, right ?? null);
}

/**
 * Our own echo: the same value was sent to this field before, the source keeps it in another form, and that form is still there.
 * Sending it again would change nothing, and two systems with two forms would never come to rest.
 */
async function toSend({ profiles, change, target }: Work): Promise<string[]> {
  const sent = await profiles.claims.sentTo(target);
  return target.fields.filter((field) => {
    const last = sent.find((one) => one.field === field && one.change !== change.id);
    const wanted = change.values[field];
    if (last === undefined || !holds(last.value, wanted)) return true;
    return holds(last.got, wanted) || !holds(last.got, target.now[field]);
  });
}

function sourceValues(
  { profiles, change, target }: Work,
  fields: readonly string[],
  values: Readonly<Record<string, ClaimValue | undefined>>,
): { values: Record<string, unknown> } | { field: string; reason: string } {
  const mapping = mappingOf(target, change.entity, (name, object) => profiles.mappings(name, object));
  const all: Record<string, unknown> = {};
  for (const field of fields) {
    if (mapping === undefined) return { field, reason: 'no mapping' };
    const back = unmap(mapping, target.source, field, values[field] ?? null);
    if (!back.ok) return { field, reason: back.reason };
    Object.assign(all, back.values);
  }
  return { values: all };
}

/** What the record said before, where the source's own former values were lost with a crash. */
function beforeOf(work: Work): Record<string, unknown> | null {
  const before = sourceValues(work, work.target.fields, work.target.then);
  return 'reason' in before ? null : before.values;
}

async function send(
  { dependencies, source, schema, target }: Work,
  values: Readonly<Record<string, unknown>>,
  unlessChangedSince: Instant | null,
): Promise<WriteReceipt> {
  const request = { schema, record: target.record, values, unlessChangedSince };
  const { cancellationSignal } = Context.current();
  const lanes = dependencies.fast === undefined ? dependencies.lanes : beside(dependencies).lanes;
  return await lanes('api', async () => {
    if (source.write === undefined) throw new HeadwaterError('INTERNAL', 'this source cannot write');
    return await source.write(request, cancellationSignal);
  });
}

async function readBack({
  dependencies,
  profiles,
  settings,
  source,
  schema,
  target,
  change,
  at,
}: Work): Promise<void> {
  const quick = dependencies.fast === undefined ? dependencies : beside(dependencies);
  const asked = { settings, source, schema, ids: [target.record], purpose: `change ${change.id} ${at}` };
  const cause = await causeOf(dependencies, change.id, 'read back');
  await withRecords(quick, asked, async ({ window, batch }) => {
    const summary = { ...NO_GOLDEN };
    await reconcileBatches(quick, profiles, {
      window,
      schema,
      batches: [batch],
      cause,
      summary,
      quiet: true,
    });
  });
}

async function note(work: Work, said: Parameters<Profiles['claims']['noteTarget']>[2]): Promise<void> {
  const { dependencies, profiles, change, at, target } = work;
  await profiles.claims.noteTarget(change.id, at, said, await causeOf(dependencies, change.id, null));
  Object.assign(target, said);
}

async function refuse(work: Work, code: string, field: string | null): Promise<TargetOutcome> {
  await note(work, { state: 'refused', code, field });
  return refusal(code, field);
}

async function leave(work: Work, code: string): Promise<TargetOutcome> {
  await note(work, { state: 'left', code });
  return { outcome: 'left' };
}

function refusal(code: string, field: string | null): TargetOutcome {
  return { outcome: 'refused', code, field };
}

/** The golden field that a field of the source is written from. */
function fieldOf(work: Work, fields: readonly string[], name: string | null): string | null {
  if (name === null) return null;
  const found = fields.find((field) => {
    const one = sourceValues(work, [field], work.change.values);
    return 'values' in one && Object.hasOwn(one.values, name);
  });
  return found ?? null;
}

/** Who asked stays the actor of all that follows from it; the run is the workflow that every change has. */
async function causeOf(dependencies: Dependencies, change: string, reason: string | null): Promise<Cause> {
  const found = await profilesOf(dependencies).claims.change(change);
  const at = fromMs(dependencies.now());
  return { via: 'api', run: `change/${change}`, actor: found?.actor ?? null, reason, at };
}
