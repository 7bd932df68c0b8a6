import type { Readable } from 'node:stream';
import type { Instant } from '../../schemas/instant.ts';

/** What is put into a bucket; `open` starts at the first byte each time, so that a try can be repeated. */
export interface Upload {
  bytes: number;
  /** Of all bytes, hex: the service compares it, or its own sum of the same bytes, before the object is visible. */
  sha256: string;
  open(): Readable;
}

export interface BucketObject {
  key: string;
  bytes: number;
  at: Instant;
}

/**
 * The few requests that a stage makes of an object store. One request each, no retries. Errors are HeadwaterErrors:
 * STAGE_UNAVAILABLE when another try may help, STAGE_REFUSED when name, rights or login are wrong. When a signal aborts, its reason
 * is thrown unchanged.
 */
export interface Bucket {
  /** For people: where it is, without any secret. */
  readonly place: string;
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
}

/** Longest time without a byte, and for a connection, ms. */
export const IDLE_MS_MAX = 60_000;
export const CONNECT_MS_MAX = 10_000;
/** Objects of one page of a listing. */
export const PAGE_OBJECTS_MAX = 1_000;
/** Sockets of one bucket: transfers and small requests. */
export const SOCKETS_MAX = 16;
