import { z } from 'zod';
import { tuningSchema } from './inputs.ts';
import { instantSchema } from './instant.ts';
import { recordRefSchema } from './observation.ts';

/**
 * explicit: a system of record is asked to take the value. inferred: computed by a model; a claim beside those of the systems.
 * override: an operator's word above all rules, which no system hears of.
 */
export const changeKindSchema = z.enum(['explicit', 'inferred', 'override']);
/** The source of claims that callers of the API make; no connection can be called so. */
export const API_SOURCE = 'api';
export type ChangeKind = z.infer<typeof changeKindSchema>;

/** pending: it wins in reads until its systems have answered. confirmed: every one of them holds it. refused: taken back. */
export const changeStateSchema = z.enum(['pending', 'confirmed', 'refused']);
export type ChangeState = z.infer<typeof changeStateSchema>;

/** What one system of record is asked to hold, and what it answered. */
export const changeTargetSchema = recordRefSchema.extend({
  /** Golden fields. */
  fields: z.array(z.string()).min(1),
  /**
   * sending: asked, and no answer known. written: the source said so. confirmed: it was read back. undone: written, then the former value again, since another system
   * refused. left: written, and somebody changed it before it could be undone.
   */
  state: z.enum(['pending', 'sending', 'written', 'confirmed', 'refused', 'undone', 'left']),
  /** Why it was refused: the source's own code, or one of ours. */
  code: z.string().nullable(),
  /** The golden field that was refused, where the source names one. */
  field: z.string().nullable(),
  /** Fields that the source keeps in another form than they were sent, such as a telephone number. */
  adjusted: z.array(z.string()),
});
export type ChangeTarget = z.infer<typeof changeTargetSchema>;

/** A change that somebody asked for, as it may be shown: no value is part of it. */
export const changeSchema = z.object({
  id: z.string(),
  profile: z.string(),
  entity: z.string(),
  kind: changeKindSchema,
  state: changeStateSchema,
  fields: z.array(z.string()),
  actor: z.string().nullable(),
  reason: z.string().nullable(),
  at: instantSchema,
  settledAt: instantSchema.nullable(),
  /** Of a refused one. */
  code: z.string().nullable(),
  field: z.string().nullable(),
  targets: z.array(changeTargetSchema),
});
export type Change = z.infer<typeof changeSchema>;

/** Input of the workflow `writeBack`; its id is `change/<id>`. I5: values stay in the claims store. */
export const writeBackInputSchema = z.strictObject({
  change: z.string().regex(/^ch_[0-9a-f]{32}$/),
  /** Durations that tests shorten, ms: until it is refused, and between two tries after a step gave up. */
  deadlineMs: z.number().int().min(100).optional(),
  pauseMs: z.number().int().min(10).optional(),
  tuning: tuningSchema.optional(),
});
export type WriteBackInput = z.infer<typeof writeBackInputSchema>;
