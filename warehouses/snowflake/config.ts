import { z } from 'zod';

const name = z
  .string()
  .regex(/^[A-Za-z_][\w$]{0,254}$/, 'is no plain name. Write letters, digits, _ and $, as without quotes.');

/** A secret goes in the clear to this machine alone, where an emulator is. */
const ENCIPHERED = /^https:\/\/|^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?:[:/]|$)/;

/** One of them, as a secret. */
const CREDENTIALS = ['privateKey', 'token', 'accessToken', 'password'] as const;

export const snowflakeConfigSchema = z
  .strictObject({
    kind: z.literal('snowflake'),
    /** <organization>-<account>, as in the address of the console. */
    account: z.string().regex(/^[\w.-]{1,255}$/, 'is no account. Write <organization>-<account>.'),
    user: z.string().min(1),
    /** Key pair: the private key in PEM, as a secret. */
    privateKey: z.string().min(1).optional(),
    privateKeyPassphrase: z.string().min(1).optional(),
    /** OAuth: an access token of an outside identity provider, as a secret. */
    token: z.string().min(1).optional(),
    /** A programmatic access token, as a secret. */
    accessToken: z.string().min(1).optional(),
    /** For people and tests: Snowflake asks services for a key. */
    password: z.string().min(1).optional(),
    role: name.optional(),
    /** The compute that loads; Snowflake resumes and suspends it. */
    warehouse: name.optional(),
    database: name,
    /** Stands before the name of each connection's schema: 'HW_' makes HW_CRM of crm. */
    schemaPrefix: z
      .string()
      .regex(/^[A-Za-z_]\w{0,19}$|^$/, 'is no prefix. Write letters, digits and _, at most 20 characters.')
      .default(''),
    /** A named internal stage of your own, as database.schema.stage; absent: a temporary one per session. */
    stage: z
      .string()
      .regex(/^[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*){2}$/, 'is no stage. Write database.schema.stage.')
      .optional(),
    /** https://… of a private link; absent: made of the account. */
    accessUrl: z
      .url({ protocol: /^https?$/ })
      .refine((url) => ENCIPHERED.test(url), 'is not enciphered. Write https://….')
      .optional(),
    /** Sessions at most. */
    connectionsMax: z.number().int().min(2).max(50).default(4),
    /** A statement that runs longer is stopped, ms. */
    statementMsMax: z.number().int().min(1_000).max(86_400_000).default(900_000),
    /** How long a statement waits for another program's lock, ms. */
    lockWaitMsMax: z.number().int().min(1_000).max(3_600_000).default(60_000),
  })
  .refine((config) => CREDENTIALS.filter((key) => config[key] !== undefined).length === 1, {
    message: `names none of ${CREDENTIALS.join(', ')}, or several. Keep one, as a secret.`,
    path: ['privateKey'],
  });
export type SnowflakeConfig = z.output<typeof snowflakeConfigSchema>;
