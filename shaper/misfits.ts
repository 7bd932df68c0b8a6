import type { DuckDBConnection } from '@duckdb/node-api';
import { DECIMAL_DIGITS_MAX, type Misfit } from '../rules/widening.ts';

/** Of the table `bad`: fields whose decimals have more digits than described, with the digits that they need. */
export async function findMisfits(connection: DuckDBConnection): Promise<Misfit[]> {
  const plain = String.raw`regexp_full_match(value,'[+-]?\d+(\.\d+)?')`;
  const found = await connection.runAndReadAll(
    `SELECT field,max(strlen(ltrim(split_part(value,'.',1),'+-0'))),max(strlen(rtrim(split_part(value,'.',2),'0'))) ` +
      `FROM bad WHERE reason LIKE '%decimal(%' AND ${plain} GROUP BY field`,
  );
  return found
    .getRows()
    .map(([field, digits, scale]) => ({
      field: String(field),
      integerDigits: Math.max(1, Number(digits)),
      scale: Number(scale),
    }))
    .filter(({ integerDigits, scale }) => integerDigits + scale <= DECIMAL_DIGITS_MAX);
}
