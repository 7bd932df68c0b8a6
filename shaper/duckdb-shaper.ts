import { listValue } from '@duckdb/node-api';
import { HeadwaterError } from '../rules/errors.ts';
import { firstLine, isOutOfMemory, literal, quote } from '../warehouses/sql.ts';
import { newest } from './newest.ts';
import { ShaperInstance, type ShaperOptions } from './instance.ts';
import { leaveOut, readSetAside } from './leave-out.ts';
import { readShapedRows } from './shaped-rows.ts';
import type { ShapeRequest, ShapeResult, Shaper } from './shaper.ts';
import { removeTemporary, shapePage, shapeSlice } from './slice.ts';

export type { ShaperOptions } from './instance.ts';

const LARGE_SLICE_ROWS = 100_000;

const MIB = 1024 ** 2;
/**
 * How a slice is read: an ordinary one by the first, which holds some lines of such a length per thread. Where the memory is too
 * small for what a slice has, the next, so that only records which cannot be held are set aside, never the window for ever (I2).
 */
const READINGS: { oneThread: boolean; lineBytesMax: number }[] = [
  { oneThread: false, lineBytesMax: 40 * MIB },
  { oneThread: true, lineBytesMax: 40 * MIB },
  { oneThread: true, lineBytesMax: 20 * MIB },
  { oneThread: true, lineBytesMax: 2 * MIB },
];

export async function createShaper(options: ShaperOptions): Promise<Shaper> {
  const instance = await ShaperInstance.open(options);
  return {
    shapePage: (request, signal) =>
      instance.work(`shaping ${request.schema.object}`, signal, (connection) =>
        shapePage({ connection, signal }, request),
      ),
    shape: async (request, signal) => {
      try {
        return await shapeAll(instance, request, signal);
      } finally {
        const rows = request.pages.reduce((sum, page) => sum + page.rowsSent, 0);
        if (rows >= LARGE_SLICE_ROWS) await instance.giveBack();
        await removeTemporary(request);
      }
    },
    rows: async function* (request) {
      const connection = await instance.connect();
      try {
        yield* readShapedRows(connection, request);
      } finally {
        instance.disconnect(connection);
      }
    },
    leaveOut: (request) =>
      instance.work('leaving out erased subjects', undefined, (connection) => leaveOut(connection, request)),
    newest: (request) =>
      instance.work('joining batches', undefined, (connection) => newest(connection, request)),
    setAside: async function* (file) {
      const connection = await instance.connect();
      try {
        yield* readSetAside(connection, file);
      } finally {
        instance.disconnect(connection);
      }
    },
    absentKeys: async ({ files, column, ids, from, until }) => {
      if (files.length === 0 || ids.length === 0) return [...new Set(ids)];
      return instance.work('comparing keys', undefined, async (connection) => {
        const absent = await connection.runAndReadAll(
          `SELECT id FROM (SELECT DISTINCT unnest($1::VARCHAR[]) AS id) ANTI JOIN ` +
            `(SELECT CAST(${quote(column)} AS VARCHAR) AS id FROM read_parquet([${files.map(literal).join(',')}],union_by_name=true) ` +
            `WHERE _version>=TIMESTAMPTZ ${literal(from)} AND _version<TIMESTAMPTZ ${literal(until)}) USING (id)`,
          [listValue(ids)],
        );
        return absent.getRows().map((row) => String(row[0]));
      });
    },
    close: async () => instance.close(),
  };
}

async function shapeAll(
  instance: ShaperInstance,
  request: ShapeRequest,
  signal: AbortSignal,
): Promise<ShapeResult> {
  const what = `shaping ${request.schema.object}`;
  let failed: unknown;
  for (const { oneThread, lineBytesMax } of READINGS) {
    const shape = () =>
      instance.work(what, signal, (connection) => shapeSlice({ connection, signal }, request, lineBytesMax));
    try {
      return await (oneThread ? instance.withOneThread(shape) : shape());
    } catch (error) {
      if (!(error instanceof HeadwaterError) || !isOutOfMemory(error.cause)) throw error;
      failed = error.cause;
    }
  }
  throw new HeadwaterError('INTERNAL', `${what}: ${firstLine(failed)}`, {
    remedy: 'The records of one page do not fit into the memory: raise worker.memoryMb.',
    cause: failed,
  });
}
