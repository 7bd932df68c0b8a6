import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { ExtractContext, RawPage } from '../source.ts';
import { vendorWords } from '../http.ts';
import { BULK_REFUSALS, errorCodeOf, isBulkRefusal, statusOf } from './api-error.ts';
import { PLAIN_CODES, READ_BULK_IN } from './plain-texts.ts';
import type { SalesforceClient } from './client.ts';
import { inRange, soql, type RowRange } from './soql.ts';

const POLL_MS_MIN = 20;
const POLL_MS_MAX = 5000;
/** Each poll is one of the org's daily calls, so the interval doubles. */
const POLL_GROWTH = 2;
/** About a day of waiting at the longest interval; Salesforce gives up before. */
const POLLS_MAX = 20_000;
const PAGES_MAX = 100_000;

/** `locator` null with `page` 0: from the beginning. `done`: all rows are committed, the job may be deleted. */
const bulkCursorSchema = z.strictObject({
  api: z.literal('bulk'),
  jobId: z.string(),
  locator: z.string().nullable(),
  page: z.number().int(),
  rows: z.number().int(),
  done: z.boolean(),
});
export type BulkCursor = z.infer<typeof bulkCursorSchema>;

export function bulkCursor(cursor: unknown): BulkCursor | undefined {
  return bulkCursorSchema.safeParse(cursor).data;
}

const jobSchema = z.object({
  id: z.string(),
  state: z.string(),
  numberRecordsProcessed: z.number().int().optional(),
  errorMessage: z.string().nullish(),
});
type Job = z.infer<typeof jobSchema>;

/** Thrown inside this source only: the object or the day's job allowance rules Bulk out. */
export class BulkRefused extends Error {}

/**
 * The rows of a slice by a Bulk 2.0 query job. The first page has no body: its cursor makes the job durable before
 * anything waits for it. Throws BulkRefused before that, or when the job itself fails with one of those reasons.
 */
export async function* bulkRows(
  client: SalesforceClient,
  schema: ObjectSchema,
  request: { range: RowRange; pageRowsMax: number; after: BulkCursor | undefined },
  context: Pick<ExtractContext, 'signal' | 'onWait'>,
): AsyncGenerator<RawPage> {
  let state = request.after;
  if (state === undefined) {
    const select = schema.fields.map((field) => field.name);
    const query = soql(schema, { select, where: inRange(schema, request.range) });
    const job = await createJob(client, query, context.signal);
    state = { api: 'bulk', jobId: job.id, locator: null, page: 0, rows: 0, done: false };
    const cursor = state;
    yield { format: 'csv', body: undefined, rowsSent: () => 0, cursor: () => cursor };
  }
  if (state.done) return;
  const total = await jobEnd(client, state.jobId, schema.object, context);
  for (let n = 0; n < PAGES_MAX && !state.done; n++) {
    const result: ResultPage = await readResultPage(
      client,
      state,
      total,
      request.pageRowsMax,
      context.signal,
    );
    yield result.page;
    state = result.next;
  }
}

async function createJob(client: SalesforceClient, query: string, signal: AbortSignal): Promise<Job> {
  try {
    return readJob(
      await client.json({
        method: 'POST',
        path: client.path('jobs/query'),
        body: JSON.stringify({
          operation: 'queryAll',
          query,
          contentType: 'CSV',
          columnDelimiter: 'COMMA',
          lineEnding: 'LF',
        }),
        signal,
      }),
    );
  } catch (error) {
    if (isBulkRefusal(error)) throw new BulkRefused(error.message);
    throw error;
  }
}

/** Waits for the job and returns its number of rows. */
async function jobEnd(
  client: SalesforceClient,
  jobId: string,
  object: string,
  context: Pick<ExtractContext, 'signal' | 'onWait'>,
): Promise<number> {
  let waitMs = POLL_MS_MIN;
  for (let poll = 0; poll < POLLS_MAX; poll++) {
    const job = await getJob(client, jobId, context.signal);
    if (job.state === 'JobComplete') {
      if (job.numberRecordsProcessed === undefined) {
        throw new HeadwaterError(
          'SOURCE_PROTOCOL',
          `bulk job ${jobId} is complete but has no number of records`,
        );
      }
      return job.numberRecordsProcessed;
    }
    if (job.state === 'Failed' || job.state === 'Aborted') throw jobFailure(job, object);
    context.onWait(`bulk job ${jobId} of ${object} is ${job.state}`);
    await pause(waitMs, context.signal);
    waitMs = Math.min(waitMs * POLL_GROWTH, POLL_MS_MAX);
  }
  throw new HeadwaterError('SOURCE_UNAVAILABLE', `bulk job ${jobId} of ${object} does not end`);
}

function jobFailure(job: Job, object: string): Error {
  const said = job.errorMessage ?? '';
  // `INVALID_FIELD: No such column …`; without a code in front the text is nobody's.
  const [, errorCode = 'no code', text = said] = /^\s*(\w{1,80})\s*:\s*(.*)$/s.exec(said) ?? [];
  const words = vendorWords(errorCode, text, { codes: PLAIN_CODES, readIn: READ_BULK_IN });
  const why = words === '' ? 'no reason given' : `${errorCode}: ${words}`;
  const message = `bulk job ${job.id} of ${object} ended as ${job.state}: ${why}`;
  if (BULK_REFUSALS.test(said)) return new BulkRefused(message);
  // A query that names a hidden or removed field fails in the same way for ever; everything else is worth a new job.
  const field = /No such column '([\w.]+)'/.exec(said)?.[1];
  if (/INVALID_?FIELD|MALFORMED_?QUERY/i.test(said) || field !== undefined) {
    const details = { errorCode: 'INVALID_FIELD', ...(field === undefined ? {} : { field }) };
    return new HeadwaterError('SOURCE_REJECTED', message, { details });
  }
  return new HeadwaterError('JOB_LOST', message);
}

interface ResultPage {
  page: RawPage;
  next: BulkCursor;
}

async function readResultPage(
  client: SalesforceClient,
  state: BulkCursor,
  total: number,
  pageRowsMax: number,
  signal: AbortSignal,
): Promise<ResultPage> {
  const locator = state.locator === null ? '' : `&locator=${encodeURIComponent(state.locator)}`;
  const response = await ofJob(
    state.jobId,
    client.send({
      method: 'GET',
      path: client.path(`jobs/query/${state.jobId}/results?maxRecords=${pageRowsMax}${locator}`),
      headers: { accept: 'text/csv' },
      signal,
    }),
  );
  // A job without rows may answer without content, hence without these headers.
  const empty = total === 0 && response.status === 204;
  const nextLocator = empty ? 'null' : response.headers['sforce-locator'];
  const rowsSent = empty ? 0 : Number(response.headers['sforce-numberofrecords'] ?? Number.NaN);
  const rows = state.rows + rowsSent;
  try {
    // A page without a locator would be asked for again and again, and its rows doubled.
    if (nextLocator === undefined || nextLocator === state.locator || !Number.isInteger(rowsSent)) {
      throw new HeadwaterError(
        'SOURCE_PROTOCOL',
        `a result page of bulk job ${state.jobId} lacks its locator or count`,
      );
    }
    const last = nextLocator === 'null';
    // I2: the pages together hold what the job has read, no more and no less.
    if (last ? rows !== total : rows > total) {
      throw new HeadwaterError(
        'RECEIPT_TRANSPORT',
        `bulk job ${state.jobId} read ${total} rows and sent ${rows}`,
        {
          details: { announced: total, sent: rows },
        },
      );
    }
    const next: BulkCursor = {
      ...state,
      locator: last ? null : nextLocator,
      page: state.page + 1,
      rows,
      done: last,
    };
    return {
      page: {
        format: 'csv',
        body: empty ? undefined : response.body,
        rowsSent: () => rowsSent,
        cursor: () => next,
      },
      next,
    };
  } catch (error) {
    await response.discard();
    throw error;
  }
}

async function getJob(
  client: SalesforceClient,
  jobId: string,
  signal: AbortSignal | undefined,
): Promise<Job> {
  return readJob(
    await ofJob(jobId, client.json({ method: 'GET', path: client.path(`jobs/query/${jobId}`), signal })),
  );
}

function readJob(answer: unknown): Job {
  const job = jobSchema.safeParse(answer).data;
  if (job === undefined || !/^\w{15,18}$/.test(job.id)) {
    throw new HeadwaterError('SOURCE_PROTOCOL', 'the answer for a bulk job is not a job');
  }
  return job;
}

/** Jobs and results are kept for seven days; a job that is not found is gone for good. */
async function ofJob<T>(jobId: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404 || statusOf(error) === 410 || errorCodeOf(error) === 'INVALIDJOB') {
      throw new HeadwaterError('JOB_LOST', `bulk job ${jobId} is gone`, { cause: error });
    }
    throw error;
  }
}

/** Ends a job that nobody will read. Its absence is success. */
export async function endJob(client: SalesforceClient, jobId: string, abort: boolean): Promise<void> {
  const path = client.path(`jobs/query/${jobId}`);
  if (abort) {
    await ignoreRefusal(client.send({ method: 'PATCH', path, body: JSON.stringify({ state: 'Aborted' }) }));
  }
  await ignoreRefusal(client.send({ method: 'DELETE', path }));
}

/** A job that has ended cannot be aborted, and one that is gone not deleted: both are what was wanted. */
async function ignoreRefusal(answer: Promise<{ discard: () => Promise<void> }>): Promise<void> {
  try {
    await (await answer).discard();
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined || ![400, 404, 409, 410].includes(status)) throw error;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}
