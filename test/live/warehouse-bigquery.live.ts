/**
 * The suite of warehouses on the real BigQuery: BIGQUERY_PROJECT, and if need be BIGQUERY_LOCATION (US) and BIGQUERY_KEY_FILE (else the
 * credentials of the machine). Datasets begin with hwlive_ and are removed at the end. It was never run: nobody had an account.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { z } from 'zod';
import { bigquery } from '../../warehouses/bigquery/index.ts';
import { openRest } from '../../warehouses/bigquery/rest.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { warehouseLaws } from '../contract/warehouse-laws-suite.ts';
import { warehouseSuite } from '../contract/warehouse-suite.ts';
import { bigquerySql } from '../support/bqemulator.ts';

const { BIGQUERY_PROJECT: project, BIGQUERY_LOCATION: location, BIGQUERY_KEY_FILE: keyFile } = process.env;
if (project === undefined) throw new Error('set BIGQUERY_PROJECT to the id of a project');
const run = `hwlive_${randomBytes(4).toString('hex')}_`;
const account = {
  ...{ kind: 'bigquery', project },
  ...(location === undefined ? {} : { location }),
  ...(keyFile === undefined ? {} : { key: readFileSync(keyFile, 'utf8') }),
};
let opened = 0;

/** The suites name datasets as they are without a prefix. */
async function open(folder: string): Promise<Warehouse> {
  const datasetPrefix = `${run}${opened++}_`;
  const warehouse = await bigquery.connect(bigquery.config.parse({ ...account, datasetPrefix }), {
    ...{ now: Date.now, log: () => undefined, tempDirectory: join(folder, 'spill') },
    ...{ memoryMbMax: 400, threads: 2 },
  });
  const prefixed = (sql: string): string =>
    sql.replaceAll(/\b(crm|law|golden)\./g, (_, name: string) => `${datasetPrefix}${name}.`);
  return {
    ...warehouse,
    query: (sql, rowsMax) => warehouse.query(prefixed(sql), rowsMax),
    export: (sql, path) => warehouse.export(prefixed(sql), path),
  };
}

const fixture = { open, sql: bigquerySql, normalJson: true as const };

const listSchema = z.looseObject({
  datasets: z.array(z.looseObject({ datasetReference: z.looseObject({ datasetId: z.string() }) })).optional(),
});

afterAll(async () => {
  const rest = await openRest(bigquery.config.parse(account));
  const uri = '/datasets';
  const { datasets = [] } = await rest.call(listSchema, {
    method: 'GET',
    uri,
    query: { all: true, maxResults: 1_000 },
  });
  for (const { datasetReference } of datasets) {
    const { datasetId } = datasetReference;
    if (datasetId.startsWith(run))
      await rest.call(z.unknown(), {
        method: 'DELETE',
        uri: `${uri}/${datasetId}`,
        query: { deleteContents: true },
      });
  }
});

warehouseSuite('bigquery', fixture);
warehouseLaws('bigquery', fixture, { runs: 1 });
