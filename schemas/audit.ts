import { z } from 'zod';
import { instantSchema } from './instant.ts';
import { tuningSchema } from './inputs.ts';

/**
 * How warehouse or profiles differ from the source. missing: no row. outdated: an older version. kept: gone in the source, alive
 * here; lost: the reverse. altered: other values at one version. unclaimed: the profiles lack what the row says.
 */
export const driftKindSchema = z.enum(['missing', 'outdated', 'kept', 'lost', 'altered', 'unclaimed']);
export type DriftKind = z.infer<typeof driftKindSchema>;

/** One record that differs. A record's id is not personal; values are never named. */
export const findingSchema = z.object({
  record: z.string(),
  kind: driftKindSchema,
  /** altered: the fields that differ. */
  fields: z.array(z.string()),
});
export type Finding = z.infer<typeof findingSchema>;

/** How far the comparison of ids and stamps has come, which goes round through all records. */
export const rotationSchema = z.object({
  /** Versions before this were compared in this pass; ORIGIN: a new pass begins. */
  cursor: instantSchema,
  passBegan: instantSchema.nullable(),
  /** When the last pass that compared every record ended. */
  lastFullPass: instantSchema.nullable(),
  /** How long one pass takes at this rate, ms. */
  periodMs: z.number(),
});
export type Rotation = z.infer<typeof rotationSchema>;

/** What an audit made of one object; the newest is kept in the ledger. */
export const objectAuditSchema = z.object({
  object: z.string(),
  at: instantSchema,
  /** Living rows in the warehouse. */
  rows: z.number().int(),
  /** L1: buckets counted, and those whose counts contradict each other. L2: ids compared. L3: records compared by value. */
  buckets: z.number().int(),
  bucketsOff: z.number().int(),
  compared: z.number().int(),
  sampled: z.number().int(),
  found: z.partialRecord(driftKindSchema, z.number().int()),
  /** The first of them. */
  records: z.array(findingSchema),
  repaired: z.number().int(),
  /** Found and not repaired. */
  left: z.number().int(),
  rotation: rotationSchema.nullable(),
  code: z.string().optional(),
  message: z.string().optional(),
});
export type ObjectAudit = z.infer<typeof objectAuditSchema>;

export const auditRunSchema = z.object({
  connection: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  outcome: z.enum(['ok', 'partial', 'failed', 'deferred', 'cancelled']),
  startedAt: instantSchema,
  endedAt: instantSchema.nullable(),
  objects: z.array(objectAuditSchema),
  /** Objects that wait for the next audits, because the share of the quota does not reach for all. */
  later: z.number().int().optional(),
});
export type AuditRun = z.infer<typeof auditRunSchema>;

/** Input of the workflow `audit`. */
export const auditInputSchema = z.strictObject({
  connection: z.string().min(1),
  objects: z.array(z.string().min(1)).min(1).optional(),
  /** False: findings are only told. Absent: as configured. */
  repair: z.boolean().optional(),
  trigger: z.enum(['schedule', 'manual']).optional(),
  tuning: tuningSchema.optional(),
});
export type AuditInput = z.infer<typeof auditInputSchema>;

/** One connection's policy, from the configuration. */
export interface AuditPolicy {
  /** null: no schedule. */
  everyMs: number | null;
  fullPassMs: number;
  sampleRows: number;
  quotaShareMax: number;
  repair: boolean;
}

/** Input of the workflow `replay`. */
export const replayInputSchema = z.strictObject({
  connection: z.string().min(1),
  object: z.string().min(1).optional(),
  /** Reads and judges, writes nothing. */
  dryRun: z.boolean().default(false),
  tuning: tuningSchema.optional(),
});
export type ReplayInput = z.input<typeof replayInputSchema>;
export type ReplayRequest = z.output<typeof replayInputSchema>;

/** What a replay made of one object's records. `landed + gone + left` = records, unless the object failed. */
export const objectReplaySchema = z.object({
  object: z.string(),
  records: z.number().int(),
  landed: z.number().int(),
  /** No longer in the source. */
  gone: z.number().int(),
  /** Set aside again. */
  left: z.number().int(),
  /** Why, with the number of records; never a value. */
  reasons: z.array(z.object({ field: z.string(), reason: z.string(), records: z.number().int() })),
  code: z.string().optional(),
  message: z.string().optional(),
});
export type ObjectReplay = z.infer<typeof objectReplaySchema>;

export const replayRunSchema = z.object({
  connection: z.string(),
  workflowId: z.string(),
  dryRun: z.boolean(),
  objects: z.array(objectReplaySchema),
});
export type ReplayRun = z.infer<typeof replayRunSchema>;
