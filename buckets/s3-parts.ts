import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Instant } from '../schemas/instant.ts';
import type { BucketOptions, BucketParts, PartsOfFile, Upload } from './bucket.ts';
import { ALREADY_THERE, isMissing, NOT_IMPLEMENTED, type S3Line, statusOf } from './s3-line.ts';
import { sumOf } from './upload.ts';

/** The service's own limit (S3, Multipart upload limits). */
const COUNT_MAX = 10_000;

/** Multipart uploads. Nothing of one shows before it is completed, which is create-only as a PUT is. */
export class S3Parts implements BucketParts {
  readonly aboveBytes: number;
  readonly bytesMin: number;
  readonly countMax = COUNT_MAX;
  readonly #line: S3Line;
  readonly #pageObjectsMax: number;
  readonly #isThere: (key: string) => Promise<boolean>;

  constructor(
    line: S3Line,
    { parts, pageObjectsMax }: BucketOptions,
    isThere: (key: string) => Promise<boolean>,
  ) {
    this.#line = line;
    this.aboveBytes = parts.aboveBytes;
    this.bytesMin = parts.bytesMin;
    this.#pageObjectsMax = pageObjectsMax;
    this.#isThere = isThere;
  }

  async begin(key: string, { sha256 }: Upload, signal?: AbortSignal): Promise<string> {
    const command = new CreateMultipartUploadCommand({ ...this.#line.at(key), Metadata: { sha256 } });
    try {
      const { UploadId } = await this.#line.client.send(command, { ...(signal && { abortSignal: signal }) });
      if (UploadId !== undefined) return UploadId;
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#line.error('writing to', error);
    }
    throw this.#line.broken('writing to', 'no id of an upload');
  }

  async send(
    { key, id }: PartsOfFile,
    number: number,
    { upload, from, until }: { upload: Upload; from: number; until: number },
    signal?: AbortSignal,
  ): Promise<string> {
    const sha256 = await sumOf(upload.open({ from, until }));
    signal?.throwIfAborted();
    const body = upload.open({ from, until });
    const command = new UploadPartCommand({
      ...this.#line.at(key),
      ...{ UploadId: id, PartNumber: number, Body: body, ContentLength: until - from },
    });
    try {
      const { ETag } = await this.#line.sending(body, sha256, () =>
        this.#line.client.send(command, { ...(signal && { abortSignal: signal }) }),
      );
      if (ETag !== undefined) return ETag;
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#line.error('writing to', error);
    }
    throw this.#line.broken('writing to', 'no tag of a part');
  }

  async finish(
    file: PartsOfFile,
    tags: readonly string[],
    signal?: AbortSignal,
  ): Promise<'created' | 'there'> {
    try {
      return await this.#finish(file, tags, signal, true);
    } catch (error) {
      signal?.throwIfAborted();
      // An answer that was lost: the upload is gone because it was completed.
      if (isMissing(error) && (await this.#isThere(file.key))) return 'there';
      if (statusOf(error) !== NOT_IMPLEMENTED) throw this.#line.error('writing to', error);
    }
    // A compatible service without conditions: the key names the content, so writing it again changes nothing.
    if (await this.#isThere(file.key)) return 'there';
    try {
      return await this.#finish(file, tags, signal, false);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#line.error('writing to', error);
    }
  }

  async #finish(
    { key, id }: PartsOfFile,
    tags: readonly string[],
    signal: AbortSignal | undefined,
    createOnly: boolean,
  ): Promise<'created' | 'there'> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#line.at(key),
      UploadId: id,
      MultipartUpload: { Parts: tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
      ...(createOnly ? { IfNoneMatch: '*' } : {}),
    });
    try {
      await this.#line.client.send(command, { ...(signal && { abortSignal: signal }) });
      return 'created';
    } catch (error) {
      if (statusOf(error) === ALREADY_THERE) return 'there';
      throw error;
    }
  }

  async drop({ key, id }: PartsOfFile): Promise<void> {
    try {
      await this.#line.client.send(new AbortMultipartUploadCommand({ ...this.#line.at(key), UploadId: id }));
    } catch (error) {
      if (!isMissing(error)) throw this.#line.error('removing from', error);
    }
  }

  async *unfinished(prefix: string): AsyncIterable<PartsOfFile & { at: Instant }> {
    let after: { KeyMarker: string; UploadIdMarker: string } | undefined;
    do {
      const page = await this.#line.client
        .send(
          new ListMultipartUploadsCommand({
            Bucket: this.#line.bucket,
            ...{ Prefix: prefix, MaxUploads: this.#pageObjectsMax, ...after },
          }),
        )
        .catch((error: unknown) => {
          throw this.#line.error('listing', error);
        });
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || Initiated === undefined) continue;
        yield { key: Key, id: UploadId, at: Initiated.toISOString() };
      }
      const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
      const more = page.IsTruncated === true && KeyMarker !== undefined && UploadIdMarker !== undefined;
      after = more ? { KeyMarker, UploadIdMarker } : undefined;
    } while (after !== undefined);
  }
}
