import type { ErrorCode } from '../rules/errors.ts';
import type { Outcome } from '../schemas/run.ts';

/** What the command's process ends with; documented for scripts, never renumbered. */
export const EXIT = { ok: 0, failed: 1, usage: 2, partial: 3, stale: 4, interrupted: 130 } as const;

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'CONFIG_INVALID',
  'INPUT_INVALID',
  'SECRET_MISSING',
  'OBJECT_UNKNOWN',
]);

export function exitCodeOf(code: ErrorCode): number {
  if (code === 'PARTIAL') return EXIT.partial;
  return USAGE_CODES.has(code) ? EXIT.usage : EXIT.failed;
}

/** behind and deferred are no failures: the next run goes on by itself. */
export const OUTCOME_EXIT: Record<Outcome, number> = {
  ok: EXIT.ok,
  behind: EXIT.ok,
  deferred: EXIT.ok,
  partial: EXIT.partial,
  failed: EXIT.failed,
  cancelled: EXIT.failed,
};

/** Of several connections: a mistake before a failure before what is partial. */
export function worstExit(codes: readonly number[]): number {
  return [EXIT.usage, EXIT.failed, EXIT.partial].find((code) => codes.includes(code)) ?? EXIT.ok;
}
