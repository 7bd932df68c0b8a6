import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { S3Place } from '../../place.ts';
import {
  CONNECT_MS_MAX,
  IDLE_MS_MAX,
  PAGE_OBJECTS_MAX,
  SOCKETS_MAX,
  type Bucket,
  type BucketObject,
  type Upload,
} from '../bucket.ts';
import { bucketError, codeOf } from './errors.ts';

/** The service's own limit of one PUT (S3, Uploading objects): 5 GiB. */
const PUT_BYTES_MAX = 5 * 1024 ** 3;
const ALREADY_THERE = 412;
const NOT_IMPLEMENTED = 501;
const MISSING = 404;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** S3 and what speaks its protocol. Without keys the SDK's own chain finds the login: role, profile, environment. */
export function s3Bucket(place: S3Place, pageObjectsMax = PAGE_OBJECTS_MAX): Bucket {
  const client = new S3Client({
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
  return new S3Bucket(client, place.bucket, pageObjectsMax);
}

class S3Bucket implements Bucket {
  readonly place: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #pageObjectsMax: number;

  constructor(client: S3Client, bucket: string, pageObjectsMax: number) {
    this.#client = client;
    this.#pageObjectsMax = pageObjectsMax;
    this.#bucket = bucket;
    this.place = `s3://${bucket}`;
  }

  async put(key: string, upload: Upload, signal?: AbortSignal): Promise<'created' | 'there'> {
    if (upload.bytes > PUT_BYTES_MAX) throw bucketError(`writing to ${this.place}`, 413, 'EntityTooLarge');
    try {
      await this.#put(key, upload, signal, true);
      return 'created';
    } catch (error) {
      signal?.throwIfAborted();
      const status = statusOf(error);
      if (status === ALREADY_THERE) return 'there';
      if (status !== NOT_IMPLEMENTED) throw this.#error('writing to', error);
    }
    // A compatible service without conditions: the key names the content, so writing it again changes nothing.
    if ((await this.head(key)) !== null) return 'there';
    try {
      await this.#put(key, upload, signal, false);
      return 'created';
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#error('writing to', error);
    }
  }

  async #put(
    key: string,
    upload: Upload,
    signal: AbortSignal | undefined,
    createOnly: boolean,
  ): Promise<void> {
    const body = upload.open();
    const command = new PutObjectCommand({
      ...this.#at(key),
      Body: body,
      ContentLength: upload.bytes,
      Metadata: { sha256: upload.sha256 },
      ...(createOnly ? { IfNoneMatch: '*' } : {}),
    });
    command.middlewareStack.add(
      (next) => async (handled) => {
        const { request } = handled;
        if (hasHeaders(request)) request.headers['x-amz-content-sha256'] = upload.sha256;
        return await next(handled);
      },
      { step: 'build', name: 'signedBody' },
    );
    try {
      await this.#client.send(command, { ...(signal && { abortSignal: signal }) });
    } finally {
      body.destroy();
    }
  }

  async head(key: string): Promise<{ bytes: number; sha256: string | null } | null> {
    try {
      const { ContentLength, Metadata } = await this.#client.send(new HeadObjectCommand(this.#at(key)));
      return { bytes: ContentLength ?? 0, sha256: Metadata?.['sha256'] ?? null };
    } catch (error) {
      if (statusOf(error) === MISSING && codeOf(error) !== 'NoSuchBucket') return null;
      throw this.#error('looking into', error);
    }
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array> | null> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#at(key)));
      if (!(Body instanceof Readable)) throw bucketError(`reading from ${this.place}`, undefined, 'no body');
      return this.#guarded(Body);
    } catch (error) {
      if (statusOf(error) === MISSING && codeOf(error) !== 'NoSuchBucket') return null;
      throw this.#error('reading from', error);
    }
  }

  async *#guarded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw bucketError(`reading from ${this.place}`, undefined, codeOf(error));
    }
  }

  async *list(prefix: string): AsyncIterable<BucketObject> {
    let after: string | undefined;
    do {
      const page = await this.#client
        .send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            MaxKeys: this.#pageObjectsMax,
            ...(after === undefined ? {} : { ContinuationToken: after }),
          }),
        )
        .catch((error: unknown) => {
          throw this.#error('listing', error);
        });
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined || LastModified === undefined) continue;
        yield { key: Key, bytes: Size ?? 0, at: LastModified.toISOString() };
      }
      after = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (after !== undefined);
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#at(key)));
    } catch (error) {
      throw this.#error('removing from', error);
    }
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: key };
  }

  #error(doing: string, error: unknown): unknown {
    const status = statusOf(error);
    const code = codeOf(error);
    // The login is looked up before any request: no try of ours mends it.
    const login = status === undefined && /credential|token/i.test(code) ? 401 : status;
    return bucketError(`${doing} ${this.place}`, login, code);
  }
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}
