import type { ApiChange } from '../../schemas/api/change.ts';
import type { Change } from '../../schemas/change.ts';

export function apiChange(change: Change, version?: number): ApiChange {
  const { id, profile, entity, kind, state, fields, actor, reason, at, settledAt, code, field } = change;
  return {
    change_id: id,
    profile_id: profile,
    ...(version === undefined ? {} : { version }),
    ...{ entity, kind, state, fields, actor, reason, at, settled_at: settledAt, code, field },
    targets: change.targets.map((target) => ({
      source: target.source,
      record: `${target.source}:${target.object}:${target.record}`,
      fields: target.fields,
      state: target.state,
      code: target.code,
      field: target.field,
      adjusted: target.adjusted,
    })),
  };
}
