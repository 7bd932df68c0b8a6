import { setTimeout as sleep } from 'node:timers/promises';
import type { adapt as Adapt, managedwriter as Managed, v1 } from '@google-cloud/bigquery-storage';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { BigqueryConfig } from './config.ts';
import { parsedKey } from './rest.ts';

/** Of one call, and of one append from its sending to its answer. */
const CALL_MS_MAX = 20_000;
/** Of one call that was lost; then the rows go by a load job. */
const TRIES_MAX = 3;
/** Of a stream in a table that was made a moment ago: the service may not know it for some seconds. */
const CREATE_TRIES_MAX = 5;
const RETRY_MS = 200;
/** Streams that are begun for the same rows, when the service forgets one. */
const STREAMS_MAX = 3;

/** Status codes of gRPC, as "Storage Write API errors" uses them. */
const CODE = {
  ...{ cancelled: 1, unknown: 2, deadline: 4, notFound: 5, exists: 6, exhausted: 8 },
  ...{ precondition: 9, aborted: 10, outOfRange: 11, internal: 13, unavailable: 14 },
} as const;
const PASSING: ReadonlySet<unknown> = new Set([
  ...[CODE.cancelled, CODE.unknown, CODE.deadline, CODE.exhausted, CODE.aborted, CODE.internal],
  CODE.unavailable,
]);
/** The stream is gone, closed by somebody, or lacks rows that it had taken. */
const LOST: ReadonlySet<unknown> = new Set([CODE.notFound, CODE.precondition, CODE.outOfRange]);

/** One row by column, as JSONWriter takes it; see `wireValue`. */
export type WireRow = Record<string, string | number | boolean | null>;

export interface RowsRequest {
  /** As the service names them; the table is there, and nobody else writes into it. */
  dataset: string;
  table: string;
  fields: readonly { name: string; type: string }[];
  /** Each is one append: at most 10 MB. */
  parts: readonly (readonly WireRow[])[];
  signal?: AbortSignal | undefined;
}

export interface StorageWrite {
  /**
   * All rows are in the table exactly once when it resolves. When it rejects, none is, or, where only the last answer was lost,
   * all are: the table is then not to be used.
   */
  write(request: RowsRequest): Promise<void>;
  close(): Promise<void>;
}

interface Service {
  managed: typeof Managed;
  adapt: typeof Adapt;
  options: ConstructorParameters<typeof Managed.WriterClient>[0];
  client: v1.BigQueryWriteClient;
}

/** Connects with the first write: Google's client takes half a second and 70 MB. */
export function openStorageWrite(config: BigqueryConfig): StorageWrite {
  let opened: Promise<Service> | undefined;
  return {
    write: async (request) => {
      opened ??= connect(config);
      await writeOnce(await opened, config.project, request);
    },
    close: async () => {
      await (await opened?.catch(() => undefined))?.client.close();
    },
  };
}

async function connect({ project, key, writeEndpoint }: BigqueryConfig): Promise<Service> {
  const [{ managedwriter: managed, adapt, v1: api }, grpc] = await Promise.all([
    import('@google-cloud/bigquery-storage'),
    import('@grpc/grpc-js'),
  ]);
  const url = writeEndpoint === undefined ? undefined : new URL(writeEndpoint);
  const port = Number(url?.port === '' ? 443 : url?.port);
  const options = {
    projectId: project,
    ...(url === undefined ? {} : { apiEndpoint: url.hostname, port }),
    ...(key === undefined ? {} : { credentials: parsedKey(key) }),
    // None are sent on such a connection; the library would else look for some on this machine.
    ...(url?.protocol === 'http:'
      ? {
          sslCreds: grpc.credentials.createInsecure(),
          credentials: { client_email: 'nobody', private_key: 'none' },
        }
      : {}),
  };
  const client = new api.BigQueryWriteClient(options);
  await client.initialize();
  return { managed, adapt, options, client };
}

/** The service has lost what a stream had taken, or the stream itself. What it holds is never committed: nothing is doubled. */
class LostStream extends Error {}

/**
 * I2: the rows go into a stream that is only ours, each append at its place (offset), and become visible together by one commit. An
 * append whose answer was lost is sent again at the same place, where the service takes it once; a stream that is lost before the
 * commit leaves nothing behind, so that the next one begins anew.
 */
async function writeOnce(service: Service, project: string, request: RowsRequest): Promise<void> {
  const { dataset, table, parts, signal } = request;
  const parent = `projects/${project}/datasets/${dataset}/tables/${table}`;
  const rows = parts.reduce((sum, part) => sum + part.length, 0);
  for (let streams = 1; ; streams++) {
    try {
      const name = await createStream(service, parent, signal);
      await appendAll(service, name, request);
      await finalize(service, name, rows, signal);
      await commit(service, parent, name, signal);
      return;
    } catch (error) {
      if (!(error instanceof LostStream) || streams === STREAMS_MAX) throw error;
    }
  }
}

const CALL = { timeout: CALL_MS_MAX, retry: null };

async function createStream(
  { client }: Service,
  parent: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const create = async (): Promise<string> => {
    const [stream] = await client.createWriteStream({ parent, writeStream: { type: 'PENDING' } }, CALL);
    return stream.name ?? '';
  };
  return await again(
    create,
    (code, tries) => code === CODE.notFound || (PASSING.has(code) && tries < TRIES_MAX),
    signal,
    CREATE_TRIES_MAX,
  );
}

async function appendAll(
  service: Service,
  name: string,
  { fields, parts, signal }: RowsRequest,
): Promise<void> {
  const schema = { fields: fields.map((field) => ({ ...field, mode: 'NULLABLE' as const })) };
  const storage = service.adapt.convertBigQuerySchemaToStorageTableSchema(schema);
  const protoDescriptor = service.adapt.convertStorageSchemaToProto2Descriptor(storage, 'row');
  // The library keeps a list of the connections of each of its clients for ever: so each write has one, on the same channel.
  const writers = new service.managed.WriterClient(service.options);
  writers.setClient(service.client);
  try {
    let offset = 0;
    for (const part of parts) {
      const at = offset;
      await again(
        async () => {
          const connection = await writers.createStreamConnection({ streamId: name });
          // An error without a listener would end the process; the append tells it too.
          connection.onConnectionError(() => undefined);
          const writer = new service.managed.JSONWriter({ connection, protoDescriptor });
          try {
            await taken(writer.appendRows([...part], at).getResult(), signal);
          } finally {
            writer.close();
          }
        },
        (code) => PASSING.has(code),
        signal,
      );
      offset += part.length;
    }
  } finally {
    writers.close();
  }
}

type Append = Awaited<
  ReturnType<ReturnType<InstanceType<typeof Managed.JSONWriter>['appendRows']>['getResult']>
>;

/** An answer says no in two ways: in itself, or by ending the connection. */
async function taken(result: Promise<Append>, signal: AbortSignal | undefined): Promise<void> {
  try {
    const { error } = await within(result, signal);
    const code = error?.code ?? 0;
    if (code !== 0) throw new StatusError(code);
  } catch (error) {
    const code = codeOf(error);
    // I2: of this stream only we write, so what is there already is what we sent.
    if (code === CODE.exists) return;
    throw LOST.has(code) ? new LostStream() : error;
  }
}

const countSchema = z.object({ rowCount: z.coerce.number() });

/** I2, I7: the service counts what it took before anything of it can be seen. */
async function finalize(
  { client }: Service,
  name: string,
  rows: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [answer] = await again(
    () => client.finalizeWriteStream({ name }, CALL),
    (code) => PASSING.has(code),
    signal,
  ).catch((error: unknown) => {
    throw LOST.has(codeOf(error)) ? new LostStream() : error;
  });
  if (countSchema.parse(answer).rowCount !== rows) throw new LostStream();
}

/** Where an answer was lost and the commit is sent again, it finds its own work done. */
async function commit(
  { client }: Service,
  parent: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [{ streamErrors }] = await again(
    () => client.batchCommitWriteStreams({ parent, writeStreams: [name] }, CALL),
    (code) => PASSING.has(code),
    signal,
  );
  const errors = (streamErrors ?? []).filter(({ code }) => !isCommitted(code));
  if (errors.length > 0)
    throw new HeadwaterError(
      'WAREHOUSE_UNAVAILABLE',
      `a stream was not committed (${String(errors[0]?.code)})`,
    );
}

/** A name or its number, as the library decodes it. */
const isCommitted = (code: unknown): boolean => code === 'STREAM_ALREADY_COMMITTED' || code === 2;

async function again<T>(
  work: () => Promise<T>,
  passes: (code: unknown, tries: number) => boolean,
  signal: AbortSignal | undefined,
  triesMax = TRIES_MAX,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (!passes(codeOf(error), tries) || tries === triesMax) throw error;
    }
    await sleep(RETRY_MS * 2 ** tries, undefined, signal === undefined ? {} : { signal });
  }
}

/** gRPC's answer to an append may never come: nobody waits longer than for any other call. */
async function within<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const timer = new AbortController();
  const stop = signal === undefined ? timer.signal : AbortSignal.any([timer.signal, signal]);
  const late = sleep(CALL_MS_MAX, undefined, { signal: stop }).then(() => {
    throw new StatusError(CODE.deadline);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    late.catch(() => undefined);
    timer.abort();
  }
}

/** I5: a status without the service's words, which may quote values. */
class StatusError extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`status ${code}`);
    this.code = code;
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
