/** Where an operator reads a text that Headwater does not repeat. */
export const READ_IN = "Salesforce's Developer Console, by repeating the query";
export const LOGIN_HISTORY = 'Salesforce, under Setup, Login History';
export const READ_BULK_IN = 'Salesforce, under Setup, Bulk Data Load Jobs';

/**
 * I5: codes whose text is about fields, syntax, limits or log-in and cannot quote a record: documented in the REST and Bulk API
 * guides under "Status Codes and Error Responses". The text of any other code is withheld, whatever it says.
 */
export const PLAIN_CODES: ReadonlySet<string> = new Set([
  ...['API_CURRENTLY_DISABLED', 'API_DISABLED_FOR_ORG', 'FUNCTIONALITY_NOT_ENABLED', 'FEATURENOTENABLED'],
  ...['INACTIVE_USER', 'INVALID_AUTH_HEADER', 'INVALID_SESSION_ID', 'INSUFFICIENT_ACCESS'],
  ...['INVALIDENTITY', 'INVALID_FIELD', 'INVALID_QUERY_FILTER_OPERATOR', 'INVALID_TYPE', 'MALFORMED_QUERY'],
  ...['INVALIDJOB', 'INVALIDJOBSTATE', 'INVALID_QUERY_LOCATOR', 'INVALID_REPLICATION_DATE'],
  ...['CONCURRENT_REQUEST_LIMIT_EXCEEDED', 'EXCEEDEDQUOTA', 'REQUEST_LIMIT_EXCEEDED', 'SERVER_UNAVAILABLE'],
  ...[
    'METHOD_NOT_ALLOWED',
    'NOT_FOUND',
    'NUMBER_OUTSIDE_VALID_RANGE',
    'QUERY_TIMEOUT',
    'QUERY_TOO_COMPLICATED',
  ],
  ...['REQUEST_HEADER_TOO_LARGE', 'REQUEST_TOO_LARGE', 'UNABLE_TO_LOCK_ROW', 'URI_TOO_LONG'],
]);

/** The same for the `error` of the OAuth token service: its descriptions are fixed sentences. */
export const PLAIN_LOGIN_CODES: ReadonlySet<string> = new Set([
  ...[
    'invalid_client',
    'invalid_client_id',
    'invalid_client_credentials',
    'invalid_grant',
    'invalid_request',
  ],
  ...['inactive_org', 'inactive_user', 'invalid_app_access', 'unauthorized_client', 'unsupported_grant_type'],
]);
