import { describe, expect, test } from '@jest/globals';
import { code, row } from './warehouse-harness.ts';
import type { Harness } from './warehouse-harness.ts';

export function queryTests(h: Harness): void {
  describe('query', () => {
    test.each([
      ...[
        'DELETE FROM crm.contact',
        'DROP TABLE crm.contact',
        'SELECT 1; DELETE FROM crm.contact',
        "ATTACH 'x.db'",
        'SET threads=1',
      ],
      ...[
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        'SELECT * FROM "x.csv"',
        "COPY (SELECT 1) TO '/tmp/x.csv'",
      ],
      ...[
        "SELECT (SELECT content FROM read_text('/etc/hostname'))",
        "SELECT * FROM glob('/*')",
        "SELECT getenv('HOME')",
        'CALL pragma_version()',
      ],
      ...[
        "WITH a AS (SELECT * FROM read_blob('/etc/hostname')) SELECT * FROM a",
        "SELECT * FROM query('SELECT 1')",
        "SUMMARIZE '/etc/hostname'",
      ],
      ...['WITH csv AS (SELECT 1) SELECT * FROM x.csv', 'not sql', ''],
    ])('refuses %s', async (sql) => {
      expect(await code(h.warehouse.query(sql, 10))).toBe('INPUT_INVALID');
    });

    test('bounds the rows and says so', async () => {
      await h.load({ csv: Array.from({ length: 30 }, (_, at) => row(String(at), 1, 'x')) });
      const answer = await h.warehouse.query('SELECT id FROM crm.contact ORDER BY id', 10);
      expect(answer.rows).toHaveLength(10);
      expect(answer.truncated).toBe(true);
      expect(
        (await h.warehouse.query('WITH n AS (SELECT count(*) AS c FROM crm.contact) SELECT c FROM n', 10))
          .rows,
      ).toEqual([['30']]);
    });

    test('exports to a file by its ending', async () => {
      await h.load({ csv: [row('1', 1, 'a')] });
      for (const ending of ['parquet', 'csv', 'json']) {
        expect(
          await h.warehouse.export(
            'SELECT id, name FROM crm.contact -- all',
            `${h.bench.folder}/out.${ending}`,
          ),
        ).toBe(1);
      }
      expect(await code(h.warehouse.export('SELECT 1', `${h.bench.folder}/out.exe`))).toBe('INPUT_INVALID');
    });
  });
}
