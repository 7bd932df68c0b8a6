import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import {
  BUCKET_OPTIONS,
  type Bucket,
  type BucketObject,
  type BucketOptions,
  type BucketParts,
  type Upload,
} from './bucket.ts';
import { codeOf } from './errors.ts';
import type { S3Place } from './place.ts';
import { ALREADY_THERE, isMissing, NOT_IMPLEMENTED, S3Line, statusOf } from './s3-line.ts';
import { S3Parts } from './s3-parts.ts';

/** S3 and what speaks its protocol. Without keys the SDK's own chain finds the login: role, profile, environment. */
export function s3Bucket(place: S3Place, options: BucketOptions = BUCKET_OPTIONS): Bucket {
  return new S3Bucket(new S3Line(place, options.errors), options);
}

class S3Bucket implements Bucket {
  readonly place: string;
  readonly parts: BucketParts;
  readonly #line: S3Line;
  readonly #pageObjectsMax: number;

  constructor(line: S3Line, options: BucketOptions) {
    this.#line = line;
    this.#pageObjectsMax = options.pageObjectsMax;
    this.place = line.place;
    this.parts = new S3Parts(line, options, async (key) => (await this.head(key)) !== null);
  }

  /** At most 5 GiB (S3, Uploading objects). */
  async put(key: string, upload: Upload, signal?: AbortSignal): Promise<'created' | 'there'> {
    try {
      await this.#put(key, upload, signal, true);
      return 'created';
    } catch (error) {
      signal?.throwIfAborted();
      const status = statusOf(error);
      if (status === ALREADY_THERE) return 'there';
      if (status !== NOT_IMPLEMENTED) throw this.#line.error('writing to', error);
    }
    // A compatible service without conditions: the key names the content, so writing it again changes nothing.
    if ((await this.head(key)) !== null) return 'there';
    try {
      await this.#put(key, upload, signal, false);
      return 'created';
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#line.error('writing to', error);
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
      ...this.#line.at(key),
      Body: body,
      ContentLength: upload.bytes,
      Metadata: { sha256: upload.sha256 },
      ...(createOnly ? { IfNoneMatch: '*' } : {}),
    });
    await this.#line.sending(body, upload.sha256, () =>
      this.#line.client.send(command, { ...(signal && { abortSignal: signal }) }),
    );
  }

  async head(key: string): Promise<{ bytes: number; sha256: string | null } | null> {
    try {
      const command = new HeadObjectCommand(this.#line.at(key));
      const { ContentLength, Metadata } = await this.#line.client.send(command);
      return { bytes: ContentLength ?? 0, sha256: Metadata?.['sha256'] ?? null };
    } catch (error) {
      if (isMissing(error)) return null;
      throw this.#line.error('looking into', error);
    }
  }

  async get(key: string): Promise<AsyncIterable<Uint8Array> | null> {
    let body: unknown;
    try {
      body = (await this.#line.client.send(new GetObjectCommand(this.#line.at(key)))).Body;
    } catch (error) {
      if (isMissing(error)) return null;
      throw this.#line.error('reading from', error);
    }
    if (!(body instanceof Readable)) throw this.#line.broken('reading from', 'no body');
    return this.#guarded(body);
  }

  async *#guarded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw this.#line.broken('reading from', codeOf(error));
    }
  }

  async *list(prefix: string): AsyncIterable<BucketObject> {
    let after: string | undefined;
    do {
      const page = await this.#line.client
        .send(
          new ListObjectsV2Command({
            Bucket: this.#line.bucket,
            Prefix: prefix,
            MaxKeys: this.#pageObjectsMax,
            ...(after === undefined ? {} : { ContinuationToken: after }),
          }),
        )
        .catch((error: unknown) => {
          throw this.#line.error('listing', error);
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
      await this.#line.client.send(new DeleteObjectCommand(this.#line.at(key)));
    } catch (error) {
      throw this.#line.error('removing from', error);
    }
  }

  close(): void {
    this.#line.client.destroy();
  }
}
