/** BigQuery's Storage Write API as its documents describe it, with the faults that a test asks for. It keeps rows as they came. */
import { readFileSync } from 'node:fs';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall, StatusObject } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { z } from 'zod';

const PROTOS = 'node_modules/@google-cloud/bigquery-storage/build/protos/protos.json';
const SERVICE = 'google.cloud.bigquery.storage.v1.BigQueryWrite';

export type CallName = 'create' | 'append' | 'finalize' | 'commit';

/**
 * What goes wrong with one call. lost: it is done, and nobody hears of it. forgotten: it is answered, and nothing is kept.
 * A number: it is not done, and this is the status; `inAnswer`: an append may say so without ending its connection.
 */
export interface Fault {
  call: CallName;
  fault: 'lost' | 'forgotten' | status;
  inAnswer?: true;
}

interface Stream {
  table: string;
  rows: Buffer[];
  state: 'open' | 'final' | 'committed';
}

export interface FakeStorageWrite {
  readonly endpoint: string;
  readonly calls: CallName[];
  /** Committed rows by table. */
  readonly tables: Map<string, Buffer[]>;
  /** Each happens to the next call of its name. */
  plan: Fault[];
  close(): Promise<void>;
}

const appendSchema = z.object({
  writeStream: z.string(),
  offset: z.object({ value: z.coerce.number() }),
  protoRows: z.object({ rows: z.object({ serializedRows: z.array(z.instanceof(Buffer)) }) }),
});
const createSchema = z.object({ parent: z.string(), writeStream: z.object({ type: z.literal('PENDING') }) });
const nameSchema = z.object({ name: z.string() });
const commitSchema = z.object({ parent: z.string(), writeStreams: z.array(z.string()).length(1) });

const refusal = (code: status, details = 'as the test asked'): Partial<StatusObject> => ({ code, details });

type Answer = { value: object } | { error: Partial<StatusObject> };

/** What the service would do, without faults. */
function book() {
  const streams = new Map<string, Stream>();
  const tables = new Map<string, Buffer[]>();
  const missing: Answer = { error: refusal(status.NOT_FOUND, 'Requested entity was not found.') };
  return {
    tables,
    create: (request: unknown): Answer => {
      const { parent } = createSchema.parse(request);
      const name = `${parent}/streams/s${streams.size}`;
      streams.set(name, { table: parent, rows: [], state: 'open' });
      return { value: { name, type: 'PENDING' } };
    },
    append: (request: unknown, keep: boolean): Answer => {
      const { writeStream, offset, protoRows } = appendSchema.parse(request);
      const stream = streams.get(writeStream);
      if (stream === undefined) return missing;
      if (stream.state !== 'open') return { error: refusal(status.FAILED_PRECONDITION) };
      if (offset.value < stream.rows.length) return { error: refusal(status.ALREADY_EXISTS) };
      if (offset.value > stream.rows.length) return { error: refusal(status.OUT_OF_RANGE) };
      if (keep) stream.rows.push(...protoRows.rows.serializedRows);
      return { value: { appendResult: { offset }, writeStream } };
    },
    finalize: (request: unknown): Answer => {
      const stream = streams.get(nameSchema.parse(request).name);
      if (stream === undefined) return missing;
      if (stream.state === 'open') stream.state = 'final';
      return { value: { rowCount: stream.rows.length } };
    },
    commit: (request: unknown): Answer => {
      const { parent, writeStreams } = commitSchema.parse(request);
      const [name = ''] = writeStreams;
      const stream = streams.get(name);
      const code = {
        ...{ open: 'INVALID_STREAM_STATE', committed: 'STREAM_ALREADY_COMMITTED', final: undefined },
      }[stream?.state ?? 'open'];
      if (stream === undefined || code !== undefined)
        return { value: { streamErrors: [{ code, entity: name }] } };
      stream.state = 'committed';
      tables.set(parent, [...(tables.get(parent) ?? []), ...stream.rows]);
      return { value: { commitTime: { seconds: 1 } } };
    },
  };
}

export async function startFakeStorageWrite(): Promise<FakeStorageWrite> {
  const held = book();
  const calls: CallName[] = [];
  const fake = { plan: [] as Fault[] };
  const faultOf = (call: CallName): Fault | undefined => {
    calls.push(call);
    const at = fake.plan.findIndex((fault) => fault.call === call);
    return at < 0 ? undefined : fake.plan.splice(at, 1)[0];
  };
  const unary =
    (call: 'create' | 'finalize' | 'commit') =>
    ({ request }: ServerUnaryCall<unknown, object>, answer: sendUnaryData<object>): void => {
      const fault = faultOf(call)?.fault;
      if (typeof fault === 'number') return answer(refusal(fault));
      const done = held[call](request);
      if (fault === 'lost') return answer(refusal(status.UNAVAILABLE, 'lost'));
      return 'error' in done ? answer(done.error) : answer(null, done.value);
    };
  const append = (connection: ServerDuplexStream<unknown, object>): void => {
    const end = (error: Partial<StatusObject>): unknown => connection.emit('error', error);
    connection.on('data', (request: unknown) => {
      const { fault, inAnswer = false } = faultOf('append') ?? {};
      const done =
        typeof fault === 'number' ? { error: refusal(fault) } : held.append(request, fault !== 'forgotten');
      if (fault === 'lost') end(refusal(status.UNAVAILABLE, 'lost'));
      else if ('value' in done) connection.write(done.value);
      else if (inAnswer || typeof fault !== 'number')
        connection.write({ error: { code: done.error.code, message: done.error.details } });
      else end(done.error);
    });
    connection.on('end', () => connection.end());
  };
  const definition = fromJSON(JSON.parse(readFileSync(PROTOS, 'utf8')), { longs: Number, enums: String })[
    SERVICE
  ];
  if (definition === undefined || 'format' in definition) throw new Error(`no ${SERVICE} in ${PROTOS}`);
  const server = new Server();
  server.addService(definition, {
    ...{ CreateWriteStream: unary('create'), FinalizeWriteStream: unary('finalize') },
    ...{ BatchCommitWriteStreams: unary('commit'), AppendRows: append },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return Object.assign(fake, {
    ...{ endpoint: `http://127.0.0.1:${port}`, calls, tables: held.tables },
    close: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  });
}
