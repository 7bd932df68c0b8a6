// Everything the worker offers to Temporal: the names here are the workflow types.
export { backfill } from './backfill.ts';
export { deliver } from './deliver.ts';
export { syncConnection } from './sync-connection.ts';
export { syncObject } from './sync-object.ts';
