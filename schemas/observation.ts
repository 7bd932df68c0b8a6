import { z } from 'zod';
import { instantSchema } from './instant.ts';

/** A record in a source system. `source` is the connection's name; written `salesforce:Contact:003…` in ids and on the screen. */
export const recordRefSchema = z.object({ source: z.string(), object: z.string(), record: z.string() });
export type RecordRef = z.infer<typeof recordRefSchema>;

/**
 * What a field can hold: JSON without surprises. Decimals are strings, exact; instants are UTC ISO strings; numbers are finite.
 * Absent is not null: a field that was not read makes no claim, null claims that the source holds nothing there.
 */
export type ClaimValue = string | number | boolean | null | ClaimValue[] | { [key: string]: ClaimValue };
export const claimValueSchema: z.ZodType<ClaimValue> = z.lazy(() =>
  z.union([
    z.string(),
    z.number(),
    z.boolean(),
    z.null(),
    z.array(claimValueSchema),
    z.record(z.string(), claimValueSchema),
  ]),
);

/** explicit: somebody said so. inferred: computed (a score, a predicted preference). */
export const claimKindSchema = z.enum(['explicit', 'inferred']);
export type ClaimKind = z.infer<typeof claimKindSchema>;

/** The road on which an observation came; never part of its identity (I1). */
export const viaSchema = z.enum(['poll', 'webhook', 'backfill', 'api', 'operator']);
export type Via = z.infer<typeof viaSchema>;

/**
 * A value that finds a person or a company: normalised already, see mapping/normalise.ts. `field`: the field that it is the value of;
 * once a newer version of the record reads another value there, it no longer finds the record.
 */
export const identifierSchema = z.object({
  kind: z.string(),
  value: z.string(),
  field: z.string().optional(),
});
export type Identifier = z.infer<typeof identifierSchema>;

/** One version of one source record, mapped to its entity. The same content has the same id, whatever the road (I1). */
export const observationSchema = z.object({
  entity: z.string(),
  ref: recordRefSchema,
  /** The source's time of this version. */
  stamp: instantSchema,
  /** The source's own version number, compared as text when stamps are equal; '' where it has none. */
  version: z.string(),
  /** The source says that the record is gone as of `stamp`; it makes no claims then. */
  deleted: z.boolean(),
  fields: z.record(z.string(), claimValueSchema),
  /** Times per field, where the source gives them; else the stamp of the first version in the newest run of equal values. */
  times: z.record(z.string(), instantSchema).optional(),
  /** Fields that are inferred, with their confidence in 0–1; every other field is explicit with confidence 1. */
  inferred: z.record(z.string(), z.number().min(0).max(1)).optional(),
  identifiers: z.array(identifierSchema),
  /** The source merged this record into another one (it is the loser), or made it of others (HubSpot's new id). */
  mergedInto: z.string().optional(),
  mergedFrom: z.array(z.string()).optional(),
  /** Newest source-clock time at which a read returned this version; joins by max. */
  confirmedAt: instantSchema,
  /** Hash of the raw row with the mapping's hash: equal to the stored one means nothing to do. */
  rowHash: z.string().optional(),
});
export type Observation = z.infer<typeof observationSchema>;
