import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { literal } from '../sql.ts';
import { PARQUET } from '../staged.ts';
import type { Warehouse } from '../warehouse.ts';
import type { Client } from './client.ts';
import { refusalOf, wordsOf } from './errors.ts';
import { qualifiedName, tableName, text } from './names.ts';
import { GOLDEN } from './own-tables.ts';
import { STAGING } from './staging.ts';
import { OWN, ownTable } from './system-tables.ts';

type Result = Awaited<ReturnType<Warehouse['check']>>[number];

const result = (check: string, ok: boolean, detail: string, remedy: string): Result => ({
  ...{ check, ok, detail },
  ...(ok ? {} : { remedy }),
});

const datasetSchema = z.looseObject({ location: z.string().optional() });
const credentialsSchema = z.looseObject({ client_email: z.string().optional() });

/**
 * Asks for rights by dry runs: BigQuery checks what a statement needs and runs nothing. What a dry run cannot ask, a right on
 * load jobs, is the same right that making and filling a table takes.
 */
export async function checkService(client: Client): Promise<Result[]> {
  const { project, location } = client.config;
  const member = await memberOf(client);
  const grant = (role: string): string =>
    `gcloud projects add-iam-policy-binding ${project} --member=${member} --role=${role}`;
  const asked = async (check: string, sql: string, ok: string, remedy: string): Promise<Result> => {
    try {
      await client.jobs.dryRun({ query: { query: sql, useLegacySql: false } });
      return result(check, true, ok, remedy);
    } catch (error) {
      return result(check, false, wordsOf(error), remedyFor(error, remedy));
    }
  };
  const connected = await asked(
    'bigquery',
    'SELECT 1',
    `${project} in ${location} as ${member}`,
    grant('roles/bigquery.jobUser'),
  );
  if (!connected.ok) return [connected];
  const results = [connected, ...(await bucketCheck(client, member))];
  for (const name of [OWN, STAGING, GOLDEN]) {
    const dataset = client.dataset(name);
    const held = await heldIn(client, dataset);
    if (held === undefined) {
      const make = `CREATE SCHEMA \`${dataset}\` OPTIONS (location = ${text(location)})`;
      results.push(await asked(`dataset ${dataset}`, make, 'may be made', grant('roles/bigquery.user')));
      continue;
    }
    results.push(
      result(
        `location of ${dataset}`,
        held.toLowerCase() === location.toLowerCase(),
        held,
        `Write location: '${held}' in the configuration: all datasets must be in one place.`,
      ),
      await asked(
        `tables of ${dataset}`,
        `CREATE TABLE ${qualifiedName(dataset, 'headwater_check')} (one INT64)`,
        'may be made and filled',
        `GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`${project}\`.\`${dataset}\` TO '${member}';`,
      ),
    );
  }
  if ((await client.table(client.dataset(OWN), 'sink')) !== undefined) {
    const sink = ownTable(client, 'sink');
    results.push(
      await asked(
        'merge',
        `MERGE INTO ${sink} AS t USING (SELECT 'none' AS e) AS s ON t.epoch = s.e WHEN MATCHED THEN UPDATE SET seq = t.seq`,
        'may change rows',
        `GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`${project}\`.\`${client.dataset(OWN)}\` TO '${member}';`,
      ),
      await readsOf(client),
    );
  }
  return results;
}

/** What no dry run asks: a small object is written and removed again. */
async function bucketCheck({ bucket, config, staged }: Client, member: string): Promise<Result[]> {
  if (bucket === undefined) return [];
  const place = bucket.url(config.prefix);
  const path = staged.temporary('parquet');
  try {
    await staged.run(`COPY (SELECT 1 AS one) TO ${literal(path)} (${PARQUET})`);
    await bucket.remove(await bucket.put(`check-${randomUUID()}.parquet`, path));
    return [result('bucket', true, `${place} may be written and cleaned`, '')];
  } catch (error) {
    const grant = `gcloud storage buckets add-iam-policy-binding gs://${config.bucket} --member=${member} --role=roles/storage.objectUser`;
    return [result('bucket', false, `${place}: ${wordsOf(error)}`, grant)];
  } finally {
    await staged.remove(path);
  }
}

/** Tables that are looked at; each is one request. */
const TABLES_MAX = 50;
const GIB = 1024 ** 3;

/** What the next loads are going to cost: BigQuery has no index, so a merge reads its table. */
async function readsOf(client: Client): Promise<Result> {
  const loaded = await client.rows(
    `SELECT \`connection\`, \`table\`, MAX(\`loaded_at\`) AS last_load FROM ${ownTable(client, 'batches')} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ${TABLES_MAX}`,
  );
  const held: { name: string; bytes: number }[] = [];
  for (const row of loaded) {
    const [name, table] = [String(row['connection']), String(row['table'])];
    const found = await client.table(client.dataset(name), tableName(table));
    held.push({ name: `${name}.${table}`, bytes: found?.bytes ?? 0 });
  }
  const [largest] = held.toSorted((a, b) => b.bytes - a.bytes);
  const sum = held.reduce((bytes, one) => bytes + one.bytes, 0);
  const words =
    largest === undefined
      ? 'nothing has been loaded yet'
      : `a load of each of ${held.length} tables reads ${(sum / GIB).toFixed(1)} GiB, of ${largest.name} ${(largest.bytes / GIB).toFixed(1)} GiB`;
  return result('reads', true, words, '');
}

/** No grant mends a service that is away, or a project that is not there. */
function remedyFor(error: unknown, grant: string): string {
  const { status, reason } = refusalOf(error);
  if (status === 401) return 'Give the worker the key of a service account that is still there.';
  if (status === 403 || reason === 'accessDenied') return grant;
  return status === 404
    ? 'Correct warehouse.project in the configuration.'
    : 'Try again when BigQuery answers.';
}

/** Where the dataset is; undefined where it is not there. */
async function heldIn(client: Client, dataset: string): Promise<string | undefined> {
  try {
    const found = await client.rest.call(datasetSchema, { method: 'GET', uri: `/datasets/${dataset}` });
    return found.location ?? client.config.location;
  } catch (error) {
    if (refusalOf(error).status === 404) return undefined;
    throw error;
  }
}

async function memberOf(client: Client): Promise<string> {
  if (client.config.endpoint?.startsWith('http:') === true) return 'nobody';
  try {
    const credentials = credentialsSchema.safeParse(await client.rest.service.authClient.getCredentials());
    const email = credentials.data?.client_email;
    return email === undefined ? 'user:YOU' : `serviceAccount:${email}`;
  } catch {
    return 'serviceAccount:NAME';
  }
}
