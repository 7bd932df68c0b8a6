/** What each suite on a real account needs of the environment. The first of each line that is set is enough. */
interface Variables {
  needs: readonly (readonly string[])[];
  /** What each means, and what else may be set: in one sentence. */
  about: string;
}

export const LIVE: Readonly<Record<string, Variables>> = {
  bigquery: {
    needs: [['BIGQUERY_PROJECT']],
    about:
      'the id of a project; if need be BIGQUERY_LOCATION, and BIGQUERY_KEY_FILE in place of the login of the machine',
  },
  postgres: {
    needs: [['POSTGRES_URL']],
    about: 'postgres://user:password@host:5432/database of a user who may create databases',
  },
  redshift: {
    needs: [
      ['REDSHIFT_HOST', 'REDSHIFT_WORKGROUP', 'REDSHIFT_CLUSTER'],
      ['REDSHIFT_DATABASE'],
      ['REDSHIFT_BUCKET'],
      ['REDSHIFT_REGION'],
    ],
    about:
      'with REDSHIFT_HOST also REDSHIFT_USER and REDSHIFT_PASSWORD; with REDSHIFT_WORKGROUP or REDSHIFT_CLUSTER the Data API is taken, if need be by REDSHIFT_DB_USER or REDSHIFT_SECRET_ARN; REDSHIFT_IAM_ROLE unless it is the default role; REDSHIFT_S3_ENDPOINT where S3 has a private address; the user may create databases, the login of the machine may write into the bucket',
  },
  snowflake: {
    needs: [
      ['SNOWFLAKE_ACCOUNT'],
      ['SNOWFLAKE_USER'],
      ['SNOWFLAKE_PRIVATE_KEY_FILE'],
      ['SNOWFLAKE_WAREHOUSE'],
    ],
    about:
      'a key pair; SNOWFLAKE_PRIVATE_KEY_PASSPHRASE where it has one, and SNOWFLAKE_ROLE, which may create databases',
  },
};

type Environment = Readonly<Record<string, string | undefined>>;

const isSet = (environment: Environment, name: string): boolean => (environment[name] ?? '') !== '';

/** Sentences about what is not set; none where the suite can run. */
export function missingFor(name: string, environment: Environment): string[] {
  const { needs = [] } = LIVE[name] ?? {};
  return needs
    .filter((names) => !names.some((variable) => isSet(environment, variable)))
    .map((names) => (names.length === 1 ? `${names[0]} is not set` : `none of ${names.join(', ')} is set`));
}

/** What is set, and nothing for what is empty. */
export const variable = (name: string): string | undefined =>
  isSet(process.env, name) ? process.env[name] : undefined;

export function needed(name: string): string {
  const value = variable(name);
  if (value === undefined) throw new Error(`${name} is not set; see test/live/variables.ts`);
  return value;
}
