/** Bulk API 2.0 query jobs. A job's rows are fixed when it is created; its state follows from the clock. */
import { ApiError, notFound } from './api-error.ts';
import { isAggregate } from './aggregates.ts';
import { csvChunks, type CsvSlice } from './csv-stream.ts';
import type { Exchange } from '../exchange.ts';
import { idMaker } from './ids.ts';
import type { Org } from './org.ts';
import { DELIMITERS, csvHeader, type CsvStyle } from './render.ts';
import { restInstant } from './replication.ts';
import { parseQuery, type Query } from './soql-parser.ts';
import { bindQuery, runQuery, type BoundQuery } from './soql-run.ts';
import type { Entry } from './table.ts';

type JobState = 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Aborted' | 'Failed';

interface Job {
  readonly id: string;
  readonly operation: 'query' | 'queryAll';
  readonly delimiterName: string;
  readonly lineEndingName: 'LF' | 'CRLF';
  readonly style: CsvStyle;
  readonly apiVersion: number;
  readonly createdAt: number;
  /** Real time: job latency is not moved by the test clock. */
  readonly startedAt: number;
  readonly bound: BoundQuery;
  readonly entries: readonly Entry[];
  ended: 'Aborted' | 'Failed' | null;
  message: string | null;
}

const JOBS_KEPT_MAX = 500;
const RESULT_PAGES_MAX = 10_000;

export class BulkJobs {
  readonly jobs = new Map<string, Job>();
  private created = 0;
  private readonly idOf = idMaker('750');

  add(job: Omit<Job, 'id'>): Job {
    const made = { ...job, id: this.idOf(++this.created) };
    this.jobs.set(made.id, made);
    const oldest = this.jobs.keys().next().value;
    if (this.jobs.size > JOBS_KEPT_MAX && oldest !== undefined) this.jobs.delete(oldest);
    return made;
  }

  find(id: string): Job {
    const job =
      this.jobs.get(id) ?? this.jobs.values().find((one) => one.id.startsWith(id) && id.length === 15);
    if (job === undefined) throw notFound();
    return job;
  }

  expireAll(): void {
    this.jobs.clear();
  }
}

function stateOf(job: Job, latencyMs: number): JobState {
  if (job.ended !== null) return job.ended;
  const age = Date.now() - job.startedAt;
  if (age >= latencyMs) return 'JobComplete';
  return age < latencyMs / 3 ? 'UploadComplete' : 'InProgress';
}

export async function answerJobs(exchange: Exchange, org: Org, version: string): Promise<void> {
  if (exchange.method === 'GET') {
    const records = [...org.jobs.jobs.values()].map((job) => jobInfo(job, org));
    await exchange.sendJson(200, { done: true, records, nextRecordsUrl: null });
  } else if (exchange.method === 'POST')
    await exchange.sendJson(200, await createJob(exchange, org, version));
  else throw new ApiError(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${exchange.method}' not allowed`);
}

export async function answerJob(
  exchange: Exchange,
  org: Org,
  id: string,
  part: string | undefined,
  version: string,
): Promise<void> {
  const { fault, method } = exchange;
  if (fault !== undefined && 'expireJob' in fault) org.jobs.jobs.delete(id);
  const job = org.jobs.find(id);
  if (fault !== undefined && 'failJob' in fault) {
    job.ended = 'Failed';
    job.message = fault.message ?? 'UNKNOWN_EXCEPTION: An unexpected error occurred';
  }
  if (part === 'results' && method === 'GET') await sendResults(exchange, org, job);
  else if (part === 'resultPages' && method === 'GET') await sendResultPages(exchange, org, job, version);
  else if (part !== undefined) throw notFound();
  else if (method === 'GET') await exchange.sendJson(200, jobInfo(job, org));
  else if (method === 'DELETE') {
    if (!isOver(stateOf(job, org.behaviour.bulkJobMs))) {
      throw new ApiError(400, 'INVALIDJOBSTATE', 'Job must be completed, failed or aborted to be deleted');
    }
    org.jobs.jobs.delete(job.id);
    await exchange.sendNothing(204);
  } else if (method === 'PATCH') {
    const { state } = await exchange.json();
    if (state !== 'Aborted') throw new ApiError(400, 'INVALIDJOB', 'A query job can only be set to Aborted');
    if (isOver(stateOf(job, org.behaviour.bulkJobMs)))
      throw new ApiError(400, 'INVALIDJOBSTATE', 'Job already completed');
    job.ended = 'Aborted';
    await exchange.sendJson(200, jobInfo(job, org));
  } else throw new ApiError(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${method}' not allowed`);
}

const isOver = (state: JobState): boolean => state !== 'UploadComplete' && state !== 'InProgress';

function jobInfo(job: Job, org: Org): Record<string, unknown> {
  const state = stateOf(job, org.behaviour.bulkJobMs);
  const done = state === 'JobComplete';
  return {
    id: job.id,
    operation: job.operation,
    object: job.bound.table.name,
    createdById: org.userId,
    createdDate: restInstant(job.createdAt),
    systemModstamp: restInstant(job.createdAt),
    state,
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: job.apiVersion,
    jobType: 'V2Query',
    lineEnding: job.lineEndingName,
    columnDelimiter: job.delimiterName,
    numberRecordsProcessed: done ? job.entries.length : 0,
    retries: 0,
    totalProcessingTime: done ? org.behaviour.bulkJobMs : 0,
    isPkChunkingSupported: job.bound.query.orderBy.length === 0 && job.bound.query.limit === null,
    ...(job.message === null ? {} : { errorMessage: job.message }),
  };
}

async function createJob(exchange: Exchange, org: Org, version: string): Promise<Record<string, unknown>> {
  const body = await exchange.json();
  const { operation, query: text, contentType = 'CSV', columnDelimiter = 'COMMA', lineEnding = 'LF' } = body;
  if (operation !== 'query' && operation !== 'queryAll')
    throw new ApiError(400, 'INVALIDJOB', 'operation must be query or queryAll');
  if (contentType !== 'CSV') throw new ApiError(400, 'INVALIDJOB', 'contentType must be CSV');
  if (lineEnding !== 'LF' && lineEnding !== 'CRLF')
    throw new ApiError(400, 'INVALIDJOB', 'lineEnding must be LF or CRLF');
  const delimiter = DELIMITERS[String(columnDelimiter)];
  if (delimiter === undefined)
    throw new ApiError(400, 'INVALIDJOB', `unknown columnDelimiter ${String(columnDelimiter)}`);
  if (typeof text !== 'string') throw new ApiError(400, 'INVALIDJOB', 'query must not be empty');
  if (org.stats.bulkQueryJobs >= org.behaviour.bulkQueryJobsMax) {
    throw new ApiError(
      400,
      'LIMIT_EXCEEDED',
      `Max bulk v2 query jobs (${org.behaviour.bulkQueryJobsMax}) per 24 hrs has been reached (${org.stats.bulkQueryJobs + 1})`,
    );
  }
  const query = parseQuery(text);
  refuseForBulk(query);
  org.store.settle();
  const bound = bindQuery(query, org.store.find(query.from.text), operation === 'queryAll');
  refuseObjectForBulk(bound);
  const empty = exchange.fault !== undefined && 'emptyOk' in exchange.fault;
  org.stats.bulkQueryJobs++;
  const job = org.jobs.add({
    operation,
    delimiterName: String(columnDelimiter),
    lineEndingName: lineEnding,
    style: { delimiter, lineEnding: lineEnding === 'LF' ? '\n' : '\r\n' },
    apiVersion: Number(version.slice(1)),
    createdAt: org.store.clock.now(),
    startedAt: Date.now(),
    bound,
    entries: empty ? [] : runQuery(bound, org.store.clock.now()),
    ended: null,
    message: null,
  });
  return jobInfo(job, org);
}

function refuseForBulk(query: Query): void {
  const refuse = (message: string): ApiError => new ApiError(400, 'API_ERROR', message);
  if (query.selected.some((item) => item.kind === 'unsupported' && item.what === 'subquery')) {
    throw refuse('Aggregate Relationships not supported in Bulk V2 Query with CSV content type');
  }
  if (query.selected.some((item) => item.kind === 'unsupported'))
    throw refuse('TYPEOF is not supported in Bulk V2 Query');
  if (isAggregate(query) || query.selected.some((item) => item.kind === 'count')) {
    throw refuse('Aggregate Relationships not supported in Bulk V2 Query with CSV content type');
  }
  if (query.offset !== null) throw refuse('OFFSET clause is not supported in Bulk V2 Query');
}

function refuseObjectForBulk(bound: BoundQuery): void {
  if (!bound.table.spec.flags.bulk) {
    throw new ApiError(
      400,
      'INVALIDENTITY',
      `Entity '${bound.table.name}' is not supported by the Bulk API.`,
    );
  }
  if (bound.columns.some((spec) => spec.type === 'address')) {
    throw new ApiError(
      400,
      'FUNCTIONALITY_NOT_ENABLED',
      'Selecting compound data not supported in Bulk Query',
    );
  }
  if (bound.columns.some((spec) => spec.type === 'base64')) {
    throw new ApiError(400, 'FUNCTIONALITY_NOT_ENABLED', 'Binary fields are not supported in Bulk V2 Query');
  }
}

const locatorOf = (row: number): string => Buffer.from(String(row)).toString('base64url');

function rowOfLocator(locator: string, rows: number): number {
  const text = Buffer.from(locator, 'base64url').toString('utf8');
  if (!/^\d+$/.test(text) || Number(text) > rows)
    throw new ApiError(400, 'INVALID_QUERY_LOCATOR', 'invalid locator');
  return Number(text);
}

function requireComplete(job: Job, org: Org): void {
  const state = stateOf(job, org.behaviour.bulkJobMs);
  if (state === 'JobComplete') return;
  throw new ApiError(400, 'INVALIDJOBSTATE', `Results are not available: the job's state is ${state}`);
}

async function sendResults(exchange: Exchange, org: Org, job: Job): Promise<void> {
  requireComplete(job, org);
  const { entries, bound, style } = job;
  const locator = exchange.params.get('locator');
  const from = locator === null ? 0 : rowOfLocator(locator, entries.length);
  const until = Math.min(entries.length, from + pageRows(exchange, org));
  const drop = exchange.fault !== undefined && 'lastRowDropped' in exchange.fault && until > from ? 1 : 0;
  exchange.setHeader('sforce-locator', until < entries.length ? locatorOf(until) : 'null');
  exchange.setHeader('sforce-numberofrecords', String(until - from));
  const slice = { shape: bound, style, entries, from, until: until - drop };
  await exchange.stream(200, 'text/csv', page(slice, org));
}

async function* page(slice: CsvSlice, org: Org): AsyncGenerator<Buffer> {
  yield Buffer.from(csvHeader(slice.shape.columns, slice.style));
  yield* csvChunks(slice, org.cache);
}

function pageRows(exchange: Exchange, org: Org): number {
  const asked = exchange.params.get('maxRecords');
  if (asked === null) return org.behaviour.bulkPageRowsMax;
  const rows = Number(asked);
  if (!Number.isSafeInteger(rows) || rows < 1)
    throw new ApiError(400, 'INVALIDJOB', 'maxRecords must be a positive number');
  return rows;
}

async function sendResultPages(exchange: Exchange, org: Org, job: Job, version: string): Promise<void> {
  requireComplete(job, org);
  const rows = pageRows(exchange, org);
  const pages: { resultUrl: string }[] = [];
  for (let from = 0; from < job.entries.length && pages.length < RESULT_PAGES_MAX; from += rows) {
    const query = new URLSearchParams({ locator: locatorOf(from), maxRecords: String(rows) });
    pages.push({ resultUrl: `/services/data/${version}/jobs/query/${job.id}/results?${query.toString()}` });
  }
  await exchange.sendJson(200, { resultPages: pages, done: true, nextRecordsUrl: null });
}
