import type { Instant } from '../../schemas/instant.ts';

export interface StagedFile {
  key: string;
  bytes: number;
  /** sha256 of the bytes, hex. */
  sha256: string;
  /** NUL bytes taken out while writing (only where `stripNul` was asked). */
  nulBytes: number;
}

/**
 * Files between the steps. Keys are `<window>/<slice>/<name>`, written once: a key never changes its content (create-only),
 * and is visible only when it is whole and durable. Nothing else than this interface knows where they lie.
 */
export interface Stage {
  /** The id of this stage's root, made at first use; the ledger knows it (STAGE_FOREIGN otherwise). */
  id(): Promise<string>;
  /**
   * Streams to a new file. `prefix` is `<window>/<slice>` or `<window>/<slice>/<name>`; the name gets the content's hash, so that a
   * retry that reads other bytes gets another key. STAGE_FULL, an abort or an error of the body leave no file behind.
   * Chunks are not copied: the body must not reuse them.
   */
  write(
    prefix: string,
    extension: string,
    body: AsyncIterable<Uint8Array>,
    options: { stripNul?: boolean; signal?: AbortSignal },
  ): Promise<StagedFile>;
  /** A local path to let another program write to; `adopt` makes it a staged file, in the same process; the rest is swept. */
  reserve(prefix: string, extension: string): Promise<string>;
  adopt(path: string): Promise<StagedFile>;
  /** A local path that can be read; STAGE_MISSING when the file is gone. */
  path(key: string): Promise<string>;
  exists(key: string): Promise<boolean>;
  /** Removes every file of a slice, whose prefix is `<window>/<slice>`, but these; a file that is gone already is no error. */
  keepOnly(prefix: string, keys: readonly string[]): Promise<void>;
  /** Removes all files of a window. */
  remove(window: string): Promise<void>;
  /** STAGE_FULL when less than `freeBytesMin` is free. */
  assertRoom(freeBytesMin: number): Promise<void>;
  /** Windows with their bytes and newest write, oldest first: what the retention decides on. */
  usage(): Promise<{ window: string; bytes: number; newest: Instant }[]>;
}
