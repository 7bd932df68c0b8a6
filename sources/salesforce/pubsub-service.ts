import { Client, credentials, Metadata, status, type ChannelOptions } from '@grpc/grpc-js';
import { fromJSON, type PackageDefinition } from '@grpc/proto-loader';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Session } from './auth.ts';

const text = (id: number) => ({ type: 'string', id });
const bytes = (id: number) => ({ type: 'bytes', id });
const int = (id: number) => ({ type: 'int32', id });
const method = (requestType: string, responseType: string) => ({ requestType, responseType, comment: '' });

/** What is used of `eventbus.v1`. Names and numbers are those of the published interface (forcedotcom/pub-sub-api). */
const DEFINITION: Parameters<typeof fromJSON>[0] = {
  nested: {
    eventbus: {
      nested: {
        v1: {
          nested: {
            TopicRequest: { fields: { topicName: text(1) } },
            TopicInfo: { fields: { topicName: text(1), canSubscribe: { type: 'bool', id: 4 } } },
            SchemaRequest: { fields: { schemaId: text(1) } },
            SchemaInfo: { fields: { schemaJson: text(1), schemaId: text(2) } },
            ReplayPreset: { values: { LATEST: 0, EARLIEST: 1, CUSTOM: 2 } },
            FetchRequest: {
              fields: {
                topicName: text(1),
                replayPreset: { type: 'ReplayPreset', id: 2 },
                replayId: bytes(3),
                numRequested: int(4),
              },
            },
            ProducerEvent: { fields: { id: text(1), schemaId: text(2), payload: bytes(3) } },
            ConsumerEvent: { fields: { event: { type: 'ProducerEvent', id: 1 }, replayId: bytes(2) } },
            FetchResponse: {
              fields: {
                events: { rule: 'repeated', type: 'ConsumerEvent', id: 1 },
                latestReplayId: bytes(2),
                pendingNumRequested: int(4),
              },
            },
            PubSub: {
              methods: {
                Subscribe: {
                  ...method('FetchRequest', 'FetchResponse'),
                  requestStream: true,
                  responseStream: true,
                },
                GetSchema: method('SchemaRequest', 'SchemaInfo'),
                GetTopic: method('TopicRequest', 'TopicInfo'),
              },
            },
          },
        },
      },
    },
  },
};

const bytesSchema = z.custom<Uint8Array>((value) => ArrayBuffer.isView(value));
export const topicInfoSchema = z.object({ canSubscribe: z.boolean() });
export const schemaInfoSchema = z.object({ schemaJson: z.string() });
export const fetchResponseSchema = z.object({
  events: z.array(
    z.object({
      event: z.object({ id: z.string(), schemaId: z.string(), payload: bytesSchema }).nullable(),
      replayId: bytesSchema,
    }),
  ),
  latestReplayId: bytesSchema,
});
export type FetchResponse = z.infer<typeof fetchResponseSchema>;

export interface FetchRequest {
  topicName: string;
  numRequested: number;
  replayPreset?: number;
  replayId?: Uint8Array;
}
export const REPLAY = { latest: 0, custom: 2 } as const;

type Method = 'Subscribe' | 'GetSchema' | 'GetTopic';

/** The calls of the service, each with the session that it is made for. Failures are those of gRPC: see `serviceError`. */
export class PubSubService {
  readonly #client: Client;
  readonly #definition: PackageDefinition;

  /** `endpoint`: https, or http on this machine. */
  constructor(endpoint: URL, options: ChannelOptions) {
    const isPlain = endpoint.protocol === 'http:';
    const port = endpoint.port === '' ? '443' : endpoint.port;
    const secured = isPlain ? credentials.createInsecure() : credentials.createSsl();
    this.#client = new Client(`${endpoint.hostname}:${port}`, secured, options);
    this.#definition = fromJSON(DEFINITION, { defaults: true, arrays: true });
  }

  subscribe(session: Signed) {
    const { path, write, read } = this.#method('Subscribe');
    return this.#client.makeBidiStreamRequest(
      path,
      (request: FetchRequest) => write(request),
      (body: Buffer) => fetchResponseSchema.parse(read(body)),
      signed(session),
      {},
    );
  }

  async ask<Answer extends z.ZodType>(
    name: 'GetSchema' | 'GetTopic',
    request: object,
    answer: Answer,
    session: Signed,
    msMax: number,
  ): Promise<z.output<Answer>> {
    const { path, write, read } = this.#method(name);
    return await new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        write,
        (body: Buffer) => answer.parse(read(body)),
        request,
        signed(session),
        { deadline: Date.now() + msMax },
        (error, value) => {
          if (error !== null) reject(error);
          else if (value === undefined)
            reject(new HeadwaterError('SOURCE_PROTOCOL', `${name} gave no answer`));
          else resolve(value);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }

  #method(name: Method): {
    path: string;
    write: (request: object) => Buffer;
    read: (body: Buffer) => unknown;
  } {
    const service = this.#definition['eventbus.v1.PubSub'];
    const method = service === undefined || 'format' in service ? undefined : service[name];
    if (method === undefined) throw new HeadwaterError('INTERNAL', `the interface has no ${name}`);
    return { path: method.path, write: method.requestSerialize, read: method.responseDeserialize };
  }
}

/** `tenant`: the id of the org. */
export interface Signed extends Session {
  tenant: string;
}

function signed({ accessToken, instanceUrl, tenant }: Signed): Metadata {
  const metadata = new Metadata();
  metadata.set('accesstoken', accessToken);
  metadata.set('instanceurl', instanceUrl);
  metadata.set('tenantid', tenant);
  return metadata;
}

const CODE = /^[\w.]{1,200}$/;
/** `…replayid.validation.failed` and `….corrupted`: older than what is kept, or never given. */
const REPLAY_REFUSED = /\.replayid\./;
/** Of our own side, where a message passes our limit. */
const TOO_LARGE = /larger than max/;

export function isUnauthenticated(error: unknown): boolean {
  return codeOf(error) === status.UNAUTHENTICATED;
}

/** I5: of the service's words only its code is passed on. */
export function serviceError(error: unknown, topic: string): HeadwaterError {
  if (isHeadwaterError(error)) return error;
  const told = errorCodeOf(error);
  const why = told === '' ? '' : ` (${told})`;
  const lost = (what: string) => new HeadwaterError('POSITION_LOST', `${topic}: ${what}${why}`);
  switch (codeOf(error)) {
    case status.INVALID_ARGUMENT:
      if (REPLAY_REFUSED.test(told)) return lost('the position is not known any more');
      return new HeadwaterError('SOURCE_REJECTED', `${topic}: the request is refused${why}`);
    case status.NOT_FOUND:
      return new HeadwaterError('OBJECT_UNKNOWN', `${topic}: there is no such topic${why}`, {
        remedy: 'Correct `webhooks.changeDataCapture.topics`, or choose the objects in the setup of the org.',
      });
    case status.PERMISSION_DENIED:
      return new HeadwaterError('PERMISSION_DENIED', `${topic}: may not be followed${why}`);
    case status.UNAUTHENTICATED:
      return new HeadwaterError('AUTH_FAILED', `${topic}: the log-in is refused${why}`);
    case status.RESOURCE_EXHAUSTED:
      if (TOO_LARGE.test(detailsOf(error))) return lost('a message is larger than can be read');
      return new HeadwaterError('SOURCE_THROTTLED', `${topic}: too much is asked${why}`);
    default:
      return new HeadwaterError('SOURCE_UNAVAILABLE', `${topic}: the service does not answer${why}`);
  }
}

/** Whether asking for the same again gives the same answer. */
export function isFinal(error: unknown): boolean {
  const code = codeOf(error);
  return code === status.NOT_FOUND || code === status.INVALID_ARGUMENT;
}

function isHeadwaterError(error: unknown): error is HeadwaterError {
  return error instanceof HeadwaterError;
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function detailsOf(error: unknown): string {
  const details =
    typeof error === 'object' && error !== null && 'details' in error ? error.details : undefined;
  return typeof details === 'string' ? details : '';
}

/** The service's own code, in its trailer. */
function errorCodeOf(error: unknown): string {
  const metadata =
    typeof error === 'object' && error !== null && 'metadata' in error ? error.metadata : undefined;
  const told = metadata instanceof Metadata ? metadata.get('error-code')[0] : undefined;
  return typeof told === 'string' && CODE.test(told) ? told : '';
}
