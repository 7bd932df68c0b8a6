import type { Claims } from '../claims.ts';
import * as changes from '../engine/changes.ts';
import { instantOf } from '../engine/history.ts';
import { ask } from '../engine/program.ts';
import { requireLimit, type Store } from '../store.ts';

const DURABLE = { durable: true };

type Names =
  | 'propose'
  | 'change'
  | 'openChange'
  | 'pendingChanges'
  | 'noteTarget'
  | 'sentTo'
  | 'settleChange';

export function changeMethods({ backend, context }: Store): Pick<Claims, Names> {
  const open: Claims['openChange'] = async (id) => await backend.look(() => changes.readChange(context, id));
  return {
    propose: async (profile, proposal, cause) =>
      await backend.change(() => changes.propose(context, profile, proposal, cause), DURABLE),
    change: async (id) => {
      const found = await open(id);
      return found === null ? null : changes.shown(found);
    },
    openChange: open,
    pendingChanges: async (limit) => {
      const rows = await backend.look(() => ask((reads) => reads.changesIn('pending', requireLimit(limit))));
      return rows.map(({ id, at }) => ({ id, at: instantOf(at) }));
    },
    noteTarget: async (id, target, note, cause) =>
      await backend.change(() => changes.noteTarget(context, id, target, note, cause), DURABLE),
    sentTo: async (ref) => await backend.look(() => changes.sentTo(context, ref)),
    settleChange: async (id, outcome, why, cause) =>
      await backend.change(() => changes.settleChange(context, id, outcome, why, cause), DURABLE),
  };
}
