import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

const NAME = /^[a-z][a-z0-9_]{0,39}$/;

interface Template {
  variables: readonly string[];
  /** What has to exist in the source before. */
  needs: string;
  /** The connection's own lines; `secret` writes a reference to a variable. */
  lines: (secret: (variable: string) => string) => string;
}

const TEMPLATES: Record<string, Template> = {
  salesforce: {
    variables: ['SF_LOGIN_URL', 'SF_CLIENT_ID', 'SF_CLIENT_SECRET'],
    needs: 'a connected app with the client credentials flow',
    lines: (secret) => `// Your My Domain, such as https://acme.my.salesforce.com.
      loginUrl: ${secret('SF_LOGIN_URL')},
      auth: {
        grant: 'client_credentials',
        clientId: ${secret('SF_CLIENT_ID')},
        clientSecret: ${secret('SF_CLIENT_SECRET')},
      },
      // Or 'all'; \`npx headwater discover\` lists them.
      objects: ['Account', 'Contact', 'Lead', 'Opportunity', 'Case', 'Task', 'User'],`,
  },
  hubspot: {
    variables: ['HS_TOKEN'],
    needs: 'a service key with the read scopes',
    lines: (secret) => `auth: { kind: 'token', token: ${secret('HS_TOKEN')} },
      // Or 'all'; \`npx headwater discover\` lists them. Two objects with ~ between are their associations.
      objects: ['contacts', 'companies', 'deals', 'tickets', 'contacts~companies'],`,
  },
  push: {
    variables: ['HOOK_SECRET'],
    needs: 'a sender that signs as Standard Webhooks says, or a tool with a key (`npx headwater keys new`)',
    lines: (secret) => `// Nobody can be asked what its records look like: docs/ingest.md.
      objects: 'all',
      records: {
        order: {
          key: 'id',
          stamp: 'updated',
          fields: { id: 'string', updated: 'timestamp', total: 'decimal(18,2)', email: 'string' },
        },
      },
      webhooks: { secrets: [${secret('HOOK_SECRET')}] },`,
  },
};

/** Where rows land; `needs` has the page with what has to exist before. */
const WAREHOUSES: Record<string, Template> = {
  duckdb: { variables: [], needs: '', lines: () => "kind: 'duckdb', path: 'warehouse.duckdb'" },
  postgres: {
    variables: ['WAREHOUSE_URL'],
    needs: 'a database: docs/warehouses/postgres.md',
    lines: (secret) => `kind: 'postgres', url: ${secret('WAREHOUSE_URL')}`,
  },
  snowflake: {
    variables: ['SNOWFLAKE_PRIVATE_KEY'],
    needs: 'a user, a role and a database: docs/warehouses/snowflake.md',
    lines: (secret) => `
    kind: 'snowflake',
    account: 'organization-account',
    user: 'HEADWATER',
    privateKey: ${secret('SNOWFLAKE_PRIVATE_KEY')},
    role: 'HEADWATER',
    warehouse: 'HEADWATER',
    database: 'ANALYTICS',
 `,
  },
  bigquery: {
    variables: ['BIGQUERY_KEY'],
    needs: 'a project and a service account: docs/warehouses/bigquery.md',
    lines: (secret) =>
      `kind: 'bigquery', project: 'my-project', location: 'EU', key: ${secret('BIGQUERY_KEY')}`,
  },
  redshift: {
    variables: ['REDSHIFT_PASSWORD'],
    needs: 'a user, a role and a bucket: docs/warehouses/redshift.md',
    lines: (secret) => `
    kind: 'redshift',
    host: 'my-cluster.abc123.eu-central-1.redshift.amazonaws.com',
    database: 'warehouse',
    user: 'headwater',
    password: ${secret('REDSHIFT_PASSWORD')},
    iamRole: 'arn:aws:iam::123456789012:role/headwater-copy',
    bucket: 'my-bucket',
    region: 'eu-central-1',
 `,
  },
};

export const WAREHOUSE_KINDS = Object.keys(WAREHOUSES);

export const init: Command = {
  name: 'init',
  summary: 'Write a configuration for your own systems',
  usage: '[connection]',
  example: 'init acme',
  about:
    "Asks nothing and overwrites nothing. The org's name becomes the schema in the warehouse and, beside another\nconfiguration, the file acme.config.ts with a home of its own, .headwater-acme.",
  options: {
    kind: { type: 'string', value: '<kind>', help: 'salesforce (the default), hubspot or push' },
    warehouse: {
      type: 'string',
      value: '<kind>',
      help: 'duckdb (the default), postgres, snowflake, bigquery or redshift',
    },
    file: { type: 'string', value: '<path>', help: 'Where to write it' },
  },
  arguments: { min: 0, max: 1 },
  async run(call) {
    const kind = call.options.text('kind') ?? 'salesforce';
    const template = Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined;
    if (template === undefined) {
      throw new HeadwaterError('INPUT_INVALID', `${JSON.stringify(kind)} is not a kind of source`, {
        remedy: `Write one of ${Object.keys(TEMPLATES).join(', ')}.`,
      });
    }
    const target = call.options.text('warehouse') ?? 'duckdb';
    const place = Object.hasOwn(WAREHOUSES, target) ? WAREHOUSES[target] : undefined;
    if (place === undefined) {
      throw new HeadwaterError('INPUT_INVALID', `${JSON.stringify(target)} is not a kind of warehouse`, {
        remedy: `Write one of ${WAREHOUSE_KINDS.join(', ')}.`,
      });
    }
    const name = call.arguments[0] ?? kind;
    if (!NAME.test(name)) {
      throw new HeadwaterError('INPUT_INVALID', `${JSON.stringify(name)} is not a connection name`, {
        remedy: 'Write a to z, 0 to 9 and _, a letter first.',
      });
    }
    const beside = existsSync(resolve('headwater.config.ts'));
    const path = resolve(call.options.text('file') ?? (beside ? `${name}.config.ts` : 'headwater.config.ts'));
    const text = configText(name, path, kind, target);
    try {
      writeFileSync(path, text, { flag: 'wx' });
    } catch (cause) {
      throw new HeadwaterError('INPUT_INVALID', `${path} cannot be written: ${reason(cause)}`, {
        cause,
        remedy: 'Name another file with --file, or another connection.',
      });
    }
    const shown = relative(process.cwd(), path);
    const option = shown === 'headwater.config.ts' ? '' : ` --config ${shown}`;
    if (call.json) call.output.json({ path, variables: [...template.variables, ...place.variables] });
    else {
      call.output.line(`Wrote ${shown}. Next:`);
      const secrets = [template, place].filter(({ variables }) => variables.length > 0);
      const steps = [
        ...secrets.map(({ variables, needs }) => `Set ${variables.join(', ')} (${needs}).`),
        `npx headwater check${option}`,
        `npx headwater start${option}`,
      ];
      for (const [at, step] of steps.entries()) call.output.line(`  ${at + 1}. ${step}`);
    }
    return EXIT.ok;
  },
};

/** In a checkout and beside an installed package the file imports our functions; elsewhere it needs nothing but itself. */
export function configText(name: string, path: string, kind = 'salesforce', warehouse = 'duckdb'): string {
  const specifier = importSpecifier(path);
  const own = specifier !== undefined;
  const secret = (variable: string) => (own ? `env('${variable}')` : `{ $secret: { env: '${variable}' } }`);
  return `${own ? `import { defineConfig, env } from '${specifier}';\n\n` : ''}export default ${own ? 'defineConfig(' : ''}{
  connections: {
    ${name}: {
      kind: '${kind}',
      ${TEMPLATES[kind]?.lines(secret) ?? ''}
      schedule: { every: '1h' },
    },
  },
  warehouse: { ${WAREHOUSES[warehouse]?.lines(secret) ?? ''} },
}${own ? ')' : ''};
`;
}

function importSpecifier(path: string): string | undefined {
  const definition = fileURLToPath(new URL('../../config/define-config.ts', import.meta.url));
  const root = dirname(dirname(definition));
  if (existsSync(definition) && !relative(root, path).startsWith('..')) {
    const from = relative(dirname(path), definition);
    return from.startsWith('.') ? from : `./${from}`;
  }
  try {
    createRequire(path).resolve('headwater/package.json');
    return 'headwater';
  } catch {
    return undefined;
  }
}

function reason(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code === 'EEXIST' ? 'it exists already' : code || 'no permission';
}
