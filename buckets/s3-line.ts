import type { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import type { HeadwaterError } from '../rules/errors.ts';
import { CONNECT_MS_MAX, IDLE_MS_MAX, SOCKETS_MAX } from './bucket.ts';
import { bucketError, codeOf, type BucketErrors } from './errors.ts';
import type { S3Place } from './place.ts';

export const ALREADY_THERE = 412;
export const NOT_IMPLEMENTED = 501;
const MISSING = 404;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** One client of one bucket: how bodies are signed on it, and how its answers are told. */
export class S3Line {
  readonly client: S3Client;
  readonly place: string;
  readonly bucket: string;
  readonly #errors: BucketErrors;
  readonly #sums = new WeakMap<object, string>();

  constructor(place: S3Place, errors: BucketErrors) {
    this.bucket = place.bucket;
    this.#errors = errors;
    this.place = `s3://${place.bucket}`;
    this.client = clientOf(place);
    this.client.middlewareStack.add(
      (next) => async (handled) => {
        const { request, input } = handled;
        const body = 'Body' in input && typeof input.Body === 'object' ? input.Body : null;
        const sha256 = body === null ? undefined : this.#sums.get(body);
        if (sha256 !== undefined && hasHeaders(request)) request.headers['x-amz-content-sha256'] = sha256;
        return await next(handled);
      },
      { step: 'build', name: 'signedBody' },
    );
  }

  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: key };
  }

  /** The service compares the SHA-256 (hex) that is signed with that of what came. The body is closed after the work. */
  async sending<T>(body: Readable, sha256: string, work: () => Promise<T>): Promise<T> {
    this.#sums.set(body, sha256);
    try {
      return await work();
    } finally {
      body.destroy();
    }
  }

  error(doing: string, error: unknown): HeadwaterError {
    const status = statusOf(error);
    const code = codeOf(error);
    // The login is looked up before any request: no try of ours mends it.
    const login = status === undefined && /credential|token/i.test(code) ? 401 : status;
    return bucketError(this.#errors, `${doing} ${this.place}`, login, code);
  }

  /** No whole answer came. */
  broken(doing: string, code: string): HeadwaterError {
    return bucketError(this.#errors, `${doing} ${this.place}`, undefined, code);
  }
}

function clientOf(place: S3Place): S3Client {
  return new S3Client({
    region: place.region,
    ...(place.endpoint === undefined ? {} : { endpoint: place.endpoint }),
    forcePathStyle: place.forcePathStyle,
    ...(place.login === undefined ? {} : { credentials: place.login }),
    // A stream cannot be sent twice, so tries are made above, each with a stream of its own.
    maxAttempts: 1,
    // It would warn of each of them on the console.
    logger: SILENT,
    // Sums that some compatible services do not know: the SHA-256 of the body is signed instead, which all of them compare.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      socketTimeout: IDLE_MS_MAX,
      httpAgent: { maxSockets: SOCKETS_MAX },
      httpsAgent: { maxSockets: SOCKETS_MAX },
    },
  });
}

export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** The object, or the upload, is not there; that the bucket is not there is another thing. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === MISSING && codeOf(error) !== 'NoSuchBucket';
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}
