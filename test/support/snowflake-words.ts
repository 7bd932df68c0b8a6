/** What the suites of all warehouses ask, in Snowflake's words, and its answers as they expect them. */
import type { QueryAnswer, Warehouse } from '../../warehouses/warehouse.ts';

/** It has no literal of this type. */
export const snowflakeSql = (statement: string): string =>
  statement.replaceAll(/\bTIMESTAMPTZ ('[^']*')/g, '$1::TIMESTAMP_TZ');

/** A column is named by its expression: as it was written, or as the emulator wrote it for itself. */
const NUMBER = / AS BIGINT\)$|::INTEGER$/i;

/** Snowflake has one integer type, so its answers have each of them as text; where a statement casts to INTEGER, it asks for a number. */
export function answeringNumbers(warehouse: Warehouse): Warehouse {
  const asked = ({ columns, rows, truncated }: QueryAnswer): QueryAnswer => ({
    ...{ columns, truncated },
    rows: rows.map((row) =>
      row.map((value, at) => {
        const { name = '' } = columns[at] ?? {};
        return NUMBER.test(name) || name === 'idle' ? Number(value) : value;
      }),
    ),
  });
  return { ...warehouse, query: async (sql, rowsMax) => asked(await warehouse.query(sql, rowsMax)) };
}
