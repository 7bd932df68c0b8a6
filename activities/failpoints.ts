// Part of every step: crash tests end the worker at a named boundary, as a power loss would. Off unless the environment asks.

/** Boundaries between durable effects, in the order of the steps. */
export type Failpoint =
  | 'plan:opened'
  | 'plan:settled'
  | 'plan:stored'
  | 'extract:page'
  | 'extract:committed'
  | 'shape:done'
  | 'prove:done'
  | 'load:done'
  | 'commit:interval'
  | 'commit:done'
  | 'reconcile:applied'
  | 'reconcile:closed'
  | 'publish:merged'
  | 'inbox:claimed'
  | 'inbox:landed'
  | 'write:sent'
  | 'write:noted'
  | 'write:read'
  | 'notify:sent'
  | 'erase:suppressed'
  | 'erase:unstaged'
  | 'erase:purged'
  | 'erase:shredded'
  | 'erase:scrubbed';

/** `HEADWATER_FAILPOINT=<name>` dies at the first time, `<name>:<n>` at the n-th. */
const [step, boundary, nth = '1'] = (process.env['HEADWATER_FAILPOINT'] ?? '').split(':');
const armed = `${step}:${boundary}`;
let left = Number(nth);

/** SIGKILL runs no handler: whatever is not durable yet is lost. */
export function failpoint(name: Failpoint): void {
  if (name !== armed) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}
