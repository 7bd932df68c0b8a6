import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { isBusy, isDuplicate, isLost, isMissing, isOvertaken, JobFailure } from './errors.ts';
import { label } from './names.ts';
import type { Rest } from './rest.ts';
import { resultSchema } from './values.ts';
import type { ResultPage } from './values.ts';

/** Requests that were lost are sent again, since the job's id makes the second one a no-op. */
const SEND_TRIES_MAX = 4;
const RETRY_MS = 250;
/** The service holds a request for results for so long. */
const WAIT_MS = 10_000;
const POLL_MS_MIN = 50;
const POLL_MS_MAX = 2_000;
/** After a cancel: until the job has ended, so that nobody meets it half done. */
const CANCEL_MS_MAX = 8_000;
/** Of one key; a job that failed is never asked again, the next one is. */
const GENERATIONS_MAX = 30;

const jobSchema = z.looseObject({
  jobReference: z.looseObject({ jobId: z.string(), location: z.string().optional() }),
  status: z.looseObject({
    state: z.string(),
    errorResult: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
  }),
  statistics: z
    .looseObject({
      totalBytesProcessed: z.string().optional(),
      load: z.looseObject({ outputRows: z.string().optional() }).optional(),
      query: z
        .looseObject({ statementType: z.string().optional(), numDmlAffectedRows: z.string().optional() })
        .optional(),
    })
    .optional(),
});
export type Job = z.output<typeof jobSchema>;

export interface JobRequest {
  /** Letters, digits, - and _; the same id is the same job. Absent: one of its own. */
  id?: string;
  configuration: object;
  labels?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Nobody asks for its rows: one request less. */
  silent?: boolean;
  /** The service stops a job that runs longer, and says `stopped`. */
  msMax?: number;
}

/** Jobs by id: sent until it is known that they were made, waited for, cancelled on abort. */
export interface Jobs {
  /** Ends when the job has ended well; JobFailure when it has not. `repeated`: it was there before. */
  query(request: JobRequest): Promise<{ job: Job; repeated: boolean; page: ResultPage }>;
  /** `path`: the local file that it reads; absent where the configuration names objects of a bucket. */
  load(request: JobRequest, path?: string): Promise<{ job: Job; repeated: boolean }>;
  /** Bytes that a statement would read and its kind, nothing is run. */
  dryRun(configuration: object): Promise<{ bytes: number; statement: string }>;
  more(job: Job, pageToken: string, rowsMax: number): Promise<ResultPage>;
}

export function openJobs(rest: Rest, location: string, jobMsMax: number): Jobs {
  const service = followed(rest, location);
  const configured = (id: string, { configuration, labels, msMax = jobMsMax }: JobRequest): object => ({
    jobReference: { projectId: rest.service.projectId, jobId: id, location },
    configuration: { ...configuration, labels: { app: 'headwater', ...labels }, jobTimeoutMs: String(msMax) },
  });
  return {
    query: async (request) => {
      const id = request.id ?? `headwater_${randomUUID()}`;
      const body = configured(id, request);
      const send = () => rest.call(jobSchema, { method: 'POST', uri: '/jobs', body, once: true });
      const { job, repeated } = await service.run(id, send, service.waited, request.signal);
      // The results of an old job are gone after a day.
      const page = repeated || request.silent === true ? {} : await results(rest, location, job, {});
      return { job, repeated, page };
    },
    load: (request, path) => {
      const id = request.id ?? `headwater_${randomUUID()}`;
      const body = configured(id, request);
      const send = async () =>
        path === undefined
          ? rest.call(jobSchema, { method: 'POST', uri: '/jobs', body, once: true })
          : jobSchema.parse(await rest.upload(body, path, request.signal));
      return service.run(id, send, service.get, request.signal);
    },
    dryRun: async (configuration) => {
      const body = {
        jobReference: { projectId: rest.service.projectId, location },
        configuration: { ...configuration, dryRun: true },
      };
      const job = await rest.call(drySchema, { method: 'POST', uri: '/jobs', body });
      const { totalBytesProcessed, query } = job.statistics;
      return {
        bytes: Number(totalBytesProcessed ?? query?.totalBytesProcessed ?? 0),
        statement: query?.statementType ?? '',
      };
    },
    more: (job, pageToken, maxResults) => results(rest, location, job, { pageToken, maxResults }),
  };
}

interface Followed {
  get: (id: string) => Promise<Job>;
  /** The same, asked with one long request. */
  waited: (id: string) => Promise<Job>;
  /** Sent, waited for, cancelled on abort. */
  run(
    id: string,
    send: () => Promise<Job>,
    poll: (id: string) => Promise<Job>,
    signal: AbortSignal | undefined,
  ): Promise<{ job: Job; repeated: boolean }>;
}

function followed(rest: Rest, location: string): Followed {
  const get: Followed['get'] = (id) =>
    rest.call(jobSchema, { method: 'GET', uri: `/jobs/${id}`, query: { location } });
  const cancel = async (id: string): Promise<void> => {
    const deadline = performance.now() + CANCEL_MS_MAX;
    try {
      await rest.call(z.unknown(), { method: 'POST', uri: `/jobs/${id}/cancel`, query: { location } });
      while (performance.now() < deadline && (await get(id)).status.state !== 'DONE')
        await sleep(POLL_MS_MIN);
    } catch {
      // What was not cancelled ends by itself; its batch row then says that it landed.
    }
  };
  return {
    get,
    waited: async (id) => {
      try {
        await rest.call(resultSchema, {
          ...{ method: 'GET', uri: `/queries/${id}` },
          query: { location, timeoutMs: WAIT_MS, maxResults: 0 },
        });
      } catch (error) {
        // A job that failed is asked as a job, which says why.
        if (isLost(error)) await sleep(RETRY_MS);
      }
      return get(id);
    },
    run: async (id, send, poll, signal) => {
      let repeated = false;
      try {
        const inserted = await insert(id, send, get, signal);
        repeated = inserted.repeated;
        return { job: await ended(inserted.job, () => poll(id), signal), repeated };
      } catch (error) {
        // It may have been made all the same.
        if (signal?.aborted === true) await cancel(id);
        signal?.throwIfAborted();
        throw repeated && error instanceof JobFailure ? new RepeatedFailure() : error;
      }
    },
  };
}

/** Sends until an answer says that the job is there. */
async function insert(
  id: string,
  send: () => Promise<Job>,
  get: Followed['get'],
  signal: AbortSignal | undefined,
): Promise<{ job: Job; repeated: boolean }> {
  let lost = false;
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    try {
      return { job: await send(), repeated: false };
    } catch (error) {
      signal?.throwIfAborted();
      // Of our own first request, the answer of which was lost: that is no repetition.
      if (isDuplicate(error)) return { job: await get(id), repeated: !lost };
      if (!isBusy(error) || tries === SEND_TRIES_MAX) throw error;
      if (isLost(error)) {
        lost = true;
        const found = await get(id).catch((missing: unknown) => {
          if (isMissing(missing)) return undefined;
          throw missing;
        });
        if (found !== undefined) return { job: found, repeated: false };
      }
      await sleep(RETRY_MS * 2 ** tries);
    }
  }
}

async function ended(job: Job, poll: () => Promise<Job>, signal: AbortSignal | undefined): Promise<Job> {
  let now = job;
  for (let pause = POLL_MS_MIN; now.status.state !== 'DONE'; pause = Math.min(pause * 2, POLL_MS_MAX)) {
    signal?.throwIfAborted();
    now = await poll();
    if (now.status.state !== 'DONE') await sleep(pause, undefined, signal === undefined ? {} : { signal });
  }
  signal?.throwIfAborted();
  const failed = now.status.errorResult;
  if (failed !== undefined) throw new JobFailure(failed.reason ?? 'unknown', failed.message ?? '');
  return now;
}

const drySchema = z.looseObject({
  statistics: z.looseObject({
    totalBytesProcessed: z.string().optional(),
    query: z
      .looseObject({ statementType: z.string().optional(), totalBytesProcessed: z.string().optional() })
      .optional(),
  }),
});

const results = (
  rest: Rest,
  location: string,
  job: Job,
  page: { pageToken?: string; maxResults?: number },
): Promise<ResultPage> =>
  rest.call(resultSchema, {
    ...{ method: 'GET', uri: `/queries/${job.jobReference.jobId}` },
    query: { location, 'formatOptions.useInt64Timestamp': true, ...page },
  });

/**
 * A job that is to be done once: its id is made of the key. One that failed has used its id up, so the next try takes the next
 * one. `holds` asks whether what an earlier job did is still there: a table may have been dropped since.
 */
export async function once<T extends { repeated: boolean }>(
  key: string,
  run: (id: string) => Promise<T>,
  holds: () => Promise<boolean>,
): Promise<T> {
  for (let generation = 0; generation < GENERATIONS_MAX; generation++) {
    try {
      const done = await run(`${key}_${generation}`);
      if (!done.repeated || (await holds())) return done;
    } catch (error) {
      if (!(error instanceof RepeatedFailure)) throw error;
    }
  }
  // Many failures behind it: an id of its own, and the batch row alone keeps it from being done twice.
  return run(`${key}_${randomUUID()}`);
}

/** Of one transaction, when another one changed the same table first. */
const TURNS_MAX = 4;
const TURN_MS = 1_000;

/** BigQuery lets no transaction wait for another: the second one is stopped, and comes again a little later. */
export async function inTurn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let turn = 1; ; turn++) {
    try {
      return await work();
    } catch (error) {
      if (!isOvertaken(error) || turn === TURNS_MAX) throw error;
    }
    await sleep(TURN_MS * turn * (0.5 + Math.random()), undefined, signal === undefined ? {} : { signal });
  }
}

/** A job of this id had failed before it was asked for now. */
export class RepeatedFailure extends HeadwaterError {
  constructor() {
    super('WAREHOUSE_UNAVAILABLE', 'an earlier job of the same id failed');
  }
}

/** What a job is labelled with: who asked for it. */
export const labelsOf = (about: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(about).map(([name, value]) => [label(name), label(value)]));
