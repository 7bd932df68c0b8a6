// Everything the worker offers to Temporal: the names here are the workflow types.
export { applyRules } from './apply-rules.ts';
export { audit } from './audit.ts';
export { backfill } from './backfill.ts';
export { deliverCopy } from './deliver-copy.ts';
export { deliver } from './deliver.ts';
export { erase } from './erase.ts';
export { inbox } from './inbox.ts';
export { migrate } from './migrate.ts';
export { notify } from './notify.ts';
export { replay } from './replay.ts';
export { review } from './review.ts';
export { rollback } from './rollback.ts';
export { syncConnection } from './sync-connection.ts';
export { syncObject } from './sync-object.ts';
export { writeBack } from './write-back.ts';
