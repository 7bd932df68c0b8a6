import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { HeadwaterError } from '../../rules/errors.ts';
import type { RedshiftConfig } from './config.ts';

const CONNECT_MS_MAX = 10_000;
const IDLE_MS_MAX = 60_000;
const TRIES_MAX = 3;
const RETRY_MS = 500;
/** Of a load whose process was killed; a load takes far less than a day. */
const LEFT_OVER_MS = 86_400_000;
const PAGES_MAX = 100;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The folder of a bucket through which rows go on their way. Nobody else writes there. */
export interface Bucket {
  /** As COPY names it. */
  url(key: string): string;
  /** Sends a local file; a name that is there already is written over. `name`: below the prefix. */
  put(name: string, path: string, signal?: AbortSignal): Promise<string>;
  /** An object that is gone already is no error. */
  remove(key: string): Promise<void>;
  /** Objects of killed processes. */
  removeLeftOver(nowMs: number): Promise<number>;
  close(): void;
}

function clientOf(config: RedshiftConfig): S3Client {
  const { region, endpoint, accessKeyId, secretAccessKey, sessionToken } = config;
  const token = sessionToken === undefined ? {} : { sessionToken };
  const login = accessKeyId !== undefined && secretAccessKey !== undefined;
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(login ? { credentials: { accessKeyId, secretAccessKey, ...token } } : {}),
    // A stream cannot be sent twice, so tries are made here, each with a stream of its own.
    maxAttempts: 1,
    logger: SILENT,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS_MAX, socketTimeout: IDLE_MS_MAX },
  });
}

export function openBucket(config: RedshiftConfig): Bucket {
  const { bucket, prefix } = config;
  const client = clientOf(config);
  const told = async <T>(doing: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw bucketError(`${doing} s3://${bucket}/${prefix}`, error);
    }
  };
  const remove: Bucket['remove'] = async (key) => {
    await told('removing from', () => client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })));
  };
  return {
    url: (key) => `s3://${bucket}/${key}`,
    put: async (name, path, signal) => {
      const key = `${prefix}${name}`;
      const [{ size }, sha256] = await Promise.all([stat(path), sumOf(path)]);
      const sent = { bucket, key, path, size, sha256 };
      for (let tries = 1; ; tries += 1) {
        try {
          await told('writing to', () => send(client, sent, signal), signal);
          return key;
        } catch (error) {
          const passing = error instanceof HeadwaterError && error.code === 'WAREHOUSE_UNAVAILABLE';
          if (!passing || tries >= TRIES_MAX) throw error;
        }
        const options = signal === undefined ? {} : { signal };
        await sleep(RETRY_MS * tries, undefined, options).catch(() => signal?.throwIfAborted());
      }
    },
    remove,
    removeLeftOver: async (nowMs) => {
      const old = await told('listing', () => leftOver(client, { bucket, prefix }, nowMs));
      for (const key of old) await remove(key);
      return old.length;
    },
    close: () => client.destroy(),
  };
}

async function leftOver(
  client: S3Client,
  { bucket, prefix }: Pick<RedshiftConfig, 'bucket' | 'prefix'>,
  nowMs: number,
): Promise<string[]> {
  const old: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const next = after === undefined ? {} : { ContinuationToken: after };
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...next }));
    for (const { Key, LastModified } of page.Contents ?? []) {
      if (Key !== undefined && LastModified !== undefined && nowMs - LastModified.getTime() > LEFT_OVER_MS)
        old.push(Key);
    }
    after = page.NextContinuationToken;
    if (after === undefined) break;
  }
  return old;
}

interface Sent {
  bucket: string;
  key: string;
  path: string;
  size: number;
  sha256: string;
}

/** The service compares the sum of what it got with the one that is signed. */
async function send(
  client: S3Client,
  { bucket, key, path, size, sha256 }: Sent,
  signal?: AbortSignal,
): Promise<void> {
  const body = createReadStream(path);
  const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentLength: size });
  command.middlewareStack.add(
    (next) => async (handled) => {
      const { request } = handled;
      if (hasHeaders(request)) request.headers['x-amz-content-sha256'] = sha256;
      return await next(handled);
    },
    { step: 'build', name: 'signedBody' },
  );
  try {
    await client.send(command, { ...(signal && { abortSignal: signal }) });
  } finally {
    body.destroy();
  }
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) if (Buffer.isBuffer(chunk)) hash.update(chunk);
  return hash.digest('hex');
}

/** Answers with these, and anything without an answer, pass. */
const isPassing = (status: number | undefined): boolean =>
  status === undefined || status === 429 || status === 408 || status >= 500;

/** I5: a status and a code, never what was sent. */
function bucketError(doing: string, error: unknown): HeadwaterError {
  const code = nameOf(error);
  // The login is looked up before any request: no try of ours mends it.
  const status = statusOf(error) ?? (/credential|token/i.test(code) ? 401 : undefined);
  const message = `${doing}: ${[status, code].filter((part) => part !== undefined && part !== '').join(' ')}`;
  if (isPassing(status)) return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  return new HeadwaterError('WAREHOUSE_REJECTED', message, {
    remedy: '`npx headwater check` prints the policy that the worker needs; see docs/warehouses/redshift.md.',
    cause: error,
  });
}

function nameOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const found =
    'code' in error && typeof error.code === 'string' ? error.code : 'name' in error ? error.name : '';
  return typeof found === 'string' ? found.slice(0, 60) : '';
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
