// Compares every object of a connection with its source, repairs what differs by the smallest re-sync, and says how much was looked at.
import {
  ApplicationFailure,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { AuditedObject } from '../activities/audit.ts';
import { auditReport } from '../rules/audit-report.ts';
import { named } from '../rules/report.ts';
import type { AuditInput, AuditRun, Finding, ObjectAudit } from '../schemas/audit.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { plainFailure, refuseMisshapen, troubleOf } from './failures.ts';
import { auditQuery } from './messages.ts';
import { inParallel } from './parallel.ts';
import { activityCalls, type Calls } from './proxies.ts';

/** Objects at once: an audit shares lanes and quota with the runs. */
const OBJECTS_IN_PARALLEL = 2;
/** Findings per repair: one batch. */
const FINDINGS_PER_REPAIR = 2_000;
/** Records that a line names. */
const RECORDS_TOLD_MAX = 100;

export async function audit(input: AuditInput): Promise<AuditRun> {
  refuseMisshapen(input);
  const info = workflowInfo();
  const run: AuditRun = {
    connection: input.connection,
    workflowId: info.workflowId,
    runId: info.runId,
    outcome: 'ok',
    startedAt: info.startTime.toISOString(),
    endedAt: null,
    objects: [],
  };
  setHandler(auditQuery, () => run);
  const show = (phase: string) => setCurrentDetails(auditReport(run, phase));
  show('planning');
  const calls = activityCalls({ tuning: input.tuning, priority: 5, deadlineMs: undefined });
  const planned = await calls
    .planAudit(`plan the audit of ${input.connection}`, { given: input })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  if (planned.later > 0) run.later = planned.later;
  const repair = input.repair ?? planned.policy.repair;
  let mended = false;
  await inParallel(planned.objects, OBJECTS_IN_PARALLEL, async (object) => {
    const { line, touched } = await auditOne(calls, run, object, planned.objects.length, repair);
    mended ||= touched;
    run.objects.push(line);
    show('comparing');
  });
  // Whatever became of each try: a repair that died after its profiles had changed finds nothing new to change.
  if (mended && planned.profiles)
    await calls.publish('publish profiles that the repair changed', { connection: run.connection });
  run.endedAt = new Date().toISOString();
  const failing = run.objects.filter(({ left, code }) => left > 0 || isTrouble(code));
  const deferred = failing.length > 0 && failing.every(({ code }) => code === 'QUOTA_EXHAUSTED');
  run.outcome = failing.length === 0 ? 'ok' : deferred ? 'deferred' : 'partial';
  show(run.outcome);
  upsertMemo({ summary: auditReport(run, run.outcome) });
  upsertSearchAttributes([
    { key: OUTCOME, value: run.outcome },
    { key: PHASE, value: 'done' },
  ]);
  if (run.outcome === 'partial') throw failureOf(run, failing);
  return run;
}

const isTrouble = (code: string | undefined): boolean => code !== undefined && code !== 'NOTE';

/** Trouble with one object is its own line: the others are looked at all the same. */
async function auditOne(
  calls: Calls,
  run: AuditRun,
  object: string,
  objects: number,
  repair: boolean,
): Promise<{ line: ObjectAudit; touched: boolean }> {
  const { connection } = run;
  let audited: AuditedObject | undefined;
  try {
    audited = await calls.auditObject(`compare ${object} with the source`, {
      ...{ connection, object, objects, seed: run.runId },
    });
    const { line, findings } = audited;
    line.records = told(findings).slice(0, RECORDS_TOLD_MAX);
    const result = repair ? await repairAll(calls, connection, object, audited) : withClaims(findings, 0);
    Object.assign(line, result);
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    const line = audited?.line ?? nothingCompared(object);
    Object.assign(line, { code: trouble.code, message: trouble.message });
    audited = { line, findings: audited?.findings ?? [], until: audited?.until ?? '' };
  }
  await calls.settleAudit(`note what was found in ${object}`, { connection, line: audited.line });
  return { line: audited.line, touched: repair && audited.findings.length > 0 };
}

/** Whether the profiles differ is known only once a record was added to them; without a repair that is not told. */
const told = (findings: readonly Finding[]): Finding[] => findings.filter(({ kind }) => kind !== 'unclaimed');

function withClaims(findings: readonly Finding[], claimed: number): Pick<ObjectAudit, 'found' | 'left'> {
  const found: ObjectAudit['found'] = {};
  for (const { kind } of told(findings)) found[kind] = (found[kind] ?? 0) + 1;
  if (claimed > 0) found.unclaimed = claimed;
  return { found, left: told(findings).length };
}

async function repairAll(
  calls: Calls,
  connection: string,
  object: string,
  { findings, until }: AuditedObject,
): Promise<Partial<ObjectAudit>> {
  const total = { repaired: 0, unclaimed: 0 };
  const keptTotal = findings.filter(({ kind }) => kind === 'kept').length;
  for (let at = 0; at < findings.length; at += FINDINGS_PER_REPAIR) {
    const some = findings.slice(at, at + FINDINGS_PER_REPAIR);
    const part = at / FINDINGS_PER_REPAIR;
    const done = await calls.repairDrift(`repair ${some.length} records of ${object}`, {
      ...{ connection, object, findings: some, keptTotal, until, part },
    });
    total.repaired += done.repaired;
    total.unclaimed += done.unclaimed;
  }
  const line = withClaims(findings, total.unclaimed);
  return { ...line, repaired: total.repaired + total.unclaimed, left: line.left - total.repaired };
}

function nothingCompared(object: string): ObjectAudit {
  const counts = { rows: 0, buckets: 0, bucketsOff: 0, compared: 0, sampled: 0, repaired: 0, left: 0 };
  return { object, at: new Date().toISOString(), ...counts, found: {}, records: [], rotation: null };
}

/** What was found and not repaired closes the run as Failed, so that nobody overlooks it. */
function failureOf(run: AuditRun, failing: readonly ObjectAudit[]): ApplicationFailure {
  const lines = failing.map(({ object, left, code, message = '' }) =>
    isTrouble(code)
      ? `${object} ${code ?? ''}: ${message}`
      : named(
          object,
          `${left === 1 ? '1 record differs' : `${left} records differ`} from the source, not repaired`,
        ),
  );
  return ApplicationFailure.create({
    type: 'PARTIAL',
    message: lines.join('\n'),
    nonRetryable: true,
    details: [run],
  });
}
