/** The jobs of BigQuery as its documents describe them, with the faults that a test asks for. It runs no SQL. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';

export interface FakeJob {
  id: string;
  sql: string;
  labels: Record<string, string>;
  cancelled: boolean;
}

/** What becomes of a job: how it ends, its rows, how its making is answered. */
export interface Outcome {
  error?: { reason: string; message: string };
  rows?: string[][];
  fields?: { name: string; type: string }[];
  /** Made, and its maker hears nothing. */
  answer?: 'lost' | 'refused';
  /** How many times it is asked before it is done. */
  waits?: number;
  refusal?: { status: number; reason: string };
  /** What a dry run tells. */
  bytes?: number;
}

export interface FakeBigquery {
  readonly endpoint: string;
  readonly jobs: FakeJob[];
  /** Requests by method and path. */
  readonly requests: string[];
  /** What the next jobs do, in order; then all end well and empty. */
  plan: Outcome[];
  /** `dataset/table` of those that are there, each with a column. */
  tables: Set<string>;
  close(): Promise<void>;
}

const bodySchema = z.looseObject({
  jobReference: z.looseObject({ jobId: z.string().optional() }),
  configuration: z.looseObject({
    dryRun: z.boolean().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    query: z.looseObject({ query: z.string() }).optional(),
  }),
});

export async function startFakeBigquery(): Promise<FakeBigquery> {
  const jobs: (FakeJob & { outcome: Outcome; waits: number })[] = [];
  const requests: string[] = [];
  const fake = { plan: [] as Outcome[], tables: new Set<string>() };
  const sessions = new Map<string, string>();

  const resource = (job: (typeof jobs)[number]) => {
    const done = job.waits <= 0 || job.cancelled;
    job.waits -= 1;
    const failed = job.cancelled ? { reason: 'stopped', message: 'Job cancelled' } : job.outcome.error;
    return {
      jobReference: { projectId: 'fake-project', jobId: job.id, location: 'EU' },
      status: { state: done ? 'DONE' : 'RUNNING', ...(done && failed ? { errorResult: failed } : {}) },
      statistics: {},
    };
  };
  const refuse = (response: ServerResponse, status: number, reason: string, message = reason): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { code: status, message, errors: [{ reason, message }] } }));
  };
  const answer = (response: ServerResponse, body: object): void => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const make = (response: ServerResponse, text: string): void => {
    const { jobReference, configuration } = bodySchema.parse(JSON.parse(text));
    const id = jobReference.jobId ?? '';
    if (jobs.some((job) => job.id === id)) {
      refuse(response, 409, 'duplicate', `Already Exists: Job fake-project:EU.${id}`);
      return;
    }
    const outcome = fake.plan.shift() ?? {};
    if (outcome.refusal !== undefined) {
      refuse(response, outcome.refusal.status, outcome.refusal.reason);
      return;
    }
    if (configuration.dryRun === true) {
      answer(response, {
        statistics: { totalBytesProcessed: String(outcome.bytes ?? 0), query: { statementType: 'SELECT' } },
      });
      return;
    }
    const about = { sql: configuration.query?.query ?? '', labels: configuration.labels ?? {} };
    const job = { id, ...about, cancelled: false, outcome, waits: outcome.waits ?? 0 };
    jobs.push(job);
    if (outcome.answer === 'lost') response.destroy();
    else answer(response, resource(job));
  };
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://fake');
    const text = await textOf(request);
    requests.push(`${request.method ?? ''} ${url.pathname}`);
    const [, kind, id = '', more] = /\/(jobs|queries)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const job = jobs.find((one) => one.id === id);
    const [, dataset, table] = /\/datasets\/(\w+)\/tables\/(\w+)$/.exec(url.pathname) ?? [];
    if (fake.tables.has(`${dataset}/${table}`))
      answer(response, { schema: { fields: [{ name: 'one', type: 'STRING' }] } });
    else if (url.pathname.startsWith('/upload/')) {
      const session = url.searchParams.get('upload_id');
      if (session === null) {
        sessions.set(String(sessions.size), text);
        response.writeHead(200, { location: `${endpoint}${url.pathname}?upload_id=${sessions.size - 1}` });
        response.end();
      } else make(response, sessions.get(session) ?? '{}');
    } else if (kind === 'jobs' && request.method === 'POST' && id === '') make(response, text);
    else if (job === undefined) refuse(response, 404, 'notFound', `Not found: ${url.pathname}`);
    else if (more === 'cancel') {
      job.cancelled = true;
      answer(response, {});
    } else if (kind === 'jobs') answer(response, resource(job));
    else {
      const fields = job.outcome.fields ?? [];
      const rows = (job.outcome.rows ?? []).map((row) => ({ f: row.map((v) => ({ v })) }));
      answer(response, { jobComplete: job.waits <= 0, schema: { fields }, rows });
    }
  };
  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const endpoint = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
  return Object.assign(fake, {
    ...{ endpoint, jobs, requests },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) if (Buffer.isBuffer(part)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}
