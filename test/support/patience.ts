const factor = Math.max(1, Number(process.env['HEADWATER_PATIENCE']) || 1);

/** A time limit of a test, longer where `scripts/test.ts` has found the machine slow. */
export function patient(ms: number): number {
  return Math.round(ms * factor);
}
