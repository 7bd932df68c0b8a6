import { quote } from '../sql.ts';
import type { Warehouse } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import { schemaName } from './names.ts';
import { SCHEMA } from './own-tables.ts';

/** `pg_input_is_valid` came with this version. */
const VERSION_MIN = 16;
/** Tables of other owners that are named at most. */
const FOREIGN_MAX = 5;

type Result = Awaited<ReturnType<Warehouse['check']>>[number];

const result = (check: string, ok: boolean, detail: string, remedy: string): Result => ({
  ...{ check, ok, detail },
  ...(ok ? {} : { remedy }),
});

/** Asks for rights and proves them by their names; writes nothing. */
export function checkServer(client: Client): Promise<Result[]> {
  return client.read('checking the warehouse', async (session) => {
    const [server = {}] = await session.rows(
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer / 10000 AS major,
         current_database() AS db, current_user AS role, current_setting('server_encoding') AS encoding,
         has_database_privilege(current_database(), 'CREATE') AS creates,
         has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
         pg_is_in_recovery() AS standby, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super`,
    );
    const database = String(server['db']);
    const role = String(server['role']);
    const grant = (right: string): string =>
      `GRANT ${right} ON DATABASE ${quote(database)} TO ${quote(role)};`;
    const major = Number(server['major']);
    const encoding = String(server['encoding']);
    const plain = server['super'] === true ? '; a superuser: give Headwater a role of its own' : '';
    return [
      result(
        'postgres',
        major >= VERSION_MIN && server['standby'] !== true,
        `${database} as ${role}, PostgreSQL ${String(server['version'])}${server['standby'] === true ? ', a standby' : ''}${plain}`,
        server['standby'] === true
          ? 'Name the primary server in warehouse.url.'
          : `Use PostgreSQL ${VERSION_MIN} or later.`,
      ),
      result('encoding', encoding === 'UTF8', encoding, "Create the database with ENCODING 'UTF8'."),
      await mayMakeSchemas(session, server['creates'] === true, grant('CREATE')),
      result(
        'staging',
        server['temporary'] === true,
        server['temporary'] === true ? 'may make temporary tables' : 'may not make temporary tables',
        grant('TEMPORARY'),
      ),
      ...(await rightsOnSchemas(session, role)),
    ];
  });
}

/** Schemas that are there already need no right to make them; those of new connections do. */
async function mayMakeSchemas(session: Session, creates: boolean, remedy: string): Promise<Result> {
  const rows = await session.rows('SELECT nspname AS name FROM pg_namespace WHERE nspname = ANY($1)', [
    ['_headwater', SCHEMA],
  ]);
  const made = rows.length === 2;
  const detail = creates
    ? 'may make schemas'
    : `may not make schemas${made ? ': a new connection needs its own made by hand' : ''}`;
  return result('schemas', creates || made, detail, remedy);
}

async function rightsOnSchemas(session: Session, role: string): Promise<Result[]> {
  const known = await session.rows("SELECT to_regclass('_headwater.batches') IS NOT NULL AS there");
  const mayRead =
    known[0]?.['there'] === true &&
    (await session.rows("SELECT has_table_privilege('_headwater.batches', 'SELECT') AS may"))[0]?.['may'] ===
      true;
  const connections = mayRead
    ? (await session.rows('SELECT DISTINCT connection FROM _headwater.batches')).map((row) =>
        String(row['connection']),
      )
    : [];
  const schemas = ['_headwater', SCHEMA, ...connections.map((name) => schemaName(session.prefix, name))];
  const rights = await session.rows(
    `SELECT nspname AS name, has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') AS may
     FROM pg_namespace WHERE nspname = ANY($1) ORDER BY 1`,
    [schemas],
  );
  const results = rights.map(({ name, may }) =>
    result(
      `schema ${String(name)}`,
      may === true,
      may === true ? 'may make tables' : 'may not make tables',
      `GRANT USAGE, CREATE ON SCHEMA ${quote(String(name))} TO ${quote(role)};`,
    ),
  );
  const foreign = await session.rows(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_get_userbyid(c.relowner) AS owner
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1`,
    [schemas],
  );
  if (foreign.length > 0) {
    const named = foreign.slice(0, FOREIGN_MAX).map(({ name }) => String(name));
    const owners = [...new Set(foreign.map(({ owner }) => String(owner)))];
    results.push(
      result(
        'owner',
        false,
        `${foreign.length} tables belong to another role: ${named.join(', ')}`,
        owners.map((owner) => `GRANT ${quote(owner)} TO ${quote(role)};`).join(' '),
      ),
    );
  }
  return results;
}
