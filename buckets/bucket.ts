import type { Readable } from 'node:stream';
import type { Instant } from '../schemas/instant.ts';
import { STAGE_ERRORS, type BucketErrors } from './errors.ts';

/** What is put into a bucket; `open` gives the same bytes each time, so that a try can be repeated. */
export interface Upload {
  bytes: number;
  /** Of all bytes, hex: the service compares it, or sums of the same bytes, before the object is visible. */
  sha256: string;
  /** All bytes, or those from a position to before another. */
  open(range?: { from: number; until: number }): Readable;
}

export interface BucketObject {
  key: string;
  bytes: number;
  at: Instant;
}

/**
 * The few requests that we make of an object store. One request each, no retries: `buckets/transfers.ts` repeats them, and
 * `buckets/upload.ts` puts files of any size. Errors are HeadwaterErrors: retryable when another try may help, not when name,
 * rights or login are wrong. When a signal aborts, its reason is thrown unchanged.
 */
export interface Bucket {
  /** For people: where it is, without any secret. */
  readonly place: string;
  /** How larger files get there; null: one request takes any size. */
  readonly parts: BucketParts | null;
  /** Create-only: 'there' when the key exists, whatever it holds. */
  put(key: string, upload: Upload, signal?: AbortSignal): Promise<'created' | 'there'>;
  /** Null when there is none. `sha256` null: another program wrote it. */
  head(key: string): Promise<{ bytes: number; sha256: string | null } | null>;
  /** Null when there is none. The body may break off: it is the reader's to count and to compare. */
  get(key: string): Promise<AsyncIterable<Uint8Array> | null>;
  /** All objects whose key begins so, in pages of at most 1,000. */
  list(prefix: string): AsyncIterable<BucketObject>;
  /** One that is gone already is no error. */
  remove(key: string): Promise<void>;
  close(): void;
}

/** An upload in parts that was begun: nothing of it shows before it is finished, and it costs storage until it is dropped. */
export interface PartsOfFile {
  key: string;
  id: string;
}

/** The requests of an upload in parts, of the same kind as those above. */
export interface BucketParts {
  /** Larger files go in parts of `bytesMin`, or more where they would become more than `countMax`. */
  readonly aboveBytes: number;
  readonly bytesMin: number;
  readonly countMax: number;
  begin(key: string, upload: Upload, signal?: AbortSignal): Promise<string>;
  /** `number` counts from 1; the same one again replaces it. Gives the tag by which `finish` names it. */
  send(
    file: PartsOfFile,
    number: number,
    part: { upload: Upload; from: number; until: number },
    signal?: AbortSignal,
  ): Promise<string>;
  /** Create-only, as `put`; parts that were 'there' are still to be dropped. */
  finish(file: PartsOfFile, tags: readonly string[], signal?: AbortSignal): Promise<'created' | 'there'>;
  /** One that is gone already is no error. */
  drop(file: PartsOfFile): Promise<void>;
  /** Begun and neither finished nor dropped, whose key begins so. */
  unfinished(prefix: string): AsyncIterable<PartsOfFile & { at: Instant }>;
}

export interface BucketOptions {
  errors: BucketErrors;
  pageObjectsMax: number;
  /** Tests make parts of small files. */
  parts: { aboveBytes: number; bytesMin: number };
}

/** Longest time without a byte, and for a connection, ms. */
export const IDLE_MS_MAX = 60_000;
export const CONNECT_MS_MAX = 10_000;
/** Sockets of one bucket: transfers and small requests. */
export const SOCKETS_MAX = 16;

const MIB = 1024 ** 2;

export const BUCKET_OPTIONS: BucketOptions = {
  errors: STAGE_ERRORS,
  // Objects of one page of a listing.
  pageObjectsMax: 1_000,
  // A part that fails costs so much again; a file of this size is sent in some seconds.
  parts: { aboveBytes: 64 * MIB, bytesMin: 16 * MIB },
};
