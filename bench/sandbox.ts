/** The Salesforce-compatible server as a process of its own, with its controls. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startProcess } from '../cli/dev/processes.ts';

const MAIN = fileURLToPath(new URL('../sandbox/main.ts', import.meta.url));
const READY_MS_MAX = 60_000;
const API = '/services/data/v66.0';
const POLL_MS = 10;
const POLLS_MAX = 60_000;
const PAGES_MAX = 10_000;
/** The size of a result page that the product asks for too. */
const PAGE_ROWS = 250_000;

const listening = z
  .string()
  .startsWith('{')
  .transform((line): unknown => JSON.parse(line))
  .pipe(
    z.object({
      event: z.literal('listening'),
      url: z.string(),
      clientId: z.string(),
      clientSecret: z.string(),
    }),
  );
const tokenSchema = z.object({ access_token: z.string() });
const jobSchema = z.object({ id: z.string(), state: z.string() });
const statsSchema = z.object({ apiRequests: z.number(), calls: z.record(z.string(), z.number()) });
export type CallStats = z.infer<typeof statsSchema>;

export interface Download {
  paths: string[];
  bytes: number;
  rows: number;
  ms: number;
}

export interface OpenJob {
  results: string;
  authorization: string;
}

export interface Sandbox {
  url: string;
  clientId: string;
  clientSecret: string;
  /** POST /__sandbox/<name>. */
  control(name: string, body: Record<string, unknown>): Promise<unknown>;
  stats(): Promise<CallStats>;
  /** A finished bulk job: the path of its results and what to send with it. */
  openJob(soql: string): Promise<OpenJob>;
  /** A bulk job with the product's query, its pages straight into files: the raw download of the limit. */
  download(soql: string, folder: string): Promise<Download>;
  stop(): Promise<void>;
}

function launch(objects: Readonly<Record<string, number>>, logs: string) {
  const counts = Object.entries(objects).map(([name, rows]) => `${name}=${rows}`);
  return startProcess({
    name: 'The sandbox',
    command: process.execPath,
    args: [MAIN, '--records', '100', '--objects', counts.join(',')],
    logPath: join(logs, 'sandbox.log'),
    ready: (line) => listening.safeParse(line).data,
    readyTimeoutMs: READY_MS_MAX,
  });
}

export async function startSandbox(
  objects: Readonly<Record<string, number>>,
  logs: string,
): Promise<Sandbox> {
  const running = await launch(objects, logs);
  const { url, clientId, clientSecret } = running.value;
  const agent = new Agent({ keepAlive: true });
  const call = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    send(agent, new URL(path, url), method, headers, body);
  const json = async (method: string, path: string, token?: string, body?: unknown): Promise<unknown> => {
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const text = await bodyOf(
      await call(method, path, headers, body === undefined ? undefined : JSON.stringify(body)),
    );
    return text === '' ? undefined : JSON.parse(text);
  };
  const login = async (): Promise<string> => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const text = await bodyOf(await call('POST', '/services/oauth2/token', headers, form.toString()));
    return tokenSchema.parse(JSON.parse(text)).access_token;
  };
  const openJob = async (soql: string): Promise<OpenJob> => {
    const token = await login();
    const job = jobSchema.parse(
      await json('POST', `${API}/jobs/query`, token, { operation: 'queryAll', query: soql }),
    );
    for (let poll = 0; poll < POLLS_MAX; poll += 1) {
      const { state } = jobSchema.parse(await json('GET', `${API}/jobs/query/${job.id}`, token));
      if (state === 'JobComplete') break;
      await sleep(POLL_MS);
    }
    return { results: `${API}/jobs/query/${job.id}/results`, authorization: `Bearer ${token}` };
  };
  const download = async (soql: string, folder: string): Promise<Download> => {
    const startedMs = performance.now();
    const { results, authorization } = await openJob(soql);
    const result: Download = { paths: [], bytes: 0, rows: 0, ms: 0 };
    let locator = '';
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const response = await call('GET', `${results}?maxRecords=${PAGE_ROWS}${locator}`, { authorization });
      const file = createWriteStream(join(folder, `page-${page}.csv`), { highWaterMark: 1 << 20 });
      await pipeline(response, file);
      result.paths.push(join(folder, `page-${page}.csv`));
      result.bytes += file.bytesWritten;
      result.rows += Number(response.headers['sforce-numberofrecords']);
      const next = String(response.headers['sforce-locator']);
      if (next === 'null') break;
      locator = `&locator=${encodeURIComponent(next)}`;
    }
    return { ...result, ms: performance.now() - startedMs };
  };
  return {
    url,
    clientId,
    clientSecret,
    control: (name, body) => json('POST', `/__sandbox/${name}`, undefined, body),
    stats: async () => statsSchema.parse(await json('GET', '/__sandbox/stats')),
    openJob,
    download,
    stop: async () => {
      agent.destroy();
      await running.stop();
    },
  };
}

function send(
  agent: Agent,
  url: URL,
  method: string,
  headers: Record<string, string>,
  body: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent, method, headers }, (response) => {
      if ((response.statusCode ?? 500) < 300) resolve(response);
      else
        void bodyOf(response).then(
          (text) =>
            reject(new Error(`${method} ${url.pathname}: ${response.statusCode} ${text.slice(0, 500)}`)),
          reject,
        );
    });
    call.on('error', reject);
    call.end(body);
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
