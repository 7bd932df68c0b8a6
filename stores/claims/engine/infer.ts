import { API_SOURCE } from '../../../schemas/change.ts';
import type { Proposal } from '../claims.ts';
import type { Observation } from '../../../schemas/observation.ts';
import { enter, land } from './apply.ts';
import { prepare } from './prepare.ts';
import { ask, type Program } from './program.ts';
import type { Profile, Rec, World } from './world.ts';

/**
 * Adds what a model says as a record of the caller's own, tied to the profile by an operator's link, so that it stays with its
 * customer whatever merges and comes apart. The rules decide what it counts for: explicit values come first by default.
 */
export function* landInferred(
  world: World,
  profile: Profile,
  anchor: Rec,
  { values, confidence, model }: Proposal,
): Program<void> {
  const { entity } = profile.row;
  const record = `${world.cause.actor ?? ''}/${world.context.vault.publicId(profile.row.pid)}`;
  const observation: Observation = {
    entity,
    ref: { source: API_SOURCE, object: entity, record },
    stamp: world.cause.at,
    version: model ?? '',
    deleted: false,
    fields: { ...values },
    inferred: Object.fromEntries(Object.keys(values).map((field) => [field, confidence ?? 0])),
    identifiers: [],
    confirmedAt: world.cause.at,
  };
  const oid = yield* ask((reads) => reads.objectId(entity, API_SOURCE, entity));
  const [known = null] = yield* ask((reads) => reads.records([{ oid, record }]));
  if (known === null) {
    const rec = world.newRecord({ oid, entity, source: API_SOURCE, object: entity, record });
    enter(rec, profile);
    const [a, b] = [Math.min(anchor.row.rid, rec.row.rid), Math.max(anchor.row.rid, rec.row.rid)];
    world.draft.newEdges.push({ a, b, kind: 'link' });
  } else {
    yield* world.load([known.pid]);
    world.addLoaded(known);
  }
  yield* land(world, prepare(world.context.vault, world.context, observation), oid);
  world.marked.add(profile);
  world.touched.add(profile);
}
