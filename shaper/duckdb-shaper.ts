import { listValue } from '@duckdb/node-api';
import { literal, quote } from '../warehouses/sql.ts';
import { newest } from './newest.ts';
import { ShaperInstance, type ShaperOptions } from './instance.ts';
import { leaveOut, readSetAside } from './leave-out.ts';
import { readShapedRows } from './shaped-rows.ts';
import type { Shaper } from './shaper.ts';
import { removeTemporary, shapePage, shapeSlice } from './slice.ts';

export type { ShaperOptions } from './instance.ts';

const LARGE_SLICE_ROWS = 100_000;

export async function createShaper(options: ShaperOptions): Promise<Shaper> {
  const instance = await ShaperInstance.open(options);
  return {
    shapePage: (request, signal) =>
      instance.work(`shaping ${request.schema.object}`, signal, (connection) =>
        shapePage(connection, request, signal),
      ),
    shape: async (request, signal) => {
      try {
        return await instance.work(`shaping ${request.schema.object}`, signal, (connection) =>
          shapeSlice(connection, request, signal),
        );
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
