import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import { textOf } from '../audit-rows.ts';
import { quote } from '../sql.ts';
import type { Warehouse } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import type { SnowflakeConfig } from './config.ts';
import { codeOf, isGone, wordsOf } from './errors.ts';
import { isSamePlace, makeStageSql, urlOfStage } from './external-stage.ts';
import { folded, GOLDEN } from './names.ts';
import { withStaging } from './staging.ts';

type Result = Awaited<ReturnType<Warehouse['check']>>[number];

const DETACHED: readonly string[] = ['000606'];

/** Does what a load does, in a schema of its own that is gone afterwards, and prints the grants that were missing. */
export function checkAccount(client: Client, config: SnowflakeConfig): Promise<Result[]> {
  return client.use('checking the warehouse', async (session) => {
    const [server = {}] = await session.rows(
      'SELECT CURRENT_VERSION() AS "VERSION", CURRENT_DATABASE() AS "DB", CURRENT_ROLE() AS "ROLE"',
    );
    const role = quote(String(server['role']));
    const database = quote(textOf(server['db']) || folded(config.database));
    const compute = quote(folded(config.warehouse ?? '<warehouse>'));
    const detail = `${database} as role ${role}, Snowflake ${String(server['version'])}`;
    const use = `GRANT USAGE ON DATABASE ${database} TO ROLE ${role};`;
    const results: Result[] = [
      server['db'] === null
        ? { check: 'snowflake', ok: false, detail: `no database ${database} for role ${role}`, remedy: use }
        : { check: 'snowflake', ok: true, detail },
    ];
    const own = `_HEADWATER_CHECK_${randomUUID().slice(0, 8).toUpperCase()}`;
    const create = `GRANT USAGE, CREATE SCHEMA ON DATABASE ${database} TO ROLE ${role};`;
    const schemas = await proven('schemas', 'may make schemas', create, () =>
      session.run(`CREATE TRANSIENT SCHEMA ${quote(own)}`),
    );
    // Schemas that are there already need no right to make them; those of new connections do.
    const made = schemas.ok || (await areMade(session));
    if (!made) return [...results, schemas];
    const told = `${schemas.detail}: a new connection needs its own schema made by hand`;
    results.push(schemas.ok ? schemas : { check: 'schemas', ok: true, detail: told });
    const scratch = schemas.ok ? own : '_HEADWATER';
    try {
      const operate = `GRANT USAGE, OPERATE ON WAREHOUSE ${compute} TO ROLE ${role};`;
      results.push(
        await proven('tables', 'may make tables and merge', operate, () => mergeOnce(session, scratch)),
      );
      results.push(...(await stagedOnce(session, config, { role, scratch })));
    } finally {
      await session.discard(`DROP TABLE IF EXISTS ${quote(scratch)}."PROOF"`);
      await session.discard(`DROP SCHEMA IF EXISTS ${quote(own)} CASCADE`);
    }
    return results;
  });
}

async function areMade(session: Session): Promise<boolean> {
  const found = await session.rows(
    'SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA WHERE schema_name IN (?, ?)',
    ['_HEADWATER', GOLDEN],
  );
  return found.length === 2;
}

async function stagedOnce(
  session: Session,
  config: SnowflakeConfig,
  { role, scratch }: { role: string; scratch: string },
): Promise<Result[]> {
  const { externalStage } = config;
  const once = (): Promise<Result> =>
    proven('staging', 'may upload and copy', stageGrant(config, role), () => stageOnce(session, scratch));
  if (externalStage === undefined) return [await once()];
  const { name, url } = externalStage;
  let found: string | undefined;
  const stage = await proven('stage', `${name} reads ${url}`, makeStageSql(externalStage, role), async () => {
    found = await urlOfStage(session, name);
  });
  if (!stage.ok) return [stage];
  if (isSamePlace(found, externalStage)) return [stage, await once()];
  const detail =
    found === undefined ? `${name} is no external stage` : `${name} reads ${found}, and not ${url}`;
  return [{ check: 'stage', ok: false, detail, remedy: `ALTER STAGE ${name} SET URL = '${url}';` }];
}

const stageGrant = ({ stage, externalStage }: SnowflakeConfig, role: string): string =>
  externalStage !== undefined
    ? `GRANT USAGE ON STAGE ${externalStage.name} TO ROLE ${role};`
    : stage === undefined
      ? 'Let the network of this machine reach the storage of the account: SELECT SYSTEM$ALLOWLIST(); names the hosts.'
      : `GRANT READ, WRITE ON STAGE ${stage} TO ROLE ${role};`;

async function proven(
  check: string,
  detail: string,
  remedy: string,
  work: () => Promise<unknown>,
): Promise<Result> {
  try {
    await work();
    return { check, ok: true, detail };
  } catch (error) {
    if (isGone(error)) throw error;
    const compute = DETACHED.includes(codeOf(error)) ? '; no compute is running for this session' : '';
    // The bucket is not Snowflake's: what is missing there is no grant.
    const own = error instanceof HeadwaterError ? error.remedy : remedy;
    return { check, ok: false, detail: `${wordsOf(error)}${compute}`, remedy: own };
  }
}

async function mergeOnce(session: Session, scratch: string): Promise<void> {
  const table = `${quote(scratch)}."PROOF"`;
  await session.run(`CREATE OR REPLACE TRANSIENT TABLE ${table} ("K" TEXT, "N" NUMBER(19,0))`);
  await session.run(`INSERT INTO ${table} SELECT 'a', 1`);
  await session.run(
    `MERGE INTO ${table} AS t USING (SELECT 'b' AS "K", 2 AS "N") AS s ON t."K" = s."K"\n` +
      'WHEN MATCHED THEN UPDATE SET "N" = s."N"\nWHEN NOT MATCHED THEN INSERT ("K", "N") VALUES (s."K", s."N")',
  );
}

async function stageOnce(session: Session, scratch: string): Promise<void> {
  await withStaging(
    session,
    (staging) => staging.fill([{ name: 'K', type: 'TEXT' }], `SELECT 'a' AS "K"`),
    scratch,
  );
}
