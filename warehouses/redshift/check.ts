import { HeadwaterError } from '../../rules/errors.ts';
import { quote } from '../sql.ts';
import type { Warehouse } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import type { RedshiftConfig } from './config.ts';
import { isRefusedBucket, wordsOf } from './errors.ts';
import { schemaName } from './names.ts';
import { SCHEMA } from './own-tables.ts';
import { fill, withUploads } from './staging.ts';
import type { Upload } from './staging.ts';
import { TEXT } from './types.ts';

type Result = Awaited<ReturnType<Warehouse['check']>>[number];

const result = (check: string, ok: boolean, detail: string, remedy: string): Result => ({
  ...{ check, ok, detail },
  ...(ok ? {} : { remedy }),
});

const PROOF = '_headwater_proof';

/** Of the worker: what it does in the bucket, and with the Data API. */
export const workerPolicy = ({
  bucket,
  prefix,
  dataApi,
}: Pick<RedshiftConfig, 'bucket' | 'prefix' | 'dataApi'>): string =>
  policy([
    {
      actions: ['s3:PutObject', 's3:GetObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      resource: `arn:aws:s3:::${bucket}/${prefix}*`,
    },
    { actions: ['s3:ListBucket', 's3:ListBucketMultipartUploads'], resource: `arn:aws:s3:::${bucket}` },
    ...(dataApi === undefined ? [] : dataApiRights(dataApi)),
  ]);

/** "Authorizing access to the Amazon Redshift Data API": requests, and the login that the service makes of them. */
function dataApiRights({
  workgroup,
  dbUser,
  secretArn,
}: NonNullable<RedshiftConfig['dataApi']>): { actions: string[]; resource: string }[] {
  const temporary =
    workgroup !== undefined
      ? 'redshift-serverless:GetCredentials'
      : `redshift:GetClusterCredentials${dbUser === undefined ? 'WithIAM' : ''}`;
  return [
    {
      actions: ['ExecuteStatement', 'BatchExecuteStatement', 'DescribeStatement', 'GetStatementResult']
        .concat('CancelStatement')
        .map((operation) => `redshift-data:${operation}`),
      resource: '*',
    },
    secretArn === undefined
      ? { actions: [temporary], resource: '*' }
      : { actions: ['secretsmanager:GetSecretValue'], resource: secretArn },
  ];
}

/** Of the role by which COPY reads. */
export const rolePolicy = ({ bucket, prefix }: Pick<RedshiftConfig, 'bucket' | 'prefix'>): string =>
  policy([
    { actions: ['s3:GetObject'], resource: `arn:aws:s3:::${bucket}/${prefix}*` },
    { actions: ['s3:ListBucket', 's3:GetBucketLocation'], resource: `arn:aws:s3:::${bucket}` },
  ]);

const policy = (statements: readonly { actions: string[]; resource: string }[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map(({ actions, resource }) => ({
      Effect: 'Allow',
      Action: actions,
      Resource: resource,
    })),
  });

/** Asks for rights by their names and proves the way of rows through the bucket; what it makes is gone afterwards. */
export async function checkServer(client: Client, config: RedshiftConfig): Promise<Result[]> {
  const asked = await client.read('checking the warehouse', askRights).catch((error: unknown) => {
    if (config.dataApi === undefined) throw error;
    if (!(error instanceof HeadwaterError) || error.code !== 'WAREHOUSE_REJECTED') throw error;
    const remedy = `Name the right database and region, and give the worker this policy: ${workerPolicy(config)}`;
    return [result('data api', false, error.message, remedy)];
  });
  if (asked.length === 1) return asked;
  return [...asked, ...(await proveWay(client, config, asked))];
}

async function askRights(session: Session): Promise<Result[]> {
  const [server = {}] = await session.rows(
    `SELECT version() AS version, current_database() AS db, current_user AS who,
       has_database_privilege(current_database(), 'CREATE') AS creates,
       has_database_privilege(current_database(), 'TEMP') AS temporary`,
  );
  const database = String(server['db']);
  const user = String(server['who']);
  const version = /Redshift [\d.]+/.exec(String(server['version']))?.[0] ?? 'a server that is no Redshift';
  const grant = (right: string): string => `GRANT ${right} ON DATABASE ${quote(database)} TO ${quote(user)};`;
  const made = await session.rows(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname IN ('_headwater', '${SCHEMA}')`,
  );
  const creates = server['creates'] === true;
  const schemas = creates
    ? 'may make schemas'
    : `may not make schemas${made.length === 2 ? ': a new connection needs its own made by hand' : ''}`;
  const temporary = server['temporary'] === true;
  return [
    { check: 'redshift', ok: true, detail: `${database} as ${user}, ${version}` },
    result('schemas', creates || made.length === 2, schemas, grant('CREATE')),
    result(
      'staging',
      temporary,
      temporary ? 'may make temporary tables' : 'may not make temporary tables',
      grant('TEMP'),
    ),
    ...(await rightsOnSchemas(session, user)),
  ];
}

async function rightsOnSchemas(session: Session, user: string): Promise<Result[]> {
  const known = await session.rows(
    `SELECT 1 AS there FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = '_headwater' AND c.relname = 'batches' AND has_schema_privilege(n.nspname, 'USAGE')`,
  );
  const mayRead =
    known.length > 0 &&
    (await session.rows("SELECT has_table_privilege('_headwater.batches', 'SELECT') AS may"))[0]?.['may'] ===
      true;
  const connections = mayRead
    ? (await session.rows('SELECT DISTINCT connection FROM _headwater.batches')).map((row) =>
        String(row['connection']),
      )
    : [];
  const schemas = new Set([
    '_headwater',
    SCHEMA,
    ...connections.map((name) => schemaName(session.prefix, name)),
  ]);
  const rights = await session.rows(
    `SELECT nspname AS name, has_schema_privilege(nspname, 'USAGE') AS uses, has_schema_privilege(nspname, 'CREATE') AS creates FROM pg_namespace ORDER BY 1`,
  );
  return rights.flatMap(({ name, uses, creates }) => {
    if (!schemas.has(String(name))) return [];
    const may = uses === true && creates === true;
    const grant = `GRANT USAGE, CREATE ON SCHEMA ${quote(String(name))} TO ${quote(user)};`;
    return [result(`schema ${String(name)}`, may, may ? 'may make tables' : 'may not make tables', grant)];
  });
}

async function proveWay(client: Client, config: RedshiftConfig, asked: readonly Result[]): Promise<Result[]> {
  const place = `s3://${config.bucket}/${config.prefix}`;
  const results: Result[] = [];
  try {
    await withUploads(client, async (put) => {
      const sent = await put("SELECT 'a' AS c0");
      results.push({ check: 'bucket', ok: true, detail: `may write into ${place}` });
      if (asked.some(({ check, ok }) => check === 'staging' && !ok)) return;
      results.push(await proveCopy(client, config, sent));
    });
  } catch (error) {
    if (!(error instanceof HeadwaterError) || error.code !== 'WAREHOUSE_REJECTED' || results.length > 0)
      throw error;
    results.push(
      result(
        'bucket',
        false,
        error.message,
        `Give the worker this policy, and name the right region: ${workerPolicy(config)}`,
      ),
    );
  }
  return results;
}

async function proveCopy(client: Client, config: RedshiftConfig, sent: Upload): Promise<Result> {
  const detail = 'COPY may read the bucket';
  return client.scratch('checking the warehouse', async (session) => {
    try {
      await fill(session, PROOF, [{ name: 'k', type: TEXT }], sent);
      return { check: 'copy', ok: true, detail };
    } catch (error) {
      if (!isRefusedBucket(error)) throw error;
      const remedy = `Attach the role ${config.iamRole} to the database, and this policy to the role: ${rolePolicy(config)}`;
      return result('copy', false, wordsOf(error), remedy);
    }
  });
}
