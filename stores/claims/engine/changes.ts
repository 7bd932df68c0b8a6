import { canonicalJson, identical } from '../../../rules/golden/canonical.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { Change, ChangeKind, ChangeState, ChangeTarget } from '../../../schemas/change.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { ClaimValue, RecordRef } from '../../../schemas/observation.ts';
import type {
  Cause,
  OpenChange,
  OpenTarget,
  Proposal,
  Proposed,
  ProposedTarget,
  Sent,
  TargetNote,
} from '../claims.ts';
import { anchor, finish, setOverride, worldOf, type Done } from './commands.ts';
import { instantOf } from './history.ts';
import { landInferred } from './infer.ts';
import { ask, type ChangeRow, type Program, type RecordRow } from './program.ts';
import { view } from './queries.ts';
import { newWorld, type Context, type Profile, type Rec, type World } from './world.ts';

/** Changes that are remembered of what one record carries: they tell our own echo. Older settled ones are forgotten. */
const KEPT_MAX = 50;

type Values = Readonly<Record<string, ClaimValue>>;

/** Sealed. Only ever read together with its row. */
interface Body {
  kind: ChangeKind;
  /** Of all that was asked for: the same id never means two things. */
  asked: string;
  values: Values;
  actor: string | null;
  reason: string | null;
  settledAt: Instant | null;
  code: string | null;
  field: string | null;
  targets: BodyTarget[];
}

interface BodyTarget extends ChangeTarget {
  then: Values;
  former: Readonly<Record<string, unknown>> | null;
  wrote: Instant | null;
  /** Where the source keeps another form: the golden value that was read back. */
  got: Values;
}

export function* propose(
  context: Context,
  profileId: string,
  proposal: Proposal,
  cause: Cause,
): Program<Done<Proposed>> {
  const { world, profile } = yield* worldOf(context, profileId, cause);
  const asked = proposal.asked ?? askedOf(proposal);
  const known = yield* ask((reads) => reads.change(proposal.id));
  if (known !== null) {
    const opened = yield* openRow(context, known);
    if (opened?.body.asked !== asked) {
      throw new HeadwaterError('INPUT_INVALID', 'this id was used for another change', {
        details: { field: 'id' },
      });
    }
    const { version } = profile.row;
    return { writes: world.draft.finish(), result: { version, state: known.state, repeated: true } };
  }
  requireSeen(world, profile, proposal);
  const rec = anchor(profile);
  const targets = proposal.targets.map((target) => targetOf(world, profile, target));
  const body: Body = {
    ...{ kind: proposal.kind, asked, values: proposal.values, actor: cause.actor, reason: cause.reason },
    ...{ settledAt: null, code: null, field: null, targets },
  };
  const state = yield* enact(world, profile, rec, proposal, body);
  if (state !== 'pending') body.settledAt = world.cause.at;
  const at = world.draft.at;
  keep(world, rec, { id: proposal.id, rid: rec.row.rid, state, at }, body);
  const done = yield* finish(world, { version: 0, state, repeated: false });
  done.result.version = profile.row.version;
  return done;
}

function* enact(
  world: World,
  profile: Profile,
  rec: Rec,
  proposal: Proposal,
  body: Body,
): Program<ChangeState> {
  const { id, kind, values } = proposal;
  if (kind === 'inferred') {
    yield* landInferred(world, profile, rec, proposal);
    return 'confirmed';
  }
  if (kind === 'override') {
    world.marked.add(profile);
    for (const [field, value] of Object.entries(values)) setOverride(world, profile, field, value);
    return 'confirmed';
  }
  if (holdsAlready(world, profile, body)) {
    for (const target of body.targets) target.state = 'confirmed';
    return 'confirmed';
  }
  world.keepPrior(profile);
  world.marked.add(profile);
  for (const [field, value] of Object.entries(values)) {
    const seq = world.draft.statement('propose', rec.row, world.keyOf(rec), { field, value, change: id });
    const said = world.draft.events.at(-1)?.id ?? '';
    const opened = world.opened(rec);
    const override = { field, value, id: said, seq, at: world.cause.at, pending: id };
    rec.opened = { ...opened, overrides: [...opened.overrides, override] };
  }
  return 'pending';
}

/** No-op by content: what comes back as our own echo asks for what everybody holds. */
function holdsAlready(world: World, profile: Profile, { targets, values }: Body): boolean {
  const { fields } = world.resolved(profile);
  const golden = Object.entries(values).every(([field, value]) => {
    const held = Object.hasOwn(fields, field) ? fields[field] : undefined;
    return held !== undefined && identical(held.value, value);
  });
  return golden && targets.every(({ fields: own, then }) => own.every((field) => same(then, values, field)));
}

function same(left: Values, right: Values, field: string): boolean {
  const [a, b] = [left[field], right[field]];
  return a !== undefined && b !== undefined && identical(a, b);
}

function askedOf({ kind, values, targets, version, claims, confidence, model }: Proposal): string {
  const asks = targets.map(({ source, object, record, fields }) => ({
    ...{ source, object, record, fields: [...fields] },
  }));
  const more = {
    ...(version === undefined ? {} : { version }),
    ...(claims === undefined ? {} : { claims: { ...claims } }),
    ...(confidence === undefined ? {} : { confidence }),
    ...(model === undefined ? {} : { model }),
  };
  return canonicalJson({ kind, values: { ...values }, targets: asks, ...more });
}

/** Optimistic concurrency, of the whole profile or of each field; an unrelated change then is no conflict. */
function requireSeen(world: World, profile: Profile, { version, claims, values }: Proposal): void {
  if (version !== undefined && version !== profile.row.version) {
    throw new HeadwaterError('VERSION_CONFLICT', `the profile is at version ${profile.row.version}`, {
      details: { version: profile.row.version },
    });
  }
  for (const { field, pending } of world.overrides(profile.members)) {
    if (pending === undefined || !Object.hasOwn(values, field)) continue;
    throw new HeadwaterError('VERSION_CONFLICT', `another change of ${field} waits for its systems`, {
      details: { field, change: pending },
    });
  }
  if (claims === undefined) return;
  const { fields } = world.resolved(profile);
  for (const [field, expected] of Object.entries(claims)) {
    const claim = (Object.hasOwn(fields, field) ? fields[field]?.claim : null) ?? null;
    if (claim === expected) continue;
    throw new HeadwaterError('VERSION_CONFLICT', `${field} has changed`, { details: { field, claim } });
  }
}

function targetOf(world: World, profile: Profile, { source, object, record, fields }: ProposedTarget) {
  const ref: RecordRef = { source, object, record };
  const rec = [...profile.members].find(({ row }) => isRef(row, ref));
  const state = rec === undefined ? null : world.stateAfter(rec);
  if (state === null || state.deleted) {
    throw new HeadwaterError('VERSION_CONFLICT', `a record of ${source} is not in the profile any more`);
  }
  const then: Record<string, ClaimValue> = {};
  for (const field of fields) {
    const claim = Object.hasOwn(state.claims, field) ? state.claims[field] : undefined;
    if (claim !== undefined) then[field] = claim.value;
  }
  const nothing = { code: null, field: null, adjusted: [], former: null, wrote: null, got: {} };
  return { ...ref, fields: [...fields], state: 'pending' as const, then, ...nothing };
}

function isRef(row: RecordRow, { source, object, record }: RecordRef): boolean {
  return row.source === source && row.object === object && row.record === record;
}

function keep(world: World, rec: Rec, row: Omit<ChangeRow, 'seal' | 'body'>, body: Body): void {
  const text = JSON.stringify(body);
  // All that the text says and whose it is: no other text has this nonce under the key.
  const seal = world.context.vault.observationId(`change\0${row.id}\0${text}`);
  world.draft.changes.push({ ...row, seal, body: world.context.vault.seal(world.keyOf(rec), text, seal) });
}

function* openRow(context: Context, row: ChangeRow): Program<{ body: Body; record: RecordRow } | null> {
  const [record] = yield* ask((reads) => reads.recordsById([row.rid]));
  if (record === undefined || record.salt === null) return null;
  const text = context.vault.open(context.vault.recordKey(record.salt), row.body, row.seal);
  const body: Body = JSON.parse(text);
  return { body, record };
}

/** With what its records say now. */
export function* readChange(context: Context, id: string): Program<OpenChange | null> {
  const row = yield* ask((reads) => reads.change(id));
  const opened = row === null ? null : yield* openRow(context, row);
  if (row === null || opened === null) return null;
  const { body, record } = opened;
  const { values, kind, actor, reason, settledAt, code, field } = body;
  const [profile] = yield* ask((reads) => reads.profiles([record.pid]));
  if (profile === undefined) return null;
  const { members } = yield* view(context, profile);
  const targets = body.targets.map((target): OpenTarget => {
    const state = members.find((member) => isRef(member.row, target))?.state ?? null;
    const now = target.fields.map((name) => [name, state?.claims[name]?.value] as const);
    return { ...target, stamp: state?.stamp ?? null, now: Object.fromEntries(now) };
  });
  return {
    id,
    profile: context.vault.publicId(record.pid),
    entity: record.entity,
    ...{ kind, state: row.state, fields: Object.keys(values), actor, reason },
    ...{ at: instantOf(row.at), settledAt, code, field, values, targets },
  };
}

/** What a reader of it may see. */
export function shown(change: OpenChange): Change {
  const { id, profile, entity, kind, state, fields, actor, reason, at, settledAt, code, field, targets } =
    change;
  return {
    ...{ id, profile, entity, kind, state, fields, actor, reason, at, settledAt, code, field },
    targets: targets.map((target) => ({
      ...{ source: target.source, object: target.object, record: target.record, fields: target.fields },
      ...{ state: target.state, code: target.code, field: target.field, adjusted: target.adjusted },
    })),
  };
}

/** What an earlier change has sent to this record: it waits in no queue, so looking is bounded by KEPT_MAX. */
export function* sentTo(context: Context, ref: RecordRef): Program<Sent[]> {
  const row = yield* ask((reads) => reads.recordByRef(ref.source, ref.object, ref.record));
  if (row === null) return [];
  const members = yield* ask((reads) => reads.recordsOf([row.pid]));
  const changes = yield* ask((reads) =>
    reads.changesOf(
      members.map(({ rid }) => rid),
      KEPT_MAX,
    ),
  );
  const sent: Sent[] = [];
  for (const change of changes) {
    const opened = yield* openRow(context, change);
    for (const target of opened?.body.targets ?? []) {
      const ours =
        target.source === ref.source && target.object === ref.object && target.record === ref.record;
      if (!ours || target.state !== 'confirmed') continue;
      for (const field of target.fields) {
        const value = opened?.body.values[field];
        if (value !== undefined)
          sent.push({ change: change.id, field, value, got: target.got[field] ?? value });
      }
    }
  }
  return sent;
}

/** The world with the change's profile in it; null where the customer was erased. */
function* worldOfChange(context: Context, id: string, cause: Cause) {
  const row = yield* ask((reads) => reads.change(id));
  const opened = row === null ? null : yield* openRow(context, row);
  if (row === null || opened === null) return null;
  const { record, body } = opened;
  const world = yield* newWorld(context, cause, null, [record.entity]);
  yield* world.load([record.pid]);
  const rec = world.byId.get(record.rid);
  if (rec === undefined) throw new HeadwaterError('INTERNAL', 'the record of a change is gone');
  return { row, body, world, rec };
}

export function* noteTarget(
  context: Context,
  id: string,
  target: number,
  note: TargetNote,
  cause: Cause,
): Program<Done<void>> {
  const found = yield* worldOfChange(context, id, cause);
  if (found === null) return yield* nothing(context, cause, undefined);
  const { world, rec, row, body } = found;
  const entry = body.targets[target];
  if (entry === undefined) throw new HeadwaterError('INTERNAL', 'a change has no such target');
  Object.assign(entry, note);
  const state = [...world.profileOf(rec).members].find((member) => isRef(member.row, entry));
  const claims = state === undefined ? {} : (world.stateAfter(state)?.claims ?? {});
  if (entry.state === 'confirmed') {
    entry.got = Object.fromEntries(
      entry.adjusted.flatMap((field) => {
        const value = Object.hasOwn(claims, field) ? claims[field]?.value : undefined;
        return value === undefined ? [] : [[field, value]];
      }),
    );
  }
  keep(world, rec, row, body);
  return { writes: world.draft.finish(), result: undefined };
}

/** I4: the end of a pending value is an event; whichever answer came first stays. */
export function* settleChange(
  context: Context,
  id: string,
  outcome: 'confirmed' | 'refused',
  why: { code: string; field: string | null } | null,
  cause: Cause,
): Program<Done<ChangeState | null>> {
  const found = yield* worldOfChange(context, id, cause);
  if (found === null) return yield* nothing(context, cause, null);
  const { world, rec, row, body } = found;
  if (row.state !== 'pending') return { writes: world.draft.finish(), result: row.state };
  const profile = world.profileOf(rec);
  world.keepPrior(profile);
  world.marked.add(profile);
  for (const [field, value] of Object.entries(body.values)) {
    world.draft.statement('settle', rec.row, world.keyOf(rec), { field, value, change: id });
  }
  const opened = world.opened(rec);
  rec.opened = { ...opened, overrides: opened.overrides.filter(({ pending }) => pending !== id) };
  const said = { settledAt: world.cause.at, code: why?.code ?? null, field: why?.field ?? null };
  const targets = body.targets.map((target): BodyTarget =>
    outcome === 'refused' && target.state === 'pending'
      ? { ...target, state: 'refused', code: target.code ?? 'NOT_WRITTEN' }
      : target,
  );
  keep(world, rec, { ...row, state: outcome }, { ...body, ...said, targets });
  const known = yield* ask((reads) => reads.changesOf([row.rid], KEPT_MAX * 2));
  const settled = known.filter((one) => one.state !== 'pending' && one.id !== id);
  world.draft.goneChanges.push(...settled.slice(KEPT_MAX - 1).map((one) => one.id));
  return yield* finish(world, outcome);
}

function* nothing<T>(context: Context, cause: Cause, result: T): Program<Done<T>> {
  const { draft } = yield* newWorld(context, cause, null, []);
  return { writes: draft.finish(), result };
}
