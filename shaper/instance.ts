import { mkdir } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { HeadwaterError } from '../rules/errors.ts';
import { firstLine } from '../warehouses/sql.ts';

export interface ShaperOptions {
  tempDirectory: string;
  memoryMbMax: number;
  threads: number;
}

/** Of the memory limit: what may stay allocated after a large slice. */
const IDLE_MEMORY_SHARE = 0.25;

/** The embedded DuckDB in memory: connections are counted, so that memory is given back only when none works. */
export class ShaperInstance {
  readonly #instance: DuckDBInstance;
  readonly #memoryMbMax: number;
  readonly #threads: number;
  #active = 0;
  #givingBack: Promise<void> = Promise.resolve();

  private constructor(instance: DuckDBInstance, { memoryMbMax, threads }: ShaperOptions) {
    this.#instance = instance;
    this.#memoryMbMax = memoryMbMax;
    this.#threads = threads;
  }

  static async open(options: ShaperOptions): Promise<ShaperInstance> {
    await mkdir(options.tempDirectory, { recursive: true });
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${options.memoryMbMax}MB`,
      threads: String(options.threads),
      temp_directory: options.tempDirectory,
      // Row order carries no meaning, and keeping it would halve the speed and hold whole row groups back.
      preserve_insertion_order: 'false',
      // What a slice has used goes back to the system with it, instead of waiting in the allocator beside the warehouse's.
      allocator_bulk_deallocation_flush_threshold: '8MB',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    return new ShaperInstance(instance, options);
  }

  async connect(): Promise<DuckDBConnection> {
    await this.#givingBack;
    this.#active += 1;
    return this.#instance.connect();
  }

  disconnect(connection: DuckDBConnection): void {
    this.#active -= 1;
    connection.closeSync();
  }

  /** Runs a task on a connection of its own; an abort interrupts its statement. Errors name `what`, never a record. */
  async work<T>(
    what: string,
    signal: AbortSignal | undefined,
    task: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> {
    const connection = await this.connect();
    const interrupt = (): void => connection.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      signal?.throwIfAborted();
      return await task(connection);
    } catch (error) {
      // An interrupted statement must not look like bad content.
      signal?.throwIfAborted();
      // The first line only: what follows quotes the record, which may hold personal values (I5).
      throw error instanceof HeadwaterError
        ? error
        : new HeadwaterError('INTERNAL', `${what}: ${firstLine(error)}`, { cause: error });
    } finally {
      signal?.removeEventListener('abort', interrupt);
      this.disconnect(connection);
    }
  }

  /** Each thread holds values of its own: with one, a record may be larger. Other work on this instance goes on, slower. */
  async withOneThread<T>(task: () => Promise<T>): Promise<T> {
    await this.#set(`threads=1`);
    try {
      return await task();
    } finally {
      await this.#set(`threads=${this.#threads}`);
    }
  }

  async #set(setting: string): Promise<void> {
    const connection = await this.#instance.connect();
    try {
      await connection.run(`SET ${setting}`);
    } finally {
      connection.closeSync();
    }
  }

  /** After a large slice, while nothing else works: what it used goes back to the system. */
  async giveBack(): Promise<void> {
    if (this.#active > 0) return;
    this.#givingBack = this.#lowerLimit();
    await this.#givingBack;
  }

  /** A lower limit for a moment makes DuckDB let go of what is not in use; refused where too much is. */
  async #lowerLimit(): Promise<void> {
    const connection = await this.#instance.connect();
    try {
      const idleMb = Math.round(this.#memoryMbMax * IDLE_MEMORY_SHARE);
      await connection.run(`SET memory_limit='${idleMb}MB'`);
    } catch {
      // The limit stays as it was.
    } finally {
      await connection.run(`SET memory_limit='${this.#memoryMbMax}MB'`);
      connection.closeSync();
    }
  }

  close(): void {
    this.#instance.closeSync();
  }
}
