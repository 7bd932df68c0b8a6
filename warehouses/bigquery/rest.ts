import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BigQuery } from '@google-cloud/bigquery';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { BigqueryConfig } from './config.ts';
import { isBusy } from './errors.ts';

const REQUEST_MS_MAX = 60_000;
/** Of a request that was lost, or came too often. */
const TRIES_MAX = 4;
const RETRY_MS = 100;

export interface Call {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Behind projects/<project>. */
  uri: string;
  query?: Record<string, string | number | boolean>;
  body?: object;
  /** What must not be sent twice without a look: a job. */
  once?: true;
}

/** The REST service, version 2. Throws what the library throws; `errors.ts` reads it. */
export interface Rest {
  readonly service: BigQuery;
  call<Answer extends z.ZodType>(answer: Answer, call: Call): Promise<z.output<Answer>>;
  /** Makes a job that reads a local file; its resource as it was answered. Nothing is tried again here. */
  upload(job: object, path: string, signal?: AbortSignal): Promise<unknown>;
}

const keySchema = z.looseObject({ client_email: z.string().min(1), private_key: z.string().min(1) });

export async function openRest(config: BigqueryConfig): Promise<Rest> {
  // Every command reads the registry of warehouses, and few of them open this one.
  const { BigQuery: Service } = await import('@google-cloud/bigquery');
  const { project, location, endpoint, key } = config;
  const service = new Service({
    projectId: project,
    location,
    userAgent: 'headwater',
    // Tried again here, by who knows what may be sent twice.
    retryOptions: { autoRetry: false },
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint }),
    ...(key === undefined ? {} : { credentials: parsedKey(key) }),
  });
  // The library would else look for credentials on this machine, and send them to whoever answers there.
  const open = endpoint?.startsWith('http:') === true;
  if (open)
    Object.assign(service.authClient, { authorizeRequest: (options: object) => Promise.resolve(options) });
  const send: Rest['call'] = (answer, { method, uri, query, body }) =>
    new Promise((resolve, reject) => {
      const options = { method, uri, timeout: REQUEST_MS_MAX };
      const more = {
        ...(query === undefined ? {} : { qs: query }),
        ...(body === undefined ? {} : { json: body }),
      };
      service.request({ ...options, ...more }, (error: unknown, response: unknown) => {
        if (error !== null && error !== undefined) {
          reject(error);
          return;
        }
        const parsed = answer.safeParse(response);
        if (parsed.success) resolve(parsed.data);
        else
          reject(
            new HeadwaterError(
              'WAREHOUSE_UNAVAILABLE',
              `${method} ${uri}: BigQuery answered in another way than its documents say`,
            ),
          );
      });
    });
  const call: Rest['call'] = async (answer, request) => {
    for (let tries = 1; ; tries++) {
      try {
        return await send(answer, request);
      } catch (error) {
        if (!isBusy(error) || request.once === true || tries === TRIES_MAX) throw error;
      }
      await sleep(RETRY_MS * 2 ** tries);
    }
  };
  return { service, call, upload: uploader(service, project, open) };
}

/** "Resumable uploads": one request with the job, one with the whole file. */
function uploader(service: BigQuery, project: string, open: boolean): Rest['upload'] {
  const address = `${service.apiEndpoint}/upload/bigquery/v2/projects/${project}/jobs?uploadType=resumable`;
  return async (job, path, signal) => {
    const file = await openAsBlob(path);
    const authorized = open ? {} : Object.fromEntries(await service.authClient.getRequestHeaders(address));
    const stop = signal === undefined ? {} : { signal };
    const begun = await fetch(address, {
      method: 'POST',
      headers: {
        ...authorized,
        'content-type': 'application/json; charset=UTF-8',
        'x-upload-content-type': 'application/octet-stream',
        'x-upload-content-length': String(file.size),
      },
      body: JSON.stringify(job),
      ...stop,
    });
    const session = begun.headers.get('location');
    if (!begun.ok || session === null) throw await refused(begun);
    const sent = await fetch(session, {
      method: 'PUT',
      headers: {
        ...authorized,
        'content-type': 'application/octet-stream',
        'content-range': `bytes 0-${file.size - 1}/${file.size}`,
      },
      body: file,
      ...stop,
    });
    if (!sent.ok) throw await refused(sent);
    return sent.json();
  };
}

const refusalSchema = z.looseObject({
  error: z.looseObject({
    message: z.string().optional(),
    errors: z
      .array(z.looseObject({ reason: z.string().optional(), message: z.string().optional() }))
      .optional(),
  }),
});

/** In the form that the library throws. */
class HttpRefusal extends Error {
  readonly code: number;
  readonly errors: readonly { reason?: string | undefined; message?: string | undefined }[];
  constructor(code: number, answer: z.output<typeof refusalSchema> | undefined) {
    super(answer?.error.message ?? `status ${code}`);
    this.code = code;
    this.errors = answer?.error.errors ?? [];
  }
}

async function refused(response: Response): Promise<HttpRefusal> {
  const answer: unknown = await response.json().catch(() => undefined);
  return new HttpRefusal(response.status, refusalSchema.safeParse(answer).data);
}

/** I5: nothing of the key is repeated. */
export function parsedKey(key: string): z.output<typeof keySchema> {
  try {
    const parsed = keySchema.safeParse(JSON.parse(key));
    if (parsed.success) return parsed.data;
  } catch {
    // The same answer as for a JSON of another form.
  }
  throw new HeadwaterError(
    'CONFIG_INVALID',
    'warehouse.key: the value of this secret is no service-account key',
    {
      remedy:
        'Write the whole JSON file of the key into the secret, or leave the key out to use the credentials of the machine.',
    },
  );
}
