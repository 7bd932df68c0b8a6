import type { RecordRef } from '../schemas/observation.ts';
import type { GoldenProfile } from '../schemas/profile.ts';
import type { Mapping } from './mapping.ts';
import { isWritable } from './unmap.ts';

export interface WriteTarget extends RecordRef {
  fields: string[];
}

export interface TargetsRequest {
  profile: Pick<GoldenProfile, 'entity' | 'fields' | 'records'>;
  fields: readonly string[];
  /** Connections that a field is written to, in this order. */
  systems: (field: string) => readonly string[];
  /** Of an object as the source calls it. */
  mappings: (connection: string, object: string) => readonly Mapping[];
}

/** A record reference names the mapping too, where an object has several: `Contact/consent`. */
export function objectOf(ref: Pick<RecordRef, 'object'>): { object: string; part: string } {
  const [object = '', part = ''] = ref.object.split('/');
  return { object, part };
}

export function mappingOf(
  ref: RecordRef,
  entity: string,
  mappings: TargetsRequest['mappings'],
): Mapping | undefined {
  const { object, part } = objectOf(ref);
  return mappings(ref.source, object).find((one) => one.part === part && one.entity.name === entity);
}

/**
 * One record per system of record and field, each record asked once for all of its fields: the one whose claim holds now, else the first that its mapping can be followed back to. A
 * system that does not know the customer is left out; `refused` names the fields that nobody is left for, with the reason.
 */
export function targetsOf(request: TargetsRequest): {
  targets: WriteTarget[];
  refused: { field: string; reason: string }[];
} {
  const targets: WriteTarget[] = [];
  const refused: { field: string; reason: string }[] = [];
  for (const field of request.fields) {
    const systems = request.systems(field);
    const found = systems.flatMap((system) => recordIn(request, system, field) ?? []);
    for (const ref of found) add(targets, ref, field);
    if (found.length > 0) continue;
    const reason =
      systems.length === 0
        ? 'has no system of record'
        : `is in no record of ${systems.join(' or ')} that can be written`;
    refused.push({ field, reason });
  }
  return { targets, refused };
}

function recordIn(
  { profile, mappings }: TargetsRequest,
  system: string,
  field: string,
): RecordRef | undefined {
  const able = profile.records
    .filter(({ source, deleted }) => source === system && !deleted)
    .map(({ source, object, record }) => ({ source, object, record }))
    .filter((ref) => {
      const mapping = mappingOf(ref, profile.entity, mappings);
      return mapping !== undefined && isWritable(mapping, field);
    })
    .toSorted((left, right) => compare(left.object, right.object) || compare(left.record, right.record));
  const golden = (Object.hasOwn(profile.fields, field) ? profile.fields[field]?.ref : null) ?? null;
  return able.find((ref) => golden !== null && same(ref, golden)) ?? able[0];
}

function add(targets: WriteTarget[], ref: RecordRef, field: string): void {
  const known = targets.find((target) => same(target, ref));
  if (known === undefined) targets.push({ ...ref, fields: [field] });
  else known.fields.push(field);
}

function same(left: RecordRef, right: RecordRef): boolean {
  return left.source === right.source && left.object === right.object && left.record === right.record;
}

const compare = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0);
