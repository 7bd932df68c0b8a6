import { z } from 'zod';

/**
 * A moment in UTC as fixed-width ISO 8601 with milliseconds (`2026-11-21T08:00:00.000Z`), so that comparing texts
 * compares moments. Sources with finer stamps keep them in their own columns; windows are cut by the millisecond.
 */
export type Instant = string;

/** Stands for the beginning of time (-inf): smaller than every real instant, and still a value that JSON and SQL hold. */
export const ORIGIN: Instant = '0001-01-01T00:00:00.000Z';

export const instantSchema = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'write a UTC time such as 2026-11-21T08:00:00.000Z');
