import { z } from 'zod';
import { instantSchema } from './instant.ts';
import { claimValueSchema, recordRefSchema, viaSchema } from './observation.ts';

export const eventKindSchema = z.enum([
  'observe',
  'tombstone',
  'undelete',
  'retract',
  'unretract',
  'link',
  'unlink',
  'override',
  'release',
  'rule_change',
  'erase',
  'drift',
  'propose',
  'settle',
]);
export type EventKind = z.infer<typeof eventKindSchema>;

/** One entry of the append-only log, as it is read (opened); at rest the personal part is ciphertext (I4, I5). */
export const profileEventSchema = z.object({
  /** System time as an order: rises by one, for ever. */
  seq: z.number().int(),
  /** Observations: a keyed hash of their content. Others: a keyed hash of what they say. */
  id: z.string(),
  kind: eventKindSchema,
  /** Public id of the profile at the time of writing; null for events of the whole ledger. */
  profile: z.string().nullable(),
  entity: z.string().nullable(),
  ref: recordRefSchema.nullable(),
  /** observe: the fields of that version. retract, override, propose: the fields concerned. Null once erased. */
  fields: z.record(z.string(), claimValueSchema).nullable(),
  stamp: instantSchema.nullable(),
  /** System time as a clock. */
  at: instantSchema,
  via: viaSchema,
  /** Workflow run that wrote it, or the operator's request. */
  run: z.string().nullable(),
  actor: z.string().nullable(),
  cause: z.string().nullable(),
  rulesHash: z.string().nullable(),
});
export type ProfileEvent = z.infer<typeof profileEventSchema>;
