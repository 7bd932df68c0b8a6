import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GoogleAuth } from 'google-auth-library';
import { Agent, request as send, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { HeadwaterError } from '../rules/errors.ts';
import {
  BUCKET_OPTIONS,
  CONNECT_MS_MAX,
  IDLE_MS_MAX,
  SOCKETS_MAX,
  type Bucket,
  type BucketObject,
  type BucketOptions,
  type Upload,
} from './bucket.ts';
import { bucketError, codeOf, type BucketErrors } from './errors.ts';
import type { GcsPlace } from './place.ts';

const ENDPOINT = 'https://storage.googleapis.com';
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';
const ALREADY_THERE = 412;
const MISSING = 404;

const objectSchema = z.object({
  name: z.string(),
  size: z.string(),
  updated: z.string().optional(),
  md5Hash: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
const listSchema = z.object({
  items: z.array(objectSchema).default([]),
  nextPageToken: z.string().optional(),
});

/**
 * Google Cloud Storage by its JSON API: five requests, which is less code than its SDK takes to be told not to retry a stream.
 * Without a key the login is that of the machine (workload identity, GOOGLE_APPLICATION_CREDENTIALS).
 */
export function gcsBucket(place: GcsPlace, options: BucketOptions = BUCKET_OPTIONS): Bucket {
  return new GcsBucket(place, options);
}

class GcsBucket implements Bucket {
  readonly place: string;
  readonly parts = null;
  readonly #errors: BucketErrors;
  readonly #endpoint: string;
  readonly #bucket: string;
  readonly #login: GoogleAuth | null;
  readonly #pageObjectsMax: number;
  readonly #agent = new Agent({
    connect: { timeout: CONNECT_MS_MAX },
    headersTimeout: IDLE_MS_MAX,
    bodyTimeout: IDLE_MS_MAX,
    connections: SOCKETS_MAX,
  });

  constructor({ bucket, endpoint, key, anonymous }: GcsPlace, options: BucketOptions) {
    this.#pageObjectsMax = options.pageObjectsMax;
    this.#errors = options.errors;
    this.place = `gs://${bucket}`;
    this.#endpoint = (endpoint ?? ENDPOINT).replace(/\/$/, '');
    this.#bucket = encodeURIComponent(bucket);
    this.#login = anonymous ? null : new GoogleAuth({ scopes: [SCOPE], ...(key && { credentials: key }) });
  }

  async put(key: string, upload: Upload, signal?: AbortSignal): Promise<'created' | 'there'> {
    const md5Hash = await md5Of(upload);
    const boundary = `headwater-${upload.sha256.slice(0, 32)}`;
    const description = JSON.stringify({ name: key, md5Hash, metadata: { sha256: upload.sha256 } });
    const head = Buffer.from(
      `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${description}\r\n` +
        `--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`,
    );
    const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
    const body = upload.open();
    async function* parts(): AsyncIterable<Uint8Array> {
      yield head;
      for await (const chunk of body) if (chunk instanceof Uint8Array) yield chunk;
      yield tail;
    }
    try {
      const answer = await this.#send('writing to', {
        method: 'POST',
        path: `/upload/storage/v1/b/${this.#bucket}/o?uploadType=multipart&ifGenerationMatch=0`,
        headers: {
          'content-type': `multipart/related; boundary=${boundary}`,
          'content-length': String(head.length + upload.bytes + tail.length),
        },
        body: Readable.from(parts()),
        signal,
      });
      if (answer.statusCode === ALREADY_THERE) {
        await answer.body.dump();
        return 'there';
      }
      const stored = await this.#json('writing to', answer, objectSchema);
      if (stored.md5Hash === md5Hash && Number(stored.size) === upload.bytes) return 'created';
    } finally {
      body.destroy();
    }
    // What came is not what was sent: it must not stay under a name that says otherwise.
    await this.remove(key);
    throw this.#error('writing to', undefined, 'the stored object has another sum');
  }

  async head(key: string): Promise<{ bytes: number; sha256: string | null } | null> {
    const answer = await this.#send('looking into', { method: 'GET', path: this.#object(key) });
    if (answer.statusCode === MISSING) return await this.#nothing('looking into', answer);
    const { size, metadata } = await this.#json('looking into', answer, objectSchema);
    return { bytes: Number(size), sha256: metadata?.['sha256'] ?? null };
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array> | null> {
    const answer = await this.#send('reading from', {
      method: 'GET',
      path: `${this.#object(key)}?alt=media`,
    });
    if (answer.statusCode === MISSING) return await this.#nothing('reading from', answer);
    if (answer.statusCode !== 200) throw await this.#refusal('reading from', answer);
    return this.#guarded(answer.body);
  }

  async *#guarded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw this.#error('reading from', undefined, codeOf(error));
    }
  }

  async *list(prefix: string): AsyncIterable<BucketObject> {
    let page: string | undefined;
    do {
      const query = new URLSearchParams({ prefix, maxResults: String(this.#pageObjectsMax) });
      if (page !== undefined) query.set('pageToken', page);
      const path = `/storage/v1/b/${this.#bucket}/o?${query.toString()}`;
      const answer = await this.#send('listing', { method: 'GET', path });
      const { items, nextPageToken } = await this.#json('listing', answer, listSchema);
      for (const { name, size, updated } of items) {
        if (updated !== undefined)
          yield { key: name, bytes: Number(size), at: new Date(updated).toISOString() };
      }
      page = nextPageToken;
    } while (page !== undefined && page !== '');
  }

  async remove(key: string): Promise<void> {
    const answer = await this.#send('removing from', { method: 'DELETE', path: this.#object(key) });
    if (answer.statusCode === MISSING) await this.#nothing('removing from', answer);
    else if (answer.statusCode >= 300) throw await this.#refusal('removing from', answer);
    else await answer.body.dump();
  }

  close(): void {
    void this.#agent.close();
  }

  #error(doing: string, status: number | undefined, code: string): HeadwaterError {
    return bucketError(this.#errors, `${doing} ${this.place}`, status, code);
  }

  #object(key: string): string {
    return `/storage/v1/b/${this.#bucket}/o/${encodeURIComponent(key)}`;
  }

  async #send(
    doing: string,
    {
      method,
      path,
      headers,
      body,
      signal,
    }: {
      method: 'GET' | 'POST' | 'DELETE';
      path: string;
      headers?: Record<string, string>;
      body?: Readable;
      signal?: AbortSignal | undefined;
    },
  ): Promise<Dispatcher.ResponseData> {
    const token = await this.#token(doing);
    try {
      return await send(`${this.#endpoint}${path}`, {
        dispatcher: this.#agent,
        method,
        headers: { ...headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
        ...(body && { body }),
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#error(doing, undefined, codeOf(error));
    }
  }

  async #token(doing: string): Promise<string | null> {
    if (this.#login === null) return null;
    try {
      return (await this.#login.getAccessToken()) ?? null;
    } catch (error) {
      throw this.#error(doing, 401, `no login (${codeOf(error)})`);
    }
  }

  async #json<Schema extends z.ZodType>(
    doing: string,
    answer: Dispatcher.ResponseData,
    schema: Schema,
  ): Promise<z.output<Schema>> {
    if (answer.statusCode !== 200) throw await this.#refusal(doing, answer);
    try {
      return schema.parse(await answer.body.json());
    } catch (error) {
      throw this.#error(doing, undefined, codeOf(error));
    }
  }

  /** 404 for an object, unless the bucket itself is not there: that one answers the listing too. */
  async #nothing(doing: string, answer: Dispatcher.ResponseData): Promise<null> {
    const text = await answer.body.text().catch(() => '');
    if (/bucket does not exist/i.test(text)) throw this.#error(doing, MISSING, 'no such bucket');
    return null;
  }

  async #refusal(doing: string, answer: Dispatcher.ResponseData): Promise<HeadwaterError> {
    await answer.body.dump().catch(() => undefined);
    return this.#error(doing, answer.statusCode, '');
  }
}

/** Cloud Storage compares it before the object is visible, and gives it back. */
async function md5Of(upload: Upload): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of upload.open()) if (chunk instanceof Uint8Array) hash.update(chunk);
  return hash.digest('base64');
}
