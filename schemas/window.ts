import { z } from 'zod';
import { instantSchema } from './instant.ts';

/** Half open: `from` is in, `until` is not. `from` may be ORIGIN. */
export const intervalSchema = z.object({ from: instantSchema, until: instantSchema });
export type Interval = z.infer<typeof intervalSchema>;

/** Which rule of the window plan made it: see rules/windows.ts. */
export const windowKindSchema = z.enum(['first', 'head', 'past']);
export type WindowKind = z.infer<typeof windowKindSchema>;

/**
 * open: planned, not proven. staged: every row is in the stage and the transport receipt holds: in the source's coverage.
 * abandoned: given up by an operator (never in coverage).
 */
export const windowStateSchema = z.enum(['open', 'staged', 'abandoned']);
export type WindowState = z.infer<typeof windowStateSchema>;

/** The workflow execution that works on a window. */
export const ownerSchema = z.object({ workflowId: z.string(), runId: z.string() });
export type Owner = z.infer<typeof ownerSchema>;

/** How the source is read: one wire API of the source, named by the source itself ('rest', 'bulk', …). */
export const sliceSchema = z.object({
  /** Position in the window, from 0. */
  slice: z.number().int().nonnegative(),
  api: z.string(),
  /** What only the source understands: a key range, a query. Never a secret or a personal value. */
  request: z.record(z.string(), z.unknown()),
  /** Expected rows; null when unknown. */
  rowsEstimate: z.number().int().nullable(),
});
export type Slice = z.infer<typeof sliceSchema>;

export const windowSchema = z.object({
  /** `w_` + hash of connection, object, bounds and creation; carries no personal value. */
  id: z.string(),
  connection: z.string(),
  object: z.string(),
  kind: windowKindSchema,
  from: instantSchema,
  until: instantSchema,
  /** Where reads start: `from` less the look-back. */
  readFrom: instantSchema,
  state: windowStateSchema,
  owner: ownerSchema,
  /** Rises with each resume; a step that carries a lower one is refused (I3). */
  attempt: z.number().int().positive(),
  slices: z.array(sliceSchema),
  /** A partial window: key, stamp, deleted flag and these fields only; it covers nothing. Empty: ids alone. Absent: all fields. */
  fields: z.array(z.string()).optional(),
  createdAt: instantSchema,
});
export type Window = z.infer<typeof windowSchema>;
